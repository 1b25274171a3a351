/*
 * A request is three descriptors: header, data, status. Under samara the answer is often there when
 * the kick returns; only who has to sleep asks for an interrupt.
 */
#include "guest-kernel/drivers/block.h"
#include "abi/virtio.h"
#include "abi/virtio_blk.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/drivers/irq.h"
#include "guest-kernel/drivers/virtio_mmio.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/task/sched.h"
#include "guest-kernel/task/wait.h"

enum { JOIN_NS = 50000, JOIN_PAUSE = 64 }; /* for each that joins */
enum { RING_SIZE = 128, PARTS = 3, BUFFERS_KEPT = 2, BUFFER_PAGES = BLOCK_PIECE / PAGE_SIZE };

struct block_disk {
    struct boot_virtio place;
    bool edge;
    enum { UNTRIED, STARTED, FAILED } state;
    struct virtio_device device;
    struct vq queue;
    u64 sectors;
    u32 range_sectors;      /* of a discard or zeroing, at most; 0: cannot */
    struct wait_queue room; /* for a request */
    unsigned sleepers;      /* there and on requests: an interrupt is wanted */
    unsigned alone;         /* requests that do not wait for others' */
};

/* In the kernel's heap: the device writes to it. */
struct request {
    struct virtio_blk_header header;
    u8 status;
    bool done;
    struct wait_queue wait;
};

static struct block_disk disks[BLOCK_MOST];
static unsigned disk_count;
static void *kept[BUFFERS_KEPT];
static unsigned kept_count;

/* --- finding and starting --- */

void block_init(const struct boot_info *info)
{
    for (unsigned i = 0; i < info->virtio_count && disk_count < BLOCK_MOST; i++) {
        if (!virtio_is(info, i, VIRTIO_ID_BLOCK))
            continue;
        disks[disk_count++] =
            (struct block_disk){.place = info->virtio[i], .edge = info->platform_gpa != 0};
    }
}

unsigned block_count(void)
{
    return disk_count;
}

static void reap(struct block_disk *d)
{
    struct vq_used used;

    while (vq_pop(&d->queue, &used)) {
        struct request *r = used.token;

        r->done = true;
        wake_all(&r->wait);
        wake_one(&d->room);
    }
}

static void on_interrupt(void *arg)
{
    struct block_disk *d = arg;

    virtio_ack(&d->device);
    reap(d);
    while (d->sleepers > 0 && vq_arm(&d->queue))
        reap(d);
}

static u32 config(struct block_disk *d, size_t field)
{
    return virtio_config_read(&d->device, (u32)field);
}

static bool start(struct block_disk *d)
{
    const u64 wanted = VIRTIO_FEATURE(VIRTIO_BLK_F_RO) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) |
                       VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) |
                       VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
    const u64 ranges =
        VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) | VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);

    if (!virtio_begin(&d->place, d->edge, wanted, &d->device) ||
        !virtio_queue_setup(&d->device, 0, RING_SIZE, &d->queue))
        return false;
    d->sectors = config(d, offsetof(struct virtio_blk_config, capacity)) |
                 (u64)config(d, offsetof(struct virtio_blk_config, capacity) + 4) << 32;
    if ((d->device.features & ranges) == ranges)
        d->range_sectors =
            MIN(config(d, offsetof(struct virtio_blk_config, max_discard_sectors)),
                config(d, offsetof(struct virtio_blk_config, max_write_zeroes_sectors)));
    vq_disarm(&d->queue);
    irq_register(d->device.vector, on_interrupt, d);
    virtio_start(&d->device);
    return true;
}

struct block_disk *block_disk(unsigned number)
{
    struct block_disk *d = &disks[number];

    if (number >= disk_count)
        return NULL;
    if (d->state == UNTRIED)
        d->state = start(d) ? STARTED : FAILED;
    return d->state == STARTED ? d : NULL;
}

u64 block_bytes(const struct block_disk *d)
{
    return d->sectors * BLOCK_SECTOR;
}

static bool offers(const struct block_disk *d, unsigned bit)
{
    return d->device.features & VIRTIO_FEATURE(bit);
}

bool block_read_only(const struct block_disk *d)
{
    return offers(d, VIRTIO_BLK_F_RO);
}

/* --- buffers --- */

void *block_buffer(void)
{
    return kept_count > 0 ? kept[--kept_count] : pages_alloc(BUFFER_PAGES);
}

void block_buffer_free(void *buffer)
{
    if (kept_count < BUFFERS_KEPT)
        kept[kept_count++] = buffer;
    else
        pages_free(buffer, BUFFER_PAGES);
}

