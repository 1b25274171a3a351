/*
 * libFuzzer: a guest and a host that do anything in any order. Input: records of eight bytes, each
 * an action. Checked throughout: packets to the guest are well-formed and within its credit, what
 * the device holds stays within the credit it gave, it breaks only when a length lies, and
 * afterwards it works again. Links to tests/devices/fake_guest.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/platform.h"
#include "devices/vsock_state.h"
#include "monitor/unix_socket.h"
#include "tests/devices/fake_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RX = VIRTIO_VSOCK_QUEUE_RX, TX = VIRTIO_VSOCK_QUEUE_TX, QUEUE = 16 };
enum { RX_BYTES = 512, PORTS = 4, PEERS = 8, DIALS = 8, TX_DATA = FAKE_DATA + (1 << 20) };

struct record {
    uint8_t action, op, port, mine;
    uint16_t len;
    uint8_t lie, credit;
};

/* The guest's view of one connection: packets in the ring may be older than what it said last, so
 * the edge is the furthest byte it ever gave credit for. */
struct view {
    bool open;
    uint32_t got, consumed;
    uint64_t edge;
};

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct fake_guest guest;
static struct event_loop loop;
static struct vsock *vsock;
static struct view views[PORTS + 3][256], elsewhere;
static char path[64];
static int server = -1, peers[PEERS];
static unsigned next_peer;
static uint8_t block[65536];
static struct unix_listener listener;
static struct {
    uint32_t port;
    int type;
    uint64_t ticket;
} dialled[DIALS]; /* wishes of the device not answered yet */
static unsigned dials;

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

/* --- the guest --- */

static uint32_t host_port(uint8_t port)
{
    return port % (PORTS + 3) < PORTS ? 80u + port % (PORTS + 3)
                                      : SAMARA_STDIO_PORT + port % (PORTS + 3) - PORTS;
}

static struct view *view_of(uint32_t at_host, uint32_t at_guest)
{
    if (at_guest > 255)
        return &elsewhere;
    if (at_host >= SAMARA_STDIO_PORT && at_host <= SAMARA_STDIO_PORT + 2)
        return &views[PORTS + at_host - SAMARA_STDIO_PORT][at_guest];
    return at_host >= 80 && at_host < 80 + PORTS ? &views[at_host - 80][at_guest] : &elsewhere;
}

static void offer(uint16_t slot)
{
    fake_desc(&guest, RX, slot, FAKE_DATA + slot * RX_BYTES, RX_BYTES, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&guest, RX, slot);
}

static void start(void)
{
    fake_start(&guest, 0, VIRTIO_VSOCK_QUEUES, QUEUE);
    memset(views, 0, sizeof(views));
    for (uint16_t i = 0; i < QUEUE; i++)
        offer(i);
    fake_kick(&guest, RX);
    must(!fake_needs_reset(&guest));
}

