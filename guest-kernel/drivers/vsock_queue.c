/*
 * A packet is two descriptors, header and payload, both ways: headers lie together in the heap, so
 * that control packets never touch a payload page. Payload memory costs the host nothing until it
 * is written: few buffers are posted at first, more once a packet fills one.
 */
#include "guest-kernel/drivers/vsock_queue.h"
#include "abi/memory_map.h"
#include "abi/platform.h"
#include "abi/virtio.h"
#include "guest-kernel/drivers/irq.h"
#include "guest-kernel/drivers/virtio_mmio.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/user.h"

#define RING_SIZE      128
#define POSTED_FIRST   4
#define POSTED_MOST    32
#define SPARE_MOST     32 /* recycled buffers kept beyond those posted */
#define SLOTS          32
#define SLOTS_CONTROL  8 /* of them kept free for packets without payload */
#define SLOTS_DATA     2 /* have memory from the start: output goes on when there is no more */
#define BUFFER_SIZE    (64u << 10)
#define BUFFER_SMALL   (16u << 10)
#define SMALL_RAM      (64ull << 20)
#define PARTS_IN_PLACE 65 /* pages of a payload that stays where it is: it may begin within one */

struct slot {
    struct slot *next;
    u8 *data; /* allocated at first use */
    struct virtio_vsock_hdr header;
};

static struct virtio_device device;
static struct vq rx, tx;

static u32 buffer_size;
static unsigned posted, posted_target;
static struct vsock_buffer *spare;
static unsigned spare_count;

static struct slot slots[SLOTS];
/* Last in, first out: a small program keeps to one. */
static struct slot *free_slots;      /* without memory for payload: control packets take these */
static struct slot *free_data_slots; /* with it */
static unsigned free_slot_count;     /* in both */
static const struct slot *in_place;  /* its payload is not ours, and the device has not taken it */

u32 vsockq_buffer_size(void)
{
    return buffer_size;
}

u32 vsockq_cid(void)
{
    return device.edge ? SAMARA_GUEST_CID : virtio_config_read(&device, 0);
}

static void *data_alloc(void)
{
    return pages_alloc((unsigned)(buffer_size / PAGE_SIZE));
}

static void data_free(void *data)
{
    pages_free(data, (unsigned)(buffer_size / PAGE_SIZE));
}

static struct vsock_buffer *buffer_new(void)
{
    struct vsock_buffer *b = spare;

    if (b != NULL) {
        spare = b->next;
        spare_count--;
        return b;
    }
    b = kzalloc(sizeof(*b));
    if (b == NULL)
        return NULL;
    b->data = data_alloc();
    if (b->data == NULL) {
        kfree(b);
        return NULL;
    }
    b->room = buffer_size;
    return b;
}

bool vsockq_has_messages(void)
{
    return device.features & VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET);
}

struct vsock_buffer *vsockq_small_buffer(u32 room)
{
    struct vsock_buffer *b = kmalloc(sizeof(*b) + room);

    if (b != NULL)
        *b = (struct vsock_buffer){.data = (u8 *)(b + 1), .room = room};
    return b;
}

/* Out of memory means fewer buffers: the host then waits until some are read. */
static void post_buffers(void)
{
    while (posted < posted_target) {
        struct vsock_buffer *b = buffer_new();

        if (b == NULL)
            return;
        const struct vq_part parts[] = {
            {&b->header, sizeof(b->header), true},
            {b->data, buffer_size, true},
        };
        if (!vq_add(&rx, parts, ARRAY_LEN(parts), b)) {
            vsockq_recycle(b);
            return;
        }
        posted++;
    }
}

static void slot_push(struct slot *s)
{
    struct slot **list = s->data ? &free_data_slots : &free_slots;

    s->next = *list;
    *list = s;
    free_slot_count++;
}

static struct slot *slot_pop(struct slot **list)
{
    struct slot *s = *list;

    *list = s->next;
    free_slot_count--;
    return s;
}

static bool make_slots(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (i < SLOTS_DATA && (slots[i].data = data_alloc()) == NULL)
            return false;
        slot_push(&slots[i]);
    }
    return true;
}

bool vsockq_init(const struct boot_info *info, void (*on_interrupt)(void *arg))
{
    const u64 messages = VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET);

    if (!virtio_find(info, VIRTIO_ID_VSOCK, messages, &device) ||
        !virtio_queue_setup(&device, VIRTIO_VSOCK_QUEUE_RX, RING_SIZE, &rx) ||
        !virtio_queue_setup(&device, VIRTIO_VSOCK_QUEUE_TX, RING_SIZE, &tx))
        return false;
    buffer_size = info->ram_bytes < SMALL_RAM ? BUFFER_SMALL : BUFFER_SIZE;
    posted_target = POSTED_FIRST;
    post_buffers();
    if (posted == 0 || !make_slots())
        return false;
    vq_disarm(&rx);
    vq_disarm(&tx);
    irq_register(device.vector, on_interrupt, NULL);
    virtio_start(&device);
    /* samara looks at the ring when it has something to say: the first kick is saved. */
    if (device.edge)
        rx.kicked = rx.avail_next;
    return true;
}

struct vsock_buffer *vsockq_receive(struct virtio_vsock_hdr *header)
{
    struct vq_used used;