/* --- requests --- */

/* Until r is done, or there is room for another. Nothing but the device can end this. */
static void sleep_on(struct block_disk *d, struct wait_queue *queue, const struct request *r)
{
    while (vq_arm(&d->queue))
        reap(d);
    if (r ? r->done : d->queue.free_count >= PARTS)
        return;
    d->sleepers++;
    wait_on_uninterrupted(queue, WAIT_FOREVER);
    d->sleepers--;
}

/*
 * A kick costs an exit, however many requests it tells of. So whoever has one lets others run first
 * who may have one, too; if it turns out that they compute instead, not for some time.
 */
static void let_others_join(struct block_disk *d)
{
    u64 start = clock_monotonic_ns();
    u16 before = d->queue.avail_next;

    if (d->alone > 0) {
        d->alone--;
        return;
    }
    sched_yield();
    if (clock_monotonic_ns() - start > JOIN_NS * (1ull + (u16)(d->queue.avail_next - before)))
        d->alone = JOIN_PAUSE;
}

static int submit(struct block_disk *d, struct request *r, void *data, u32 len, bool device_writes)
{
    const struct vq_part parts[PARTS] = {{&r->header, sizeof(r->header), false},
                                         {data, len, device_writes},
                                         {&r->status, sizeof(r->status), true}};
    const struct vq_part bare[] = {parts[0], parts[2]};

    r->status = VIRTIO_BLK_S_IOERR;
    while (!vq_add(&d->queue, len > 0 ? parts : bare, len > 0 ? PARTS : 2, r)) {
        if (d->queue.broken)
            return -EIO;
        sleep_on(d, &d->room, NULL);
    }
    let_others_join(d);
    reap(d);
    if (!r->done) {
        virtio_kick(&d->device, 0, &d->queue);
        reap(d);
    }
    while (!r->done && !d->queue.broken)
        sleep_on(d, &r->wait, r);
    if (!r->done)
        return -EIO;
    return r->status == VIRTIO_BLK_S_OK ? 0 : r->status == VIRTIO_BLK_S_UNSUPP ? -EOPNOTSUPP : -EIO;
}

/* One that broke the queue stays the device's for ever. */
static int perform(struct block_disk *d, u32 type, u64 at, void *data, u32 len, bool device_writes)
{
    struct request *r = kzalloc(sizeof(*r));
    int result;

    if (!r)
        return -ENOMEM;
    r->header = (struct virtio_blk_header){.type = type, .sector = at / BLOCK_SECTOR};
    result = submit(d, r, data, len, device_writes);
    if (r->done || !d->queue.broken)
        kfree(r);
    return result;
}

int block_read(struct block_disk *d, u64 at, void *buffer, u32 len)
{
    return perform(d, VIRTIO_BLK_T_IN, at, buffer, len, true);
}

int block_write(struct block_disk *d, u64 at, void *buffer, u32 len)
{
    return perform(d, VIRTIO_BLK_T_OUT, at, buffer, len, false);
}

int block_flush(struct block_disk *d)
{
    return offers(d, VIRTIO_BLK_F_FLUSH) ? perform(d, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, false) : 0;
}

static int clear(struct block_disk *d, u32 type, u64 at, u64 len)
{
    struct virtio_blk_range *range = kmalloc(sizeof(*range));
    u64 sector = at / BLOCK_SECTOR, left = len / BLOCK_SECTOR;
    int result = d->range_sectors ? 0 : -EOPNOTSUPP;

    if (!range)
        return -ENOMEM;
    while (left > 0 && result == 0) {
        u32 now = (u32)MIN(left, (u64)d->range_sectors);

        *range = (struct virtio_blk_range){.sector = sector, .sectors = now};
        result = perform(d, type, 0, range, sizeof(*range), false);
        sector += now;
        left -= now;
    }
    if (!d->queue.broken)
        kfree(range);
    return result;
}

int block_flush_all(void)
{
    int result = 0;

    for (unsigned i = 0; i < disk_count; i++) {
        int err = disks[i].state == STARTED ? block_flush(&disks[i]) : 0;

        result = result ? result : err;
    }
    return result;
}

int block_discard(struct block_disk *d, u64 at, u64 len)
{
    return clear(d, VIRTIO_BLK_T_DISCARD, at, len);
}

int block_zero(struct block_disk *d, u64 at, u64 len)
{
    return clear(d, VIRTIO_BLK_T_WRITE_ZEROES, at, len);
}
