/* Received frames, with the test as a device that is mostly honest. */
#include <criterion/criterion.h>
#include <string.h>
#include "abi/virtio_net.h"
#include "guest-kernel/drivers/net_rx.h"
#include "lwip/pbuf.h"
#include "tests/guest-kernel/net_fake.h"

enum { SIZE = 64, HEADER = sizeof(struct virtio_net_header), ROOM = 4000 };

static struct net_rx rx;
static u16 next; /* entry of the available ring that the device takes next */
static bool checked;

static void setup(void)
{
    fake_queue(&rx.queue, SIZE);
    cr_assert(net_rx_start(&rx, true));
}

TestSuite(net_rx, .init = setup);

static u16 head(void)
{
    return rx.queue.avail[2 + next++ % SIZE];
}

/* A frame in `buffers` buffers, of len bytes each (the header's among the first ones). */
static void deliver(unsigned buffers, u16 told, u32 len, u8 flags)
{
    const struct virtio_net_header header = {.flags = flags, .buffers = told};

    for (unsigned i = 0; i < buffers; i++) {
        u16 h = head();

        memset(fake_buffer(&rx.queue, h), (int)('a' + i), len);
        if (i == 0)
            memcpy(fake_buffer(&rx.queue, h), &header, sizeof(header));
        fake_use(&rx.queue, h, len);
    }
}

static unsigned in_ring(void)
{
    return (unsigned)(u16)(rx.queue.avail_next - next);
}

Test(net_rx, a_large_frame_is_put_together)
{
    struct pbuf *p;
    char at[2];

    deliver(3, 3, ROOM, 0);
    p = net_rx_next(&rx, &checked);
    cr_assert_not_null(p);
    cr_expect_eq(p->tot_len, 3 * ROOM - HEADER);
    pbuf_copy_partial(p, at, 2, ROOM - HEADER - 1);
    cr_expect_eq(memcmp(at, "ab", 2), 0);
    cr_expect_not(checked);
    cr_expect_null(net_rx_next(&rx, &checked));
    pbuf_free(p);
}

Test(net_rx, checksums_are_checked_if_the_device_says_so)
{
    struct pbuf *p;

    deliver(1, 1, ROOM, VIRTIO_NET_HDR_F_DATA_VALID);
    p = net_rx_next(&rx, &checked);
    cr_expect(p && checked);
    pbuf_free(p);
    deliver(1, 1, 100, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    p = net_rx_next(&rx, &checked);
    cr_expect(p && checked);
    pbuf_free(p);
}

Test(net_rx, a_small_frame_takes_no_buffer_along)
{
    unsigned before = in_ring();
    struct pbuf *p;

    deliver(1, 1, 100, 0);
    p = net_rx_next(&rx, &checked);
    cr_assert_not_null(p);
    cr_expect_eq(p->tot_len, 100 - HEADER);
    cr_expect_eq(in_ring(), before);
    pbuf_free(p);
}

Test(net_rx, buffers_come_back_and_are_used_again)
{
    size_t before;

    for (unsigned i = 0; i < 1000; i++) {
        struct pbuf *p;

        deliver(2, 2, ROOM, 0);
        p = net_rx_next(&rx, &checked);
        cr_assert_not_null(p);
        pbuf_free(p);
        net_rx_refill(&rx);
        if (i == 10)
            before = fake_pages;
    }
    cr_expect_eq(fake_pages, before);
}

Test(net_rx, a_short_frame_is_dropped)
{
    struct pbuf *p;

    deliver(1, 1, HEADER + 13, 0);
    deliver(1, 1, 3, 0);
    deliver(1, 1, HEADER + 14, 0);
    p = net_rx_next(&rx, &checked);
    cr_assert_not_null(p);
    cr_expect_eq(p->tot_len, 14);
    pbuf_free(p);
    cr_expect_not(rx.queue.broken);
}

Test(net_rx, a_frame_longer_than_any_is_dropped)
{
    unsigned buffers = 17;
    struct pbuf *p;

    deliver(buffers, (u16)buffers, ROOM, 0); /* 68000 */
    deliver(1, 1, ROOM, 0);
    p = net_rx_next(&rx, &checked);
    cr_assert_not_null(p);
    cr_expect_eq(p->tot_len, ROOM - HEADER);
    cr_expect_not(rx.queue.broken);
    pbuf_free(p);
}

Test(net_rx, buffers_that_are_not_there_break_the_queue)
{
    deliver(1, 2, ROOM, 0);
    cr_expect_null(net_rx_next(&rx, &checked));
    cr_expect(rx.queue.broken);
}

Test(net_rx, no_buffers_at_all_break_the_queue)
{
    deliver(1, 0, ROOM, 0);
    cr_expect_null(net_rx_next(&rx, &checked));
    cr_expect(rx.queue.broken);
}

Test(net_rx, more_buffers_than_the_ring_has_break_the_queue)
{
    deliver(1, SIZE + 1, ROOM, 0);
    cr_expect_null(net_rx_next(&rx, &checked));
    cr_expect(rx.queue.broken);
}

Test(net_rx, a_buffer_filled_beyond_its_end_breaks_the_queue)
{
    fake_use(&rx.queue, head(), 5000);
    cr_expect_null(net_rx_next(&rx, &checked));
    cr_expect(rx.queue.broken);
}

/* lwIP holds on to everything: what acknowledges and closes still comes through. */
Test(net_rx, without_memory_small_frames_are_still_taken)
{
    static struct pbuf *held[1000];
    unsigned count = 0;
    struct pbuf *p;

    for (;;) {
        net_rx_refill(&rx);
        deliver(1, 1, ROOM, 0);
        if (!(p = net_rx_next(&rx, &checked)))
            break;
        held[count++] = p;
        cr_assert_lt(count, ARRAY_LEN(held));
    }
    cr_expect_gt(count, 50); /* a quarter of 400 pages, less those in the ring */
    cr_expect_gt(in_ring(), 0);
    for (unsigned i = 0; i < 100; i++) {
        deliver(1, 1, 100, 0);
        p = net_rx_next(&rx, &checked);
        cr_assert_not_null(p);
        pbuf_free(p);
    }
    while (count > 0)
        pbuf_free(held[--count]);
    net_rx_refill(&rx);
    deliver(1, 1, ROOM, 0);
    p = net_rx_next(&rx, &checked);
    cr_assert_not_null(p);
    pbuf_free(p);
}

Test(net_rx, a_ring_that_runs_empty_grows)
{
    unsigned before = in_ring();
    struct pbuf *held[SIZE], *p;
    unsigned count = 0;

    deliver(before, 1, ROOM, 0);
    for (unsigned i = 0; i < before; i++) {
        const struct virtio_net_header header = {.buffers = 1};

        memcpy(fake_buffer(&rx.queue, rx.queue.avail[2 + i]), &header, sizeof(header));
    }
    while ((p = net_rx_next(&rx, &checked)) != NULL)
        held[count++] = p;
    cr_expect_eq(count, before);
    cr_expect(net_rx_refill(&rx));
    while (count > 0)
        pbuf_free(held[--count]);
}

Test(net_rx, without_mergeable_buffers_a_header_does_not_count_them)
{
    struct pbuf *p;

    rx.mergeable = false;
    deliver(1, 0, ROOM, 0);
    p = net_rx_next(&rx, &checked);
    cr_assert_not_null(p);
    pbuf_free(p);
}
