#include "guest-kernel/drivers/net_rx.h"
#include "abi/virtio_net.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/page.h"
#include "lwip/pbuf.h"

enum {
    TARGET_FIRST = 32,
    LARGE_FRAME = 17, /* buffers that one of 64 KiB takes */
    RESERVE = 8,      /* in the ring when all memory for buffers is with lwIP */
    SPARE_MOST = 64,
    SMALL = 512,
    RAM_SHARE = 4, /* of memory for buffers: one part in so many */
    FRAME_MIN = 14,
    FRAME_MAX = 65535, /* a pbuf's length has 16 bits */
};

struct net_buffer {
    struct pbuf_custom pbuf; /* first: lwIP gives it back by this address */
    struct net_rx *rx;
    struct net_buffer *next;
    u8 data[];
};
#define BUFFER_ROOM ((u32)(PAGE_SIZE - sizeof(struct net_buffer)))

static unsigned buffers; /* of all devices, wherever they are */

static struct net_buffer *buffer_new(struct net_rx *rx)
{
    struct net_buffer *b = rx->spare;
    bool zero;

    if (b) {
        rx->spare = b->next;
        rx->spare_count--;
        return b;
    }
    if (buffers >= pages_total() / RAM_SHARE)
        return NULL;
    b = page_alloc_raw(&zero);
    if (!b)
        return NULL;
    buffers++;
    b->rx = rx;
    return b;
}

static void recycle(struct net_buffer *b)
{
    struct net_rx *rx = b->rx;

    if (rx->spare_count == SPARE_MOST) {
        buffers--;
        page_free(b);
        return;
    }
    b->next = rx->spare;
    rx->spare = b;
    rx->spare_count++;
}

static void let_go(struct pbuf *p)
{
    recycle((struct net_buffer *)(void *)p);
}

static bool post(struct net_rx *rx, struct net_buffer *b)
{
    const struct vq_part part = {b->data, BUFFER_ROOM, true};

    if (!vq_add(&rx->queue, &part, 1, b)) {
        recycle(b);
        return false;
    }
    rx->posted++;
    return true;
}

bool net_rx_start(struct net_rx *rx, bool mergeable)
{
    rx->mergeable = mergeable;
    rx->target = MIN((unsigned)TARGET_FIRST, (unsigned)rx->queue.size);
    net_rx_refill(rx);
    vq_disarm(&rx->queue);
    return rx->posted > 0;
}

bool net_rx_refill(struct net_rx *rx)
{
    struct net_buffer *b;

    while (rx->posted < rx->target && (b = buffer_new(rx)) != NULL) {
        if (!post(rx, b))
            break;
    }
    return (u16)(rx->queue.avail_next - rx->queue.kicked) >= MIN(rx->target / 4, rx->posted);
}

/* There was no room for one more frame: they come faster than we look. */
static void grow(struct net_rx *rx)
{
    const unsigned frame = rx->mergeable ? LARGE_FRAME : 1;

    if (rx->posted < frame && rx->target < rx->queue.size)
        rx->target = MIN(rx->target * 2, (unsigned)rx->queue.size);
}

static struct net_buffer *take(struct net_rx *rx, u32 *len)
{
    struct vq_used used;

    if (!vq_pop(&rx->queue, &used))
        return NULL;
    rx->posted--;
    *len = used.len;
    return used.token;
}

/* Part of a frame as a pbuf; the buffer is lwIP's from here on. */
static struct pbuf *as_pbuf(struct net_buffer *b, u32 from, u32 len)
{
    b->pbuf.custom_free_function = let_go;
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &b->pbuf, b->data + from,
                               (u16_t)len);
}

/* The other buffers of a frame, behind p or, if that is NULL, back to where they came from. The
 * device shows them all at once (5.1.6.3.2). False: they are not there, or too much for a frame. */
static bool take_rest(struct net_rx *rx, struct pbuf *p, unsigned count)
{
    bool fits = p != NULL;

    while (count-- > 0) {
        u32 len;
        struct net_buffer *b = take(rx, &len);

        if (!b) {
            rx->queue.broken = true;
            return false;
        }
        fits = fits && len > 0 && len <= FRAME_MAX - (u32)p->tot_len;
        if (fits)
            pbuf_cat(p, as_pbuf(b, 0, len));
        else
            recycle(b);
    }
    return fits;
}

static struct pbuf *copy(struct net_rx *rx, struct net_buffer *b, u32 from, u32 len)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);

    if (p)
        memcpy(p->payload, b->data + from, len);
    post(rx, b);
    return p;
}

/* All memory for buffers is with lwIP. Small frames are still taken, among them those that will
 * have it let go of some; others are lost, as on a wire. */
static bool is_scarce(struct net_rx *rx)
{
    if (rx->posted < RESERVE)
        net_rx_refill(rx);
    return rx->posted < RESERVE;
}

static struct pbuf *frame_of(struct net_rx *rx, struct net_buffer *b, u32 len, unsigned count)
{
    const u32 from = sizeof(struct virtio_net_header);
    struct pbuf *p = NULL;

    if (count == 1 && len >= from + FRAME_MIN && len - from <= SMALL)
        return copy(rx, b, from, len - from);
    if (len >= from + FRAME_MIN && !is_scarce(rx))
        p = as_pbuf(b, from, len - from);
    else
        recycle(b);
    if (take_rest(rx, p, count - 1))
        return p;
    if (p)
        pbuf_free(p);
    return NULL;
}

/* True if there was something; *out is NULL if it had to be dropped. */
static bool take_frame(struct net_rx *rx, struct pbuf **out, bool *checked)
{
    struct virtio_net_header header;
    u32 len;
    struct net_buffer *b = take(rx, &len);
    unsigned count;

    if (!b)
        return false;
    memcpy(&header, b->data, sizeof(header));
    __asm__ volatile("" : : : "memory");
    count = rx->mergeable ? header.buffers : 1;
    if (count < 1 || count > rx->queue.size) {
        recycle(b);
        rx->queue.broken = true;
        return false;
    }
    grow(rx);
    *checked = header.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
    *out = frame_of(rx, b, len, count);
    return true;
}

struct pbuf *net_rx_next(struct net_rx *rx, bool *checked)
{
    struct pbuf *p = NULL;

    while (!p && take_frame(rx, &p, checked))
        ;
    return p;
}