    while (vq_pop(&rx, &used)) {
        struct vsock_buffer *b = used.token;

        posted--;
        memcpy(header, &b->header, sizeof(*header));
        __asm__ volatile("" : : : "memory");
        if (used.len < sizeof(*header) || header->len > used.len - sizeof(*header)) {
            vsockq_recycle(b);
            continue;
        }
        if (header->len == buffer_size && posted_target < POSTED_MOST)
            posted_target *= 2;
        b->next = NULL;
        b->start = 0;
        b->end = header->len;
        return b;
    }
    post_buffers();
    return NULL;
}

void vsockq_recycle(struct vsock_buffer *b)
{
    if (b->room < buffer_size) {
        kfree(b);
        return;
    }
    if (spare_count < SPARE_MOST) {
        b->next = spare;
        spare = b;
        spare_count++;
        return;
    }
    data_free(b->data);
    kfree(b);
}

void vsockq_offer(bool all)
{
    post_buffers();
    if (all || (u16)(rx.avail_next - rx.kicked) >= posted_target / 4)
        virtio_kick(&device, VIRTIO_VSOCK_QUEUE_RX, &rx);
}

void vsockq_acknowledge(void)
{
    virtio_ack(&device);
}

bool vsockq_arm_receive(void)
{
    return vq_arm(&rx);
}

bool vsockq_arm_send(void)
{
    return vq_arm(&tx);
}

/* One more free slot gets memory. */
static bool data_slot_add(void)
{
    struct slot *s;
    u8 *data = data_alloc();

    if (data == NULL)
        return false;
    s = slot_pop(&free_slots);
    s->data = data;
    slot_push(s);
    return true;
}

/* Sees to it that there are so many in free_data_slots. When memory has run out this fails while
 * all slots that have some are under way: they come back. */
static bool data_slots_ready(unsigned count)
{
    unsigned ready = 0;

    if (free_slot_count < SLOTS_CONTROL + count)
        return false;
    for (const struct slot *s = free_data_slots; s != NULL && ready < count; s = s->next)
        ready++;
    while (ready < count && data_slot_add())
        ready++;
    return ready == count;
}

static struct slot *slot_take(bool with_data)
{
    if (with_data)
        return data_slots_ready(1) ? slot_pop(&free_data_slots) : NULL;
    if (free_slots != NULL)
        return slot_pop(&free_slots);
    return free_data_slots != NULL ? slot_pop(&free_data_slots) : NULL;
}

bool vsockq_can_send(unsigned count)
{
    return !tx.broken && data_slots_ready(count);
}

bool vsockq_all_sent(void)
{
    return free_slot_count == SLOTS;
}

bool vsockq_send(const struct virtio_vsock_hdr *header, const void *payload)
{
    struct slot *s;

    if (header->len > buffer_size || tx.broken)
        return false;
    s = slot_take(header->len > 0);
    if (s == NULL)
        return false;
    s->header = *header;
    if (header->len > 0)
        memcpy(s->data, payload, header->len);
    const struct vq_part parts[] = {
        {&s->header, sizeof(s->header), false},
        {s->data, header->len, false},
    };
    return vq_add(&tx, parts, header->len > 0 ? 2 : 1, s); /* cannot fail: RING_SIZE >= 2 * SLOTS */
}

u32 vsockq_in_place_most(void)
{
    return device.edge ? (PARTS_IN_PLACE - 1) * PAGE_SIZE : 0;
}

/* The pages of a payload, as runs of those that lie side by side. */
static unsigned list_pages(const void *payload, u32 len, struct vq_part *parts)
{
    u64 at = (u64)(uintptr_t)payload;
    unsigned count = 0;

    while (len > 0) {
        u32 here = (u32)MIN((u64)len, PAGE_SIZE - at % PAGE_SIZE);
        u8 *page = at < SAMARA_WINDOW ? user_page(at) : (u8 *)(uintptr_t)at;

        if (count > 0 && (u8 *)parts[count - 1].at + parts[count - 1].len == page)
            parts[count - 1].len += here;
        else
            parts[count++] = (struct vq_part){page, here, false};
        at += here;
        len -= here;
    }
    return count;
}

bool vsockq_send_in_place(const struct virtio_vsock_hdr *header, const void *payload)
{
    static struct vq_part parts[1 + PARTS_IN_PLACE];
    unsigned count;
    struct slot *s;

    if (tx.broken || in_place != NULL || free_slot_count <= SLOTS_CONTROL)
        return false;
    s = slot_take(false);
    s->header = *header;
    parts[0] = (struct vq_part){&s->header, sizeof(s->header), false};
    count = 1 + list_pages(payload, header->len, parts + 1);
    if (!vq_add(&tx, parts, count, s)) {
        slot_push(s);
        return false;
    }
    in_place = s;
    return true;
}

bool vsockq_is_taken(void)
{
    return in_place == NULL || tx.broken;
}

void vsockq_press(void)
{
    virtio_notify(&device, VIRTIO_VSOCK_QUEUE_TX);
    vsockq_reclaim();
}

void vsockq_give_up(void)
{
    tx.broken = true;
}

bool vsockq_reclaim(void)
{
    struct vq_used used;
    bool any = false;

    while (vq_pop(&tx, &used)) {
        if (used.token == in_place)
            in_place = NULL;
        slot_push(used.token);
        any = true;
    }
    return any;
}

bool vsockq_kick_send(void)
{
    virtio_kick(&device, VIRTIO_VSOCK_QUEUE_TX, &tx);
    return vsockq_reclaim();
}