static void check_packet(const struct virtio_vsock_hdr *hdr, uint32_t used_len)
{
    struct view *view = view_of(hdr->src_port, hdr->dst_port);

    must(used_len == sizeof(*hdr) + hdr->len);
    must(hdr->dst_cid == 3 && hdr->type == VIRTIO_VSOCK_TYPE_STREAM);
    must(hdr->op >= VIRTIO_VSOCK_OP_REQUEST && hdr->op <= VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    must(hdr->len == 0 || hdr->op == VIRTIO_VSOCK_OP_RW);
    must(hdr->op == VIRTIO_VSOCK_OP_SHUTDOWN ? hdr->flags >= 1 && hdr->flags <= 3
                                             : hdr->flags == 0);
    if (hdr->src_cid != VSOCK_HOST_CID) { /* in the name of a host that is not there */
        must(hdr->op == VIRTIO_VSOCK_OP_RST);
        return;
    }
    if (hdr->op == VIRTIO_VSOCK_OP_RESPONSE || hdr->op == VIRTIO_VSOCK_OP_RST)
        view->got = 0;
    if (hdr->op == VIRTIO_VSOCK_OP_RESPONSE)
        view->open = true;
    if (hdr->op == VIRTIO_VSOCK_OP_RST)
        view->open = false;
    view->got += hdr->len;
    if (view != &elsewhere && hdr->len > 0)
        must(view->open && view->got <= view->edge);
}

static void take_packets(unsigned most)
{
    struct virtq_used_elem used;
    struct virtio_vsock_hdr hdr;

    while (most-- > 0 && fake_used(&guest, RX, &used)) {
        must(used.id < QUEUE);
        memcpy(&hdr, fake_at(&guest, FAKE_DATA + used.id * RX_BYTES), sizeof(hdr));
        check_packet(&hdr, used.len);
        offer((uint16_t)used.id);
        fake_kick(&guest, RX);
    }
}

static void send_packet(const struct record *record)
{
    uint32_t port = host_port(record->port);
    struct view *view = view_of(port, record->mine);
    struct virtio_vsock_hdr hdr = {
        .src_cid = record->lie == 1 ? 9 : 3,
        .dst_cid = record->lie == 2 ? 9 : VSOCK_HOST_CID,
        .src_port = record->mine,
        .dst_port = port,
        .len = record->lie == 4 ? record->len + 1u : record->len,
        .type = record->lie == 3 ? 7 : VIRTIO_VSOCK_TYPE_STREAM,
        .op = record->op % 10,
        .flags = record->credit,
    };
    struct virtq_used_elem used;

    hdr.buf_alloc = 97u * record->credit;
    hdr.fwd_cnt = view->got + (record->lie == 5);
    if (hdr.fwd_cnt > view->consumed)
        view->consumed = hdr.fwd_cnt;
    if (view->consumed + (uint64_t)hdr.buf_alloc > view->edge)
        view->edge = view->consumed + (uint64_t)hdr.buf_alloc;
    memcpy(fake_at(&guest, TX_DATA), &hdr, sizeof(hdr));
    fake_desc(&guest, TX, 0, TX_DATA, (uint32_t)sizeof(hdr) + record->len, 0, 0);
    fake_add(&guest, TX, 0);
    fake_kick(&guest, TX);
    must(fake_needs_reset(&guest) == (record->lie == 4));
    if (record->lie == 4)
        start();
    else if (!fake_used(&guest, TX, &used))
        start(); /* refusals are full: begin anew rather than reuse the descriptor */
}

/* --- the host --- */

static void keep_peer(int fd)
{
    int *peer = &peers[next_peer++ % PEERS];

    if (*peer >= 0)
        close(*peer);
    *peer = fd;
}

static void connect_client(const struct record *record)
{
    static const char *const lines[] = {"CONNECT 7\n", "CONNECT 7", "x\n", "CONNECT 99999999999\n"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const char *line = lines[record->op % 4];

    strcpy(address.sun_path, path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        (void)!write(fd, line, strlen(line));
    keep_peer(fd);
}

static void host_action(const struct record *record)
{
    int fd = peers[record->port % PEERS];

    switch (record->op % 6) {
    case 0:
        fd = accept4(server, NULL, NULL, SOCK_NONBLOCK);
        if (fd >= 0)
            keep_peer(fd);
        break;
    case 1:
        (void)!send(fd, block, record->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    case 2:
        (void)!recv(fd, block, sizeof(block), MSG_DONTWAIT);
        break;
    case 3:
        shutdown(fd, record->mine % 3);
        break;
    case 4:
        keep_peer(-1);
        break;
    default:
        connect_client(record);
    }
}

/* --- the device's owner --- */

static bool dial(void *arg, uint32_t port, enum vsock_kind kind, uint64_t ticket)
{
    (void)arg;
    if (dials == DIALS)
        return false;
    dialled[dials].port = port;
    dialled[dials].type = kind == VSOCK_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM;
    dialled[dials++].ticket = ticket;
    return true;
}

static void answer_dial(void)
{
    char server_path[80];

    if (dials == 0)
        return;
    snprintf(server_path, sizeof(server_path), "%s_%u", path, dialled[--dials].port);
    vsock_dialled(vsock, dialled[dials].ticket,
                  unix_connect_type(dialled[dials].type, server_path));
}

/* --- a run --- */

static void check_held(void)
{
    for (unsigned i = 0; i < vsock->used; i++) {
        const struct vsock_conn *conn = &vsock->conns[i];

        must(conn->state == CONN_FREE || conn->held <= conn_buf_alloc(conn));
    }
}

static void open_all(void)
{
    struct vsock_config config = {.guest_cid = 3, .dial = dial};
    struct virtio_host host;
    int pipe_ends[2];

    must(loop_init(&loop, &lock, NULL) == 0);
    host = fake_host(&guest);
    must(pipe2(pipe_ends, O_NONBLOCK) == 0);
    config.stdio[0] = (struct stream_fd){.fd = open("/dev/zero", O_RDONLY)};
    config.stdio[1] = (struct stream_fd){.fd = pipe_ends[1]};
    config.stdio[2] = (struct stream_fd){.fd = open("/dev/null", O_WRONLY)};
    next_peer = 0;
    for (unsigned i = 0; i < PEERS; i++)
        peers[i] = -1;
    keep_peer(pipe_ends[0]);
    must(unix_listen(&listener, path, sizeof(path), NULL) == 0);
    config.listen_fd = listener.fd;
    listener.fd = -1;
    dials = 0;
    vsock = vsock_new(&config, &host, &loop, NULL);
    must(vsock != NULL);
    guest.dev = vsock_device(vsock);
    start();
}

static void close_all(void)
{
    for (unsigned i = 0; i < PEERS; i++)
        if (peers[i] >= 0)
            close(peers[i]);
    vsock_free(vsock);
    unix_unlisten(&listener);
    loop_close(&loop);
}

static void open_once(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    signal(SIGPIPE, SIG_IGN);
    fake_open(&guest);
    snprintf(path, sizeof(path), "/tmp/samara-fuzz-%d.sock", (int)getpid());
    unlink(path);
    server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s_80", path);
    unlink(address.sun_path);
    must(bind(server, (const struct sockaddr *)&address, sizeof(address)) == 0);
    must(listen(server, 64) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record;

    if (server < 0)
        open_once();
    open_all();
    for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
        memcpy(&record, data, sizeof(record));
        switch (record.action % 4) {
        case 0:
            send_packet(&record);
            break;
        case 1:
            host_action(&record);
            break;
        case 2:
            must(loop_turn(&loop, 0, NULL) == 0);
            answer_dial();
            break;
        default:
            take_packets(record.op);
        }
        must(!fake_needs_reset(&guest));
        check_held();
    }
    close_all();
    return 0;
}
