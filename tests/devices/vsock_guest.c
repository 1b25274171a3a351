/* See vsock_guest.h. */
#include "tests/devices/vsock_guest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/vsock_state.h"

enum { RX_DATA = FAKE_DATA, TX_DATA = FAKE_DATA + (8 << 20) };
enum { QUEUED_DATA = FAKE_DATA + (16 << 20), QUEUED_BYTES = 128 };
static const uint64_t patience_ns = 2000000000;

void vg_offer(struct vsock_guest *guest, uint16_t slot)
{
    fake_desc(&guest->fake, RX, slot, RX_DATA + (uint64_t)slot * guest->rx_bytes, guest->rx_bytes,
              VIRTQ_DESC_F_WRITE, 0);
    fake_add(&guest->fake, RX, slot);
}

void vg_start(struct vsock_guest *guest, uint64_t features, unsigned rx_count)
{
    fake_start(&guest->fake, features, VIRTIO_VSOCK_QUEUES, VG_QUEUE);
    for (uint16_t i = 0; i < rx_count; i++)
        vg_offer(guest, i);
    guest->tx_next = 0;
    fake_kick(&guest->fake, RX);
}

/* --- the device's owner --- */

/* Answers outside the device's own call, as the monitor does. */
static void answer_dials(void *arg)
{
    struct vsock_guest *guest = arg;
    char path[128];

    while (guest->dials > 0) {
        struct vg_dial wish = guest->dial[--guest->dials];

        snprintf(path, sizeof(path), "%s_%u", guest->listener.path, wish.port);
        vsock_dialled(guest->vsock, wish.ticket, unix_connect_type(wish.type, path));
    }
}

static bool dial(void *arg, uint32_t port, enum vsock_kind kind, uint64_t ticket)
{
    struct vsock_guest *guest = arg;

    if (guest->dials == VG_DIALS || guest->dial_refused)
        return false;
    guest->dial[guest->dials++] =
        (struct vg_dial){port, kind == VSOCK_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM, ticket};
    loop_post(&guest->loop, &guest->dialler);
    return true;
}

static void stdio_failed(void *arg, int number, int reason)
{
    struct vsock_guest *guest = arg;

    guest->failed_stdio = number;
    guest->stdio_reason = reason;
}

void vg_open(struct vsock_guest *guest, int in, int out, int error)
{
    const int fds[3] = {in, out, error};
    struct vsock_config config = {.guest_cid = CID,
                                  .dial = dial,
                                  .dial_arg = guest,
                                  .stdio_failed = stdio_failed,
                                  .stdio_arg = guest};
    struct virtio_host host;
    struct err err = {0};
    char path[64];

    *guest = (struct vsock_guest){.rx_bytes = 4096,
                                  .buf_alloc = 1 << 16,
                                  .type = VIRTIO_VSOCK_TYPE_STREAM,
                                  .failed_stdio = -1};
    signal(SIGPIPE, SIG_IGN);
    fake_open(&guest->fake);
    device_lock_init(&guest->lock);
    cr_assert_eq(loop_init(&guest->loop, &guest->lock, NULL), 0);
    guest->dialler = (struct loop_task){.fn = answer_dials, .arg = guest};
    snprintf(path, sizeof(path), "/tmp/samara-test-%d.sock", (int)getpid());
    cr_assert_eq(unix_listen(&guest->listener, path, sizeof(path), &err), 0, "%s", err.text);
    strcat(path, ".seqpacket");
    cr_assert_eq(unix_listen_type(&guest->messages, SOCK_SEQPACKET, path, sizeof(path), &err), 0,
                 "%s", err.text);
    config.listen_fds[VSOCK_BYTES] = guest->listener.fd;
    config.listen_fds[VSOCK_MESSAGES] = guest->messages.fd;
    guest->listener.fd = guest->messages.fd = -1;
    for (int i = 0; i < 3; i++) {
        config.stdio[i] = STREAM_CLOSED;
        if (fds[i] < 0)
            continue;
        cr_assert_eq(
            stream_open(&config.stdio[i], fds[i], i == 0 ? STREAM_READS : STREAM_WRITES, &err), 0);
        close(fds[i]);
    }
    host = fake_host(&guest->fake);
    guest->vsock = vsock_new(&config, &host, &guest->loop, &err);
    cr_assert_not_null(guest->vsock, "%s", err.text);
    guest->fake.dev = vsock_device(guest->vsock);
    vg_start(guest, 0, VG_QUEUE);
}

