/* See net_guest.h. */
#include "tests/devices/net_guest.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct net_guest g;

/* Instead of the library's, so that a socket can play a tap. */
int ioctl(int fd, unsigned long request, ...)
{
    unsigned long arg;
    va_list args;

    va_start(args, request);
    arg = va_arg(args, unsigned long);
    va_end(args);
    if (request != TUNSETOFFLOAD)
        return (int)syscall(SYS_ioctl, fd, request, arg);
    g.offload_calls++;
    g.offloads = arg;
    return g.real ? (int)syscall(SYS_ioctl, fd, request, arg) : 0;
}

int open_real_tap(void)
{
    struct ifreq tap = {.ifr_name = REAL_TAP, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    const int size = HEADER;
    int fd =
        unshare(CLONE_NEWNET) == 0 ? open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;

    if (fd < 0 || ioctl(fd, TUNSETIFF, &tap) != 0)
        return -1;
    cr_assert_eq(ioctl(fd, TUNSETVNETHDRSZ, &size), 0);
    return fd;
}

static void is_lost(void *arg)
{
    (void)arg;
    g.lost++;
    if (g.next_peer >= 0)
        net_connect(g.net, g.next_peer);
    g.next_peer = -1;
}

void net_guest_pair(enum net_port_kind kind, int ends[2])
{
    const int type = kind == NET_TAP ? SOCK_SEQPACKET : SOCK_STREAM;

    cr_assert_eq(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

void net_guest_open(struct net_config config)
{
    static const uint8_t mac[6] = {2, 3, 4, 5, 6, 7};
    struct virtio_host host;
    int ends[2] = {config.port.fd, -1};

    g = (struct net_guest){.lock = DEVICE_LOCK_INIT, .next_peer = -1, .real = config.port.fd > 0};
    fake_open(&g.fake);
    host = fake_host(&g.fake);
    cr_assert_eq(loop_init(&g.loop, &g.lock, NULL), 0);
    if (config.port.fd == 0)
        net_guest_pair(config.port.kind, ends);
    config.number = 1;
    memcpy(config.mac, mac, sizeof(mac));
    config.port.fd = g.port = ends[0];
    config.lost = is_lost;
    g.peer = ends[1];
    g.net = net_new(&config, &host, &g.loop, NULL);
    cr_assert(g.net);
    g.fake.dev = net_device(g.net);
}

void net_guest_close(void)
{
    net_free(g.net);
    loop_close(&g.loop);
    fake_close(&g.fake);
    if (g.peer >= 0)
        close(g.peer);
}

void net_guest_start(uint64_t features)
{
    memset(g.next, 0, sizeof(g.next));
    fake_start(&g.fake, features, VIRTIO_NET_QUEUES, QUEUE);
    cr_assert(!fake_needs_reset(&g.fake));
    g.fake.irqs = 0;
}

void kick(unsigned queue)
{
    device_lock_take(&g.lock);
    fake_kick(&g.fake, queue);
    device_lock_release(&g.lock);
}

void settle(void)
{
    for (int i = 0; i < 20; i++)
        cr_assert_eq(loop_turn(&g.loop, 0, NULL), 0);
}

uint32_t take_used(unsigned queue)
{
    struct virtq_used_elem used;

    cr_assert(fake_used(&g.fake, queue, &used), "nothing of queue %u is used", queue);
    return used.len;
}

void no_used(unsigned queue)
{
    struct virtq_used_elem used;

    cr_assert(!fake_used(&g.fake, queue, &used));
}

unsigned count_used(unsigned queue)
{
    struct virtq_used_elem used;
    unsigned count = 0;

    while (fake_used(&g.fake, queue, &used))
        count++;
    return count;
}

void pattern(uint8_t *to, uint8_t seed, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)(seed + i * 7 + i / 251);
}

bool is_pattern(const uint8_t *data, uint8_t seed, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != (uint8_t)(seed + i * 7 + i / 251))
            return false;
    }
    return true;
}

/* Header and frame lie in one place, but the chain has them in two descriptors that do not end
 * where the header does. */
void post_tx(struct virtio_net_header header, uint8_t seed, uint32_t len)
{
    const uint16_t slot = g.next[TX] % (QUEUE / 2), head = (uint16_t)(slot * 2);
    const uint64_t at = TX_DATA + (uint64_t)slot * SLOT_BYTES;
    uint8_t *data = fake_at(&g.fake, at);

    memcpy(data, &header, sizeof(header));
    pattern(data + HEADER, seed, len);
    fake_desc(&g.fake, TX, head, at, HEADER - 3, VIRTQ_DESC_F_NEXT, (uint16_t)(head + 1));
    fake_desc(&g.fake, TX, (uint16_t)(head + 1), at + HEADER - 3, len + 3, 0, 0);
    fake_add(&g.fake, TX, head);
    g.next[TX]++;
}

uint8_t *post_rx(uint32_t len)
{
    const uint16_t head = g.next[RX]++ % QUEUE;
    const uint64_t at = RX_DATA + (uint64_t)head * SLOT_BYTES;
    uint8_t *data = fake_at(&g.fake, at);

    memset(data, UNTOUCHED, SLOT_BYTES);
    fake_desc(&g.fake, RX, head, at, len, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&g.fake, RX, head);
    return data;
}

void peer_sends_bytes(const void *bytes, size_t len)
{
    cr_assert_eq(write(g.peer, bytes, len), (ssize_t)len, "%s", strerror(errno));
}

void peer_sends(struct virtio_net_header header, uint8_t seed, uint32_t len)
{
    static uint8_t packet[2 * SLOT_BYTES];
    const uint32_t length = htobe32(len);
    const bool tap = g.net->kind == NET_TAP;
    const size_t before = tap ? sizeof(header) : sizeof(length);

    memcpy(packet, tap ? (const void *)&header : &length, before);
    pattern(packet + before, seed, len);
    peer_sends_bytes(packet, before + len);
}

static int stream_gives(uint8_t seed)
{
    static uint8_t frame[SLOT_BYTES];
    uint32_t length;

    if (recv(g.peer, &length, sizeof(length), 0) != sizeof(length))
        return -1;
    length = be32toh(length);
    cr_assert_leq(length, sizeof(frame));
    for (uint32_t have = 0; have < length;) {
        ssize_t got = recv(g.peer, frame + have, length - have, 0);

        if (got <= 0)
            settle();
        else
            have += (uint32_t)got;
    }
    cr_assert(is_pattern(frame, seed, length));
    return (int)length;
}

int peer_gets(struct virtio_net_header *header, uint8_t seed)
{
    static uint8_t packet[2 * SLOT_BYTES];
    ssize_t got;

    if (g.net->kind == NET_STREAM)
        return stream_gives(seed);
    got = read(g.peer, packet, sizeof(packet));
    if (got < 0)
        return -1;
    cr_assert_geq(got, HEADER);
    if (header)
        memcpy(header, packet, sizeof(*header));
    cr_assert(is_pattern(packet + HEADER, seed, (size_t)got - HEADER));
    return (int)got - HEADER;
}
