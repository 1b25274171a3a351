/* TCP segments that go as one frame, with the test as lwIP and as the device. */
#include <criterion/criterion.h>
#include <string.h>
#include "abi/virtio.h"
#include "abi/virtio_net.h"
#include "guest-kernel/drivers/net_tx.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"
#include "lwip/prot/tcp.h"
#include "tests/guest-kernel/net_fake.h"

enum { SIZE = 64, FULL = 100, HEADERS4 = 14 + 20 + 20, HEADERS6 = 14 + 40 + 20 };

static struct net_tx tx;
static u16 taken; /* entries of the available ring that the device has */

static void setup(void)
{
    fake_queue(&tx.queue, SIZE);
    tx.checksum = true;
    tx.segmentation = (struct net_segmentation){.ip4 = true, .ip6 = true};
}

TestSuite(net_segment, .init = setup);

/* A segment as lwIP hands it over: its checksum is left out. */
static struct pbuf *segment(bool ip6, u32 seq, u8 flags, u16 data)
{
    static const u8 four[HEADERS4] = {
        [12] = 8, 0, [14] = 0x45, [23] = 6, [26] = 10, 0, 0, 2,           10,
        0,        0, 1,           [34] = 1, 2,         3, 4, [46] = 0x50, [48] = 7};
    static const u8 six[HEADERS6] = {[12] = 0x86, 0xdd,        [14] = 0x60, [20] = 6, [22] = 0xfd,
                                     [37] = 2,    [38] = 0xfd, [53] = 1,    [54] = 1, 2,
                                     3,           4,           [66] = 0x50, [68] = 7};
    const u16 headers = ip6 ? HEADERS6 : HEADERS4;
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16)(headers + data), PBUF_RAM);
    u8 *bytes = p->payload;
    const u32 big_endian = lwip_htonl(seq);
    const u16 length = lwip_htons((u16)(headers - 14 - (ip6 ? 40 : 0) + data));

    memcpy(bytes, ip6 ? six : four, headers);
    memcpy(bytes + (ip6 ? 18 : 16), &length, sizeof(length));
    memcpy(bytes + headers - 16, &big_endian, sizeof(big_endian));
    bytes[headers - 7] = flags;
    for (u16 i = 0; i < data; i++)
        bytes[headers + i] = (u8)(seq + i);
    return p;
}

/* lwIP's own reference goes at once: what is left is the device's. */
static void send(struct pbuf *p)
{
    cr_assert(net_tx_send(&tx, p));
    pbuf_free(p);
}

/* The next frame that the device finds, put together; its size. */
static size_t take(u8 to[4096], struct virtio_net_header *header)
{
    u16 head, at;
    size_t size = 0;

    cr_assert_neq(tx.queue.avail[1], taken, "there is no frame");
    head = at = tx.queue.avail[2 + taken++ % SIZE];
    for (;;) {
        memcpy(to + size, fake_buffer(&tx.queue, at), tx.queue.desc[at].len);
        size += tx.queue.desc[at].len;
        if (!(tx.queue.desc[at].flags & VIRTQ_DESC_F_NEXT))
            break;
        at = tx.queue.desc[at].next;
    }
    fake_use(&tx.queue, head, 0);
    memcpy(header, to, sizeof(*header));
    memmove(to, to + sizeof(*header), size - sizeof(*header));
    return size - sizeof(*header);
}

static bool nothing_more(void)
{
    return tx.queue.avail[1] == taken;
}

static u16 word(const u8 *at)
{
    return (u16)(at[0] << 8 | at[1]);
}

/* With what the device adds, the sum over segment and pseudo header is that of a good one. */
static void check_sum(u8 *bytes, size_t size, const struct virtio_net_header *h, bool ip6)
{
    const unsigned ip_at = ip6 ? 22 : 26, ip_size = ip6 ? 16 : 4;
    u16 sum = inet_chksum(bytes + h->csum_start, (u16)(size - h->csum_start));
    ip_addr_t from = {0}, to = {0};
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16)(size - h->csum_start), PBUF_RAM);

    memcpy(bytes + h->csum_start + h->csum_offset, &sum, sizeof(sum));
    memcpy(p->payload, bytes + h->csum_start, p->tot_len);
    IP_SET_TYPE_VAL(from, ip6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
    IP_SET_TYPE_VAL(to, IP_GET_TYPE(&from));
    memcpy(&from, bytes + ip_at, ip_size);
    memcpy(&to, bytes + ip_at + ip_size, ip_size);
    cr_expect_eq(ip_chksum_pseudo(p, 6, p->tot_len, &from, &to), 0);
    pbuf_free(p);
}

