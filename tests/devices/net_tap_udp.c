/*
 * UDP that somebody else cuts: segments (USO) and fragments (UFO), between a driver and the
 * kernel's own UDP behind a real tap. The kernel makes segments for the guest, too, but no
 * fragments any more.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <endian.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/devices/net_guest.h"

enum { PORT = 7000, SEGMENT = 1000, SEGMENTS = 5, LAST = 700, PAYLOAD = 4 * SEGMENT + LAST };
enum { UDP_CUT = 103 /* UDP_SEGMENT */, OFFERED = TUN_F_CSUM | TUN_F_UFO | USO4 | USO6 };
enum { BUFFER = 0x11000, TURNS = 200, TURN_MS = 10, SEED = 9 };

#define PLAIN  (FEATURE(MRG_RXBUF) | FEATURE(CSUM) | FEATURE(GUEST_CSUM))
#define TO_US  (FEATURE(GUEST_USO4) | FEATURE(GUEST_USO6) | FEATURE(GUEST_UFO))
#define BY_TAP (FEATURE(HOST_USO) | FEATURE(HOST_UFO))

static const int families[] = {AF_INET, AF_INET6};
static int udp[2]; /* the kernel's ends, by family */

/* --- the kernel's side --- */

static int open_udp(int family)
{
    const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    const struct timeval patience = {.tv_sec = 5};
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), yes = 1;

    if (family == AF_INET6)
        cr_assert_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)), 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    cr_assert_eq(family == AF_INET ? bind(fd, (const struct sockaddr *)&any, sizeof(any))
                                   : bind(fd, (const struct sockaddr *)&any6, sizeof(any6)),
                 0);
    return fd;
}

static void set_up_kernel(void)
{
    static const char commands[] =
        "ip addr add 10.0.0.1/24 dev " REAL_TAP " && ip addr add fd00::1/64 nodad dev " REAL_TAP
        " && ip link set " REAL_TAP " up && "
        "ip neigh add 10.0.0.2 lladdr 02:03:04:05:06:07 nud permanent dev " REAL_TAP " && "
        "ip neigh add fd00::2 lladdr 02:03:04:05:06:07 nud permanent dev " REAL_TAP;

    cr_assert_eq(system(commands), 0);
    for (unsigned i = 0; i < 2; i++)
        udp[i] = open_udp(families[i]);
}

static bool has_segments(int fd)
{
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)OFFERED) == 0;
}

static void setup(void)
{
    int fd = open_real_tap();

    if (fd < 0)
        cr_skip("a tap needs root and /dev/net/tun");
    g.real = true;
    if (!has_segments(fd))
        cr_skip("!!! UDP's segments are not tested: taps have them since Linux 6.2");
    net_guest_open((struct net_config){.port = {.kind = NET_TAP, .fd = fd, .offloads = OFFERED}});
    set_up_kernel();
}

static void teardown(void)
{
    if (g.net)
        net_guest_close();
}

TestSuite(net_tap_udp, .init = setup, .fini = teardown, .timeout = 60);

/* --- frames of the driver's --- */

struct frame {
    uint8_t bytes[100 + PAYLOAD];
    size_t udp, data, len; /* where UDP's header is, and what it carries */
};

static uint32_t sum(const uint8_t *bytes, size_t len)
{
    uint32_t total = 0;

    for (size_t i = 0; i < len; i += 2)
        total += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return total;
}

static uint16_t fold(uint32_t total)
{
    total = (total & 0xffff) + (total >> 16);
    return htons((uint16_t)(total + (total >> 16)));
}

static void put_ip(struct frame *f)
{
    struct ip ip = {.ip_hl = 5, .ip_v = 4, .ip_ttl = 64, .ip_p = IPPROTO_UDP};

    ip.ip_len = htons((uint16_t)(sizeof(ip) + sizeof(struct udphdr) + PAYLOAD));
    ip.ip_src.s_addr = inet_addr("10.0.0.2");
    ip.ip_dst.s_addr = inet_addr("10.0.0.1");
    ip.ip_sum = (uint16_t)~fold(sum((const uint8_t *)&ip, sizeof(ip)));
    memcpy(f->bytes + ETH_HLEN, &ip, sizeof(ip));
    f->udp = ETH_HLEN + sizeof(ip);
}