void vg_close(struct vsock_guest *guest)
{
    if (guest->served[0] != '\0')
        unlink(guest->served);
    vsock_free(guest->vsock);
    unix_unlisten(&guest->listener);
    unix_unlisten(&guest->messages);
    loop_close(&guest->loop);
    fake_close(&guest->fake);
}

struct virtio_vsock_hdr vg_hdr(const struct vsock_guest *guest, uint16_t op, uint32_t host_port,
                               uint32_t guest_port)
{
    return (struct virtio_vsock_hdr){.src_cid = CID,
                                     .dst_cid = VSOCK_HOST_CID,
                                     .src_port = guest_port,
                                     .dst_port = host_port,
                                     .type = guest->type,
                                     .op = op,
                                     .buf_alloc = guest->buf_alloc,
                                     .fwd_cnt = guest->fwd_cnt};
}

bool vg_send_raw(struct vsock_guest *guest, const struct virtio_vsock_hdr *hdr, const void *data,
                 uint32_t len)
{
    uint16_t slot = (uint16_t)(guest->tx_next++ % (VG_QUEUE / 2) * 2);
    uint64_t at = TX_DATA + (uint64_t)slot * VG_TX_BYTES;
    struct virtq_used_elem used;

    cr_assert_leq(len + sizeof(*hdr), VG_TX_BYTES);
    memcpy(fake_at(&guest->fake, at), hdr, sizeof(*hdr));
    if (len > 0)
        memcpy(fake_at(&guest->fake, at + sizeof(*hdr)), data, len);
    fake_desc(&guest->fake, TX, slot, at, sizeof(*hdr), len > 0 ? VIRTQ_DESC_F_NEXT : 0,
              (uint16_t)(slot + 1));
    fake_desc(&guest->fake, TX, (uint16_t)(slot + 1), at + sizeof(*hdr), len, 0, 0);
    fake_add(&guest->fake, TX, slot);
    fake_kick(&guest->fake, TX);
    if (!fake_used(&guest->fake, TX, &used))
        return false;
    cr_assert_eq(used.id, slot);
    cr_assert_eq(used.len, 0);
    return true;
}

void vg_queue(struct vsock_guest *guest, uint16_t slot, const struct virtio_vsock_hdr *hdr,
              const void *data, uint32_t len)
{
    uint64_t at = QUEUED_DATA + (uint64_t)slot * QUEUED_BYTES;

    cr_assert_leq(len + sizeof(*hdr), QUEUED_BYTES);
    memcpy(fake_at(&guest->fake, at), hdr, sizeof(*hdr));
    if (len > 0)
        memcpy(fake_at(&guest->fake, at + sizeof(*hdr)), data, len);
    fake_desc(&guest->fake, TX, slot, at, (uint32_t)sizeof(*hdr) + len, 0, 0);
    fake_add(&guest->fake, TX, slot);
}

bool vg_send(struct vsock_guest *guest, uint16_t op, uint32_t host_port, uint32_t guest_port)
{
    struct virtio_vsock_hdr hdr = vg_hdr(guest, op, host_port, guest_port);

    return vg_send_raw(guest, &hdr, NULL, 0);
}

bool vg_shutdown(struct vsock_guest *guest, uint32_t flags, uint32_t host_port, uint32_t guest_port)
{
    struct virtio_vsock_hdr hdr = vg_hdr(guest, VIRTIO_VSOCK_OP_SHUTDOWN, host_port, guest_port);

    hdr.flags = flags;
    return vg_send_raw(guest, &hdr, NULL, 0);
}

bool vg_data(struct vsock_guest *guest, const void *data, uint32_t len, uint32_t host_port,
             uint32_t guest_port)
{
    struct virtio_vsock_hdr hdr = vg_hdr(guest, VIRTIO_VSOCK_OP_RW, host_port, guest_port);

    hdr.len = len;
    return vg_send_raw(guest, &hdr, data, len);
}

static void turn(struct vsock_guest *guest, int timeout_ms)
{
    cr_assert_eq(loop_turn(&guest->loop, timeout_ms, NULL), 0);
}

