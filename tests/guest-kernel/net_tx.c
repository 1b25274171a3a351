/* Frames to send, with the test as the device. */
#include <criterion/criterion.h>
#include <string.h>
#include "abi/virtio.h"
#include "abi/virtio_net.h"
#include "guest-kernel/drivers/net_tx.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"
#include "tests/guest-kernel/net_fake.h"

enum { SIZE = 16 };

static struct net_tx tx;
static u16 taken; /* entries of the available ring that the device has */

static void setup(void)
{
    fake_queue(&tx.queue, SIZE);
    tx.checksum = true;
}

TestSuite(net_tx, .init = setup);

static struct pbuf *frame(const void *bytes, size_t size)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16)size, PBUF_RAM);

    memcpy(p->payload, bytes, size);
    return p;
}

static u16 take(void)
{
    return tx.queue.avail[2 + taken++ % SIZE];
}

static const struct virtio_net_header *header_at(u16 head)
{
    cr_assert_eq(tx.queue.desc[head].len, sizeof(struct virtio_net_header));
    return fake_buffer(&tx.queue, head);
}

/* What a device does: sums up from csum_start on and puts the complement at csum_offset. */
static void complete(u8 *bytes, size_t size, const struct virtio_net_header *header)
{
    u16 sum = inet_chksum(bytes + header->csum_start, (u16)(size - header->csum_start));

    memcpy(bytes + header->csum_start + header->csum_offset, &sum, sizeof(sum));
}

static u8 tcp4[14 + 20 + 20 + 5] = {
    [12] = 8, 0, [14] = 0x45, [23] = 6, [26] = 10,   0,          0,   2,   10,  0,  0, 1,
    [34] = 1, 2, 3,           4,        [46] = 0x50, [54] = 'h', 'e', 'l', 'l', 'o'};
static u8 tcp6[14 + 40 + 20 + 5] = {[12] = 0x86, 0xdd,        [14] = 0x60, [20] = 6,   [22] = 0xfd,
                                    [37] = 2,    [38] = 0xfd, [53] = 1,    [54] = 1,   2,
                                    3,           4,           [66] = 0x50, [74] = 'h', 'e',
                                    'l',         'l',         'o'};

/* The whole sum of a good segment, pseudo header and all, is zero. */
static u16 sum_of(const u8 *bytes, size_t size, unsigned ip_at, unsigned ip_size, unsigned tcp_at)
{
    struct pbuf *p = frame(bytes + tcp_at, size - tcp_at);
    ip_addr_t from = {0}, to = {0};
    u16 sum;

    IP_SET_TYPE_VAL(from, ip_size == 4 ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
    IP_SET_TYPE_VAL(to, IP_GET_TYPE(&from));
    memcpy(&from, bytes + ip_at, ip_size);
    memcpy(&to, bytes + ip_at + ip_size, ip_size);
    sum = ip_chksum_pseudo(p, 6, p->tot_len, &from, &to);
    pbuf_free(p);
    return sum;
}

Test(net_tx, the_device_can_complete_a_checksum)
{
    struct pbuf *p = frame(tcp4, sizeof(tcp4));
    const struct virtio_net_header *header;
    u16 head;

    cr_assert(net_tx_send(&tx, p));
    header = header_at(head = take());
    cr_expect_eq(header->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    cr_expect_eq(header->csum_start, 34);
    cr_expect_eq(header->csum_offset, 16);
    cr_expect_eq(fake_buffer(&tx.queue, tx.queue.desc[head].next), p->payload);
    complete(p->payload, sizeof(tcp4), header);
    cr_expect_eq(sum_of(p->payload, sizeof(tcp4), 26, 4, 34), 0);
}

Test(net_tx, the_device_can_complete_one_of_ipv6)
{
    struct pbuf *p = frame(tcp6, sizeof(tcp6));
    const struct virtio_net_header *header;

    cr_assert(net_tx_send(&tx, p));
    header = header_at(take());
    cr_expect_eq(header->csum_start, 54);
    complete(p->payload, sizeof(tcp6), header);
    cr_expect_eq(sum_of(p->payload, sizeof(tcp6), 22, 16, 54), 0);
}

Test(net_tx, others_are_left_alone)
{
    u8 udp[sizeof(tcp4)];
    struct pbuf *p;

    memcpy(udp, tcp4, sizeof(udp));
    udp[23] = 17;
    p = frame(udp, sizeof(udp));
    cr_assert(net_tx_send(&tx, p));
    cr_expect_eq(header_at(take())->flags, 0);
    cr_expect_eq(memcmp(p->payload, udp, sizeof(udp)), 0);
    tx.checksum = false;
    cr_assert(net_tx_send(&tx, frame(tcp4, sizeof(tcp4))));
    cr_expect_eq(header_at(take())->flags, 0);
}

Test(net_tx, a_frame_is_kept_until_the_device_is_done)
{
    struct pbuf *p = frame(tcp4, sizeof(tcp4));

    cr_assert(net_tx_send(&tx, p));
    cr_expect_eq(p->ref, 2);
    net_tx_reap(&tx);
    cr_expect_eq(p->ref, 2);
    fake_use(&tx.queue, take(), 0);
    net_tx_reap(&tx);
    cr_expect_eq(p->ref, 1);
    pbuf_free(p);
    cr_expect_eq(fake_heap, 0);
}

Test(net_tx, a_full_ring_refuses_and_tells_of_room)
{
    struct pbuf *p = frame(tcp4, sizeof(tcp4));

    for (unsigned i = 0; i < SIZE / 2; i++)
        cr_assert(net_tx_send(&tx, p));
    cr_expect_not(net_tx_send(&tx, p));
    cr_expect(tx.full);
    cr_expect_eq(p->ref, 1 + SIZE / 2);
    cr_expect_eq(tx.queue.avail[2 + SIZE], tx.queue.used_next); /* an interrupt is asked for */
    fake_use(&tx.queue, take(), 0);
    cr_expect(net_tx_reap(&tx));
    cr_expect(net_tx_send(&tx, p));
}

Test(net_tx, many_frames_are_one_notification)
{
    struct pbuf *p = frame(tcp4, sizeof(tcp4));

    for (unsigned i = 0; i < SIZE / 2; i++)
        cr_assert(net_tx_send(&tx, p));
    cr_expect_eq(fake_kicks, 0);
    net_tx_flush(&tx);
    net_tx_flush(&tx);
    cr_expect_eq(fake_kicks, 1);
}

Test(net_tx, a_frame_in_many_pieces_becomes_one)
{
    static u8 bytes[100];
    struct pbuf *p = frame(bytes, 14);
    u16 head;

    for (unsigned i = 0; i < 90; i++)
        pbuf_cat(p, frame(bytes, i % 3));
    cr_assert(net_tx_send(&tx, p));
    head = take();
    cr_expect_not(tx.queue.desc[head].flags & VIRTQ_DESC_F_NEXT);
    cr_expect_eq(tx.queue.desc[head].len, sizeof(struct virtio_net_header) + 14 + 90);
}