static void put_ip6(struct frame *f)
{
    struct ip6_hdr ip = {.ip6_flow = htonl(6u << 28)};

    ip.ip6_plen = htons((uint16_t)(sizeof(struct udphdr) + PAYLOAD));
    ip.ip6_nxt = IPPROTO_UDP;
    ip.ip6_hlim = 64;
    cr_assert_eq(inet_pton(AF_INET6, "fd00::2", &ip.ip6_src), 1);
    cr_assert_eq(inet_pton(AF_INET6, "fd00::1", &ip.ip6_dst), 1);
    memcpy(f->bytes + ETH_HLEN, &ip, sizeof(ip));
    f->udp = ETH_HLEN + sizeof(ip);
}

static void put_ethernet(struct frame *f, int family)
{
    struct ifreq tap = {.ifr_name = REAL_TAP};
    struct ethhdr eth = {.h_source = {2, 3, 4, 5, 6, 7}};

    cr_assert_eq(ioctl(udp[0], SIOCGIFHWADDR, &tap), 0);
    memcpy(eth.h_dest, tap.ifr_hwaddr.sa_data, ETH_ALEN);
    eth.h_proto = htons(family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
    memcpy(f->bytes, &eth, sizeof(eth));
}

/* The checksum is that of addresses, protocol and length; whoever cuts it does the rest. */
static void compose(struct frame *f, int family)
{
    const size_t addresses = family == AF_INET ? 8 : 32;
    struct udphdr header = {.uh_sport = htons(PORT), .uh_dport = htons(PORT)};

    put_ethernet(f, family);
    if (family == AF_INET)
        put_ip(f);
    else
        put_ip6(f);
    header.uh_ulen = htons(sizeof(header) + PAYLOAD);
    header.uh_sum = fold(sum(f->bytes + f->udp - addresses, addresses) + IPPROTO_UDP +
                         sizeof(header) + PAYLOAD);
    memcpy(f->bytes + f->udp, &header, sizeof(header));
    f->data = f->udp + sizeof(header);
    f->len = f->data + PAYLOAD;
    pattern(f->bytes + f->data, SEED, PAYLOAD);
}

static void driver_sends(int family, uint8_t gso_type, uint16_t gso_size)
{
    static struct frame f;
    struct virtio_net_header header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                       .gso_type = gso_type,
                                       .gso_size = gso_size,
                                       .csum_offset = 6};
    uint64_t at = TX_DATA + (uint64_t)(g.next[TX] % (QUEUE / 2)) * SLOT_BYTES;

    compose(&f, family);
    header.csum_start = (uint16_t)f.udp;
    header.header_len = (uint16_t)f.data;
    post_tx(header, 0, (uint32_t)f.len);
    memcpy(fake_at(&g.fake, at + HEADER), f.bytes, f.len);
    kick(TX);
    cr_assert_eq(take_used(TX), 0);
    cr_assert_eq(g.fake.lines, 0, "%s", g.fake.line);
}

static void assert_is_part(const uint8_t *data, size_t from, size_t len)
{
    uint8_t whole[PAYLOAD];

    pattern(whole, SEED, sizeof(whole));
    cr_assert_arr_eq(data, whole + from, len);
}

Test(net_tap_udp, what_the_driver_sends_comes_out_in_segments)
{
    uint8_t got[PAYLOAD + 1];

    net_guest_start(PLAIN | BY_TAP);
    for (unsigned i = 0; i < 2; i++) {
        driver_sends(families[i], VIRTIO_NET_HDR_GSO_UDP_L4, SEGMENT);
        for (size_t at = 0; at < PAYLOAD; at += SEGMENT) {
            const size_t want = PAYLOAD - at < SEGMENT ? PAYLOAD - at : SEGMENT;

            cr_assert_eq(recv(udp[i], got, sizeof(got), 0), (ssize_t)want);
            assert_is_part(got, at, want);
        }
        cr_assert_eq(recv(udp[i], got, sizeof(got), MSG_DONTWAIT), -1);
    }
}

Test(net_tap_udp, fragments_are_of_one_datagram)
{
    uint8_t got[PAYLOAD + 1];

    net_guest_start(PLAIN | BY_TAP);
    for (unsigned i = 0; i < 2; i++) {
        driver_sends(families[i], VIRTIO_NET_HDR_GSO_UDP, 1440);
        cr_assert_eq(recv(udp[i], got, sizeof(got), 0), PAYLOAD);
        assert_is_part(got, 0, PAYLOAD);
    }
}