static void check_data(const u8 *data, u32 seq, size_t len)
{
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(data[i], (u8)(seq + i));
}

static void two_and_a_half(bool ip6, u8 gso_type, u16 headers)
{
    const u16 data = 2 * FULL + FULL / 2;
    struct virtio_net_header h;
    u8 bytes[4096];
    size_t size;

    send(segment(ip6, 1000, TCP_ACK, FULL));
    send(segment(ip6, 1000 + FULL, TCP_ACK, FULL));
    send(segment(ip6, 1000 + 2 * FULL, TCP_ACK | TCP_PSH, FULL / 2));
    cr_expect(nothing_more());
    net_tx_flush(&tx);
    size = take(bytes, &h);
    cr_expect(nothing_more());
    cr_assert_eq(size, headers + data);
    cr_expect_eq(h.gso_type, gso_type);
    cr_expect_eq(h.gso_size, FULL);
    cr_expect_eq(h.header_len, headers);
    cr_expect_eq(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    cr_expect_eq(h.csum_start, headers - 20);
    cr_expect_eq(bytes[headers - 7], TCP_ACK | TCP_PSH);
    cr_expect_eq(word(bytes + (ip6 ? 18 : 16)), headers - 14 - (ip6 ? 40 : 0) + data);
    check_data(bytes + headers, 1000, data);
    check_sum(bytes, size, &h, ip6);
    if (!ip6)
        cr_expect_eq(inet_chksum(bytes + 14, 20), 0);
    net_tx_reap(&tx);
    cr_expect_eq(fake_heap, 0);
}

Test(net_segment, those_that_follow_go_as_one_frame)
{
    two_and_a_half(false, VIRTIO_NET_HDR_GSO_TCPV4, HEADERS4);
}

Test(net_segment, so_do_those_of_ipv6)
{
    two_and_a_half(true, VIRTIO_NET_HDR_GSO_TCPV6, HEADERS6);
}

Test(net_segment, one_alone_is_nothing_to_cut)
{
    struct virtio_net_header h;
    u8 bytes[4096];
    size_t size;

    send(segment(false, 5, TCP_ACK, FULL));
    net_tx_flush(&tx);
    size = take(bytes, &h);
    cr_expect_eq(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    cr_expect_eq(h.gso_size, 0);
    check_sum(bytes, size, &h, false);
}

/* Each as a frame of its own, in order. */
static void stay_apart(struct pbuf *a, struct pbuf *b)
{
    const u16 sizes[2] = {a->tot_len, b->tot_len};
    struct virtio_net_header h;
    u8 bytes[4096];

    send(a);
    send(b);
    net_tx_flush(&tx);
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(take(bytes, &h), sizes[i]);
        cr_expect_eq(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    }
    cr_expect(nothing_more());
    net_tx_reap(&tx);
    cr_expect_eq(fake_heap, 0);
}

static struct pbuf *changed(struct pbuf *p, unsigned at)
{
    ((u8 *)p->payload)[at] ^= 1;
    return p;
}

Test(net_segment, what_does_not_follow_stays_apart)
{
    stay_apart(segment(false, 0, TCP_ACK, FULL), segment(false, FULL + 1, TCP_ACK, FULL));
    stay_apart(segment(false, 0, TCP_ACK, FULL), segment(false, 0, TCP_ACK, FULL));
    stay_apart(segment(false, 0, TCP_ACK, FULL), segment(false, FULL, TCP_ACK, FULL + 1));
    stay_apart(segment(false, 0, TCP_ACK, FULL), segment(false, FULL, TCP_ACK | TCP_FIN, FULL));
    stay_apart(segment(false, 0, TCP_ACK | TCP_SYN, FULL), segment(false, FULL, TCP_ACK, FULL));
    stay_apart(segment(false, 0, TCP_ACK, FULL), segment(true, FULL, TCP_ACK, FULL));
    stay_apart(segment(false, 0, TCP_ACK, FULL), segment(false, FULL, TCP_ACK, 0));
}

Test(net_segment, nothing_comes_behind_a_short_one)
{
    struct virtio_net_header h;
    u8 bytes[4096];

    send(segment(false, 0, TCP_ACK, FULL));
    send(segment(false, FULL, TCP_ACK, FULL - 1));
    send(segment(false, 2 * FULL - 1, TCP_ACK, 5));
    net_tx_flush(&tx);
    cr_expect_eq(take(bytes, &h), HEADERS4 + 2 * FULL - 1);
    cr_expect_eq(take(bytes, &h), HEADERS4 + 5);
}

/* Type of service, destinations of each layer, ports, acknowledgement, window. */
Test(net_segment, those_with_other_headers_stay_apart)
{
    static const u8 four[] = {0, 15, 20, 22, 30, 34, 36, 42, 48};
    static const u8 six[] = {0, 15, 21, 38, 54, 62, 68};

    for (unsigned i = 0; i < sizeof(four); i++)
        stay_apart(segment(false, 0, TCP_ACK, FULL),
                   changed(segment(false, FULL, TCP_ACK, FULL), four[i]));
    for (unsigned i = 0; i < sizeof(six); i++)
        stay_apart(segment(true, 0, TCP_ACK, FULL),
                   changed(segment(true, FULL, TCP_ACK, FULL), six[i]));
}

Test(net_segment, nothing_is_put_together_for_a_device_that_does_not_cut)
{
    tx.segmentation.ip4 = false;
    stay_apart(segment(false, 0, TCP_ACK, FULL), segment(false, FULL, TCP_ACK, FULL));
    tx.segmentation = (struct net_segmentation){.ip4 = true};
    stay_apart(segment(true, 0, TCP_ACK, FULL), segment(true, FULL, TCP_ACK, FULL));
}

/* It is in the run's frame in lwIP's memory, and sent again from there with new headers. */
Test(net_segment, headers_of_lwips_own_are_left_alone)
{
    struct pbuf *p = segment(false, 0, TCP_ACK, FULL), *same = segment(false, 0, TCP_ACK, FULL);
    struct virtio_net_header h;
    u8 bytes[4096];

    cr_assert(net_tx_send(&tx, p));
    cr_expect_eq(p->ref, 2);
    send(segment(false, FULL, TCP_ACK | TCP_PSH, FULL));
    net_tx_flush(&tx);
    cr_expect_eq(memcmp(p->payload, same->payload, p->len), 0);
    take(bytes, &h);
    net_tx_reap(&tx);
    cr_expect_eq(p->ref, 1);
}

Test(net_segment, a_run_ends_where_an_ip_packet_does)
{
    enum { LARGE = 1400 };
    struct virtio_net_header h;
    static u8 bytes[70000];
    u32 seq = 0;

    fake_queue(&tx.queue, SIZE);
    for (unsigned i = 0; i < NET_RUN_PARTS + 2; i++, seq += LARGE)
        send(segment(false, seq, TCP_ACK, LARGE));
    net_tx_flush(&tx);
    cr_expect_leq(take(bytes, &h), 14 + 65535);
    cr_expect_eq(h.gso_size, LARGE);
    cr_expect_leq(14 + 65535, word(bytes + 16) + 14 + 2 * LARGE);
    take(bytes, &h);
    cr_expect(nothing_more());
}

Test(net_segment, a_full_ring_refuses_but_has_room_for_the_run)
{
    u32 seq = 0;
    unsigned sent = 0;
    struct pbuf *p;
    struct virtio_net_header h;
    u8 bytes[4096];

    fake_queue(&tx.queue, 8);
    for (;; sent++, seq += FULL) {
        p = segment(false, seq, TCP_ACK, FULL);
        if (!net_tx_send(&tx, p))
            break;
        pbuf_free(p);
    }
    cr_expect_eq(sent, 7);
    cr_expect_eq(p->ref, 1);
    cr_expect(tx.full);
    net_tx_flush(&tx);
    cr_expect_eq(take(bytes, &h), HEADERS4 + 7 * FULL);
    cr_expect(net_tx_reap(&tx));
    cr_expect(net_tx_send(&tx, p));
}