static bool take_used(struct vsock_guest *guest, struct packet *packet)
{
    static uint8_t data[1 << 20];
    struct virtq_used_elem used;
    const uint8_t *at;

    if (!fake_used(&guest->fake, RX, &used))
        return false;
    at = fake_at(&guest->fake, RX_DATA + (uint64_t)used.id * guest->rx_bytes);
    cr_assert_geq(used.len, sizeof(packet->hdr));
    memcpy(&packet->hdr, at, sizeof(packet->hdr));
    cr_assert_eq(packet->hdr.len, used.len - sizeof(packet->hdr));
    cr_assert_eq(packet->hdr.dst_cid, CID);
    cr_assert_eq(packet->hdr.type, guest->type);
    memcpy(data, at + sizeof(packet->hdr), packet->hdr.len);
    packet->data = data;
    vg_offer(guest, (uint16_t)used.id);
    fake_kick(&guest->fake, RX);
    return true;
}

bool vg_take(struct vsock_guest *guest, struct packet *packet)
{
    if (take_used(guest, packet))
        return true;
    turn(guest, 0);
    return take_used(guest, packet);
}

struct packet vg_expect(struct vsock_guest *guest, uint16_t op)
{
    uint64_t end = loop_now_ns() + patience_ns;
    struct packet packet = {0};

    while (!vg_take(guest, &packet)) {
        cr_assert_lt(loop_now_ns(), end, "no packet, operation %u expected", op);
        turn(guest, 1);
    }
    cr_assert_eq(packet.hdr.op, op, "operation %u instead of %u", packet.hdr.op, op);
    return packet;
}

void vg_expect_nothing(struct vsock_guest *guest)
{
    struct packet packet;

    for (unsigned i = 0; i < 5; i++)
        cr_assert(!vg_take(guest, &packet), "operation %u", packet.hdr.op);
}

void vg_use_up_watches(struct vsock_guest *guest)
{
    guest->loop.used = LOOP_WATCHES;
    guest->loop.free = -1;
}

uint64_t vg_held(const struct vsock_guest *guest)
{
    uint64_t held = 0;

    for (unsigned i = 0; i < VSOCK_CONNS; i++)
        held += guest->vsock->conns[i].held;
    return held;
}

void vg_assert_alive(struct vsock_guest *guest)
{
    cr_assert(!fake_needs_reset(&guest->fake), "%s", guest->fake.line);
    cr_assert(vg_send(guest, VIRTIO_VSOCK_OP_REQUEST, 9999, 4242));
    cr_assert_eq(vg_expect(guest, VIRTIO_VSOCK_OP_RST).hdr.dst_port, 4242);
}

/* --- the host's side --- */

static int socket_type(const struct vsock_guest *guest)
{
    return guest->type == VIRTIO_VSOCK_TYPE_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM;
}

int vg_client(struct vsock_guest *guest, const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int type = socket_type(guest), fd = socket(AF_UNIX, type, 0);

    strcpy(address.sun_path, type == SOCK_SEQPACKET ? guest->messages.path : guest->listener.path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

int vg_server(struct vsock_guest *guest, uint32_t port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, socket_type(guest), 0);

    snprintf(guest->served, sizeof(guest->served), "%s_%u", guest->listener.path, port);
    unlink(guest->served);
    memcpy(address.sun_path, guest->served, strlen(guest->served));
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 8), 0);
    return fd;
}

int vg_connect(struct vsock_guest *guest, int server, uint32_t port, uint32_t my_port)
{
    int fd;

    vg_send(guest, VIRTIO_VSOCK_OP_REQUEST, port, my_port);
    vg_expect(guest, VIRTIO_VSOCK_OP_RESPONSE);
    fd = accept(server, NULL, NULL);
    cr_assert_geq(fd, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void vg_read_host(struct vsock_guest *guest, int fd, void *to, size_t len)
{
    uint64_t end = loop_now_ns() + patience_ns;
    ssize_t got;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (len > 0) {
        got = read(fd, to, len);
        if (got > 0) {
            to = (char *)to + got;
            len -= (size_t)got;
            continue;
        }
        cr_assert(got < 0 && errno == EAGAIN, "end of file, %zu bytes missing", len);
        cr_assert_lt(loop_now_ns(), end, "%zu bytes missing", len);
        turn(guest, 1);
    }
}

bool vg_host_eof(struct vsock_guest *guest, int fd)
{
    char byte;
    ssize_t got;

    turn(guest, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    got = read(fd, &byte, 1);
    return got == 0 || (got < 0 && errno == ECONNRESET); /* data had not been read there */
}