Test(net_tap_udp, what_was_not_agreed_upon_does_not_get_out)
{
    uint8_t got[PAYLOAD + 1];

    net_guest_start(PLAIN);
    for (unsigned i = 0; i < 2; i++) {
        driver_sends(families[i], VIRTIO_NET_HDR_GSO_UDP_L4, SEGMENT);
        driver_sends(families[i], VIRTIO_NET_HDR_GSO_UDP, 1440);
        cr_assert_eq(recv(udp[i], got, sizeof(got), MSG_DONTWAIT), -1);
    }
    cr_assert_eq(g.net->tx.flow.dropped, 4);
}

/* --- frames for the driver --- */

static void kernel_sends(unsigned which)
{
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    uint8_t data[PAYLOAD];
    int segment = SEGMENT;

    to.sin_addr.s_addr = inet_addr("10.0.0.2");
    cr_assert_eq(inet_pton(AF_INET6, "fd00::2", &to6.sin6_addr), 1);
    pattern(data, SEED, sizeof(data));
    cr_assert_eq(setsockopt(udp[which], SOL_UDP, UDP_CUT, &segment, sizeof(segment)), 0);
    cr_assert_eq(families[which] == AF_INET
                     ? sendto(udp[which], data, PAYLOAD, 0, (struct sockaddr *)&to, sizeof(to))
                     : sendto(udp[which], data, PAYLOAD, 0, (struct sockaddr *)&to6, sizeof(to6)),
                 PAYLOAD);
}

/* Where UDP's header would be in a frame, or 0. */
static size_t udp_in(const uint8_t *frame)
{
    const unsigned type = (unsigned)frame[12] << 8 | frame[13];

    if (type == ETH_P_IP && frame[ETH_HLEN + 9] == IPPROTO_UDP)
        return ETH_HLEN + sizeof(struct ip);
    return type == ETH_P_IPV6 && frame[ETH_HLEN + 6] == IPPROTO_UDP
               ? ETH_HLEN + sizeof(struct ip6_hdr)
               : 0;
}

/* The next datagram's header; what it carries in *data, *len. The kernel sends other frames, too.
 */
static struct virtio_net_header next_datagram(const uint8_t **data, size_t *len)
{
    struct virtio_net_header header;
    struct virtq_used_elem used;

    for (int i = 0; i < TURNS; i++) {
        cr_assert_eq(loop_turn(&g.loop, TURN_MS, NULL), 0);
        while (fake_used(&g.fake, RX, &used)) {
            const uint8_t *buffer = fake_at(&g.fake, RX_DATA + used.id * SLOT_BYTES);
            size_t at = udp_in(buffer + HEADER);

            if (at == 0)
                continue;
            memcpy(&header, buffer, sizeof(header));
            *data = buffer + HEADER + at + sizeof(struct udphdr);
            *len = used.len - HEADER - at - sizeof(struct udphdr);
            return header;
        }
    }
    cr_assert(false, "it did not come");
    abort();
}

static void post_buffers(void)
{
    for (int i = 0; i < QUEUE; i++)
        post_rx(BUFFER);
    kick(RX);
}

Test(net_tap_udp, a_driver_that_takes_segments_gets_them_in_one_frame)
{
    struct virtio_net_header header;
    const uint8_t *data;
    size_t len;

    net_guest_start(PLAIN | TO_US);
    cr_assert_eq(g.offloads, OFFERED);
    post_buffers();
    for (unsigned i = 0; i < 2; i++) {
        kernel_sends(i);
        header = next_datagram(&data, &len);
        cr_assert_eq(header.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
        cr_assert_eq(header.gso_size, SEGMENT);
        cr_assert_eq(header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        cr_assert_eq(header.buffers, 1);
        cr_assert_eq(len, PAYLOAD);
        assert_is_part(data, 0, PAYLOAD);
    }
    cr_assert_eq(g.fake.lines, 0, "%s", g.fake.line);
}

/* As samara's own. */
Test(net_tap_udp, for_a_driver_that_does_not_the_kernel_cuts)
{
    struct virtio_net_header header;
    const uint8_t *data;
    size_t len;

    net_guest_start(PLAIN);
    cr_assert_eq(g.offloads, TUN_F_CSUM);
    post_buffers();
    for (unsigned i = 0; i < 2; i++) {
        kernel_sends(i);
        for (size_t at = 0; at < PAYLOAD; at += SEGMENT) {
            header = next_datagram(&data, &len);
            cr_assert_eq(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
            cr_assert_eq(len, PAYLOAD - at < SEGMENT ? PAYLOAD - at : SEGMENT);
            assert_is_part(data, at, len);
        }
    }
}
