/* See block.h. */
#include "devices/block.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/virtio.h"
#include "devices/block_state.h"

enum {
    SEGMENTS = VQ_MAX_SEGMENTS - 4, /* of data: header and status, too, are in a chain's limits */
    SEGMENT_BYTES = 32 << 10,
    AT_ONCE_EACH = 128 << 10,             /* bytes moved within a turn, of one request ... */
    AT_ONCE_TOGETHER = 1 << 20,           /* ... and of all, since the device lock is held */
    TURN_REQUESTS = BLOCK_QUEUE_SIZE + 1, /* more than a driver can have waiting when it kicks */
};
_Static_assert(SEGMENTS *SEGMENT_BYTES + 512u <= VQ_MAX_BYTES, "what is offered can be popped");

static struct block *block_of(struct virtio_device *dev)
{
    return (struct block *)dev; /* its first member */
}

/* --- a request's life --- */

static void in_worker(struct worker_job *job);
static void worker_done(struct worker_job *job, bool ran);

static struct block_request *acquire(struct block *b)
{
    struct block_request *r = b->free;

    if (r) {
        b->free = r->next;
        return r;
    }
    assert(b->used < BLOCK_REQUESTS);
    r = &b->requests[b->used++];
    r->job = (struct worker_job){.work = in_worker, .done = worker_done};
    r->block = b;
    return r;
}

static void release(struct block_request *r)
{
    r->next = r->block->free;
    r->block->free = r;
}

/* The status is the last byte. What lies before it and was not written would be told to the guest
 * as if it had been. */
static void answer(struct block_request *r, enum virtio_blk_status status)
{
    uint8_t byte = (uint8_t)status;

    vq_write_zeroes(&r->req, vq_writable(&r->req) - 1);
    vq_write(&r->req, &byte, sizeof(byte));
    vq_complete(&r->req);
    release(r);
}

static void finish(struct block_request *r, int result)
{
    struct block *b = r->block;

    if (result == 0)
        b->dirty |= r->kind->writes;
    else
        device_log(&b->device, "%s at byte %llu: %s", r->kind->name, (unsigned long long)r->at,
                   strerror(-result));
    answer(r, result == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
}

static void in_worker(struct worker_job *job)
{
    struct block_request *r = (struct block_request *)job; /* its first member */

    r->result = r->kind->work(r, 0);
}

static void worker_done(struct worker_job *job, bool ran)
{
    struct block_request *r = (struct block_request *)job;
    struct block *b = r->block;

    if (r->kind->flushes) {
        b->flushes--;
        b->dirty |= !ran || r->result != 0;
    }
    if (!ran) { /* a reset: nobody waits for it any more */
        release(r);
        return;
    }
    finish(r, r->result);
    virtio_signal(&b->device, 1);
}

static void leave_to_worker(struct block_request *r)
{
    if (r->kind->flushes) {
        r->block->flushes++;
        r->block->dirty = false; /* what is written from here on is the next flush's */
    }
    worker_submit(r->block->worker, &r->job);
}

static bool may_try(struct block *b, const struct block_request *r)
{
    if (r->left > AT_ONCE_EACH || r->left > b->at_once)
        return false;
    b->at_once -= (uint32_t)r->left;
    return true;
}

/* A status other than OK is the answer. What makes no sense is told before what may not be. */
static enum virtio_blk_status understand(struct block_request *r)
{
    struct virtio_blk_header header;
    enum virtio_blk_status status;

    vq_read(&r->req, &header, sizeof(header));
    r->kind = block_kind_of(header.type);
    if (!r->kind)
        return VIRTIO_BLK_S_UNSUPP;
    status = r->kind->prepare(r, header.sector);
    if (status == VIRTIO_BLK_S_OK && r->kind->writes && r->block->disk.read_only)
        return VIRTIO_BLK_S_IOERR;
    return status;
}

/* Zeroes may have to be written, where the file system knows no other way. */
static bool moves_data(const struct block_request *r)
{
    return r->kind->moves_data && !r->may_unmap;
}

static void begin(struct block_request *r)
{
    enum virtio_blk_status status = understand(r);
    int result;

    if (rate_limits(&r->block->rate))
        rate_use(&r->block->rate, loop_now_ns(),
                 status == VIRTIO_BLK_S_OK && moves_data(r) ? r->left : 0);
    if (status != VIRTIO_BLK_S_OK) {
        r->block->refused += vq_writable(&r->req);
        answer(r, status);
        return;
    }
    result = may_try(r->block, r) ? r->kind->work(r, DISK_NOWAIT) : -EAGAIN;
    if (result == 0)
        finish(r, 0);
    else
        leave_to_worker(r); /* which meets the same error, if it is one */
}

/* --- the device --- */

static bool is_whole(const struct vq_request *req)
{
    return vq_readable(req) >= sizeof(struct virtio_blk_header) && vq_writable(req) >= 1;
}

static struct block_request *next_request(struct block *b, struct virtqueue *vq)
{
    struct block_request *r;
    enum vq_verdict verdict;

    if (!vq_pending(vq) && !vq->broken)
        return NULL;
    r = acquire(b);
    verdict = vq_pop(vq, &r->req);
    if (verdict == VQ_REQUEST && is_whole(&r->req))
        return r;
    if (verdict == VQ_BROKEN)
        device_fault(&b->device, "%s", vq->broken);
    else if (verdict == VQ_REQUEST)
        device_fault(&b->device, "a request without room for header and status");
    vq_complete(&r->req);
    release(r);
    return NULL;
}

/* Above its limit: the loop goes on with it when the time has come. */
static bool has_to_wait(struct block *b, struct block_request *r)
{
    uint64_t at = rate_limits(&b->rate) ? rate_wait(&b->rate, loop_now_ns()) : 0;

    if (at == 0)
        return false;
    b->held = r;
    loop_timer_set(b->loop, &b->due, at);
    return true;
}

/* A guest can have more of them without end: it runs beside the loop, and what is written to its
 * memory may be its ring. The loop goes on, after others had their turn. */
static bool turn_is_over(struct block *b)
{
    bool over = ++b->begun == TURN_REQUESTS || b->refused >= AT_ONCE_TOGETHER;

    if (over)
        loop_post(b->loop, &b->more);
    return over;
}

/* False: one has to wait, and so have those behind it. */
static bool work_off(struct block *b, struct virtqueue *vq)
{
    struct block_request *r;

    while ((r = next_request(b, vq)) != NULL) {
        if (has_to_wait(b, r))
            return false;
        begin(r);
        if (turn_is_over(b))
            return false;
    }
    return true;
}

static void serve(struct block *b, struct virtqueue *vq)
{
    if (b->stands)
        return;
    b->at_once = AT_ONCE_TOGETHER;
    b->begun = 0;
    b->refused = 0;
    while (work_off(b, vq) && virtio_active(&b->device) && vq_want_kick(vq, true))
        ;
    virtio_signal(&b->device, 1);
}

static void block_notify(struct virtio_device *dev, unsigned queue)
{
    struct block *b = block_of(dev);

    if (!b->held)
        serve(b, &dev->queues[queue]);
}

static void go_on(void *arg)
{
    struct block *b = arg;

    if (!b->held && virtio_active(&b->device))
        serve(b, &b->device.queues[0]);
}

static void time_has_come(void *arg)
{
    struct block *b = arg;
    struct block_request *r = b->held;

    b->held = NULL;
    if (!virtio_active(&b->device)) {
        release(r);
        return;
    }
    if (!has_to_wait(b, r)) {
        begin(r);
        serve(b, &b->device.queues[0]);
    }
}

static void block_activate(struct virtio_device *dev)
{
    struct block *b = block_of(dev);

    b->durable = !(dev->state.driver_features & VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
    vq_want_kick(&dev->queues[0], true);
}

static void block_quiesce(struct virtio_device *dev)
{
    struct block *b = block_of(dev);

    loop_timer_cancel(b->loop, &b->due);
    loop_unpost(b->loop, &b->more);
    if (b->held)
        release(b->held);
    b->held = NULL;
    worker_quiesce(b->worker);
}

static void block_config_read(struct virtio_device *dev, uint32_t offset, void *to, unsigned len)
{
    const struct block *b = block_of(dev);
    struct virtio_blk_config config = {.capacity = disk_size(&b->disk) / VIRTIO_BLK_SECTOR,
                                       .size_max = SEGMENT_BYTES,
                                       .seg_max = SEGMENTS,
                                       .blk_size = VIRTIO_BLK_SECTOR};

    if (!b->disk.read_only) {
        config.max_discard_sectors = config.max_write_zeroes_sectors = BLOCK_RANGE_SECTORS;
        config.max_discard_seg = config.max_write_zeroes_seg = 1;
        config.discard_sector_alignment = 8;
        config.write_zeroes_may_unmap = 1;
    }
    memcpy(to, (const char *)&config + offset, len);
}

static uint64_t features_of(const struct disk *disk)
{
    const uint64_t all = VIRTIO_FEATURE(VIRTIO_BLK_F_SIZE_MAX) |
                         VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
                         VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);

    if (disk->read_only)
        return all | VIRTIO_FEATURE(VIRTIO_BLK_F_RO);
    return all | VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) | VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
}

struct virtio_device *block_device(struct block *b)
{
    return &b->device;
}

/* --- snapshots --- */

const struct disk *block_disk(const struct block *b)
{
    return &b->disk;
}

/* The one that is held was the last to be taken. */
void block_hold(struct block *b)
{
    b->stands = true;
    loop_timer_cancel(b->loop, &b->due);
    if (b->held) {
        vq_unpop(&b->held->req);
        release(b->held);
    }
    b->held = NULL;
}

void block_stand(struct block *b)
{
    block_hold(b);
    worker_drain(b->worker);
}

void block_go_on(struct block *b)
{
    if (!b->stands)
        return;
    b->stands = false;
    loop_post(b->loop, &b->more);
}

/* --- creation and removal --- */

struct block *block_new(const struct block_config *config, const struct virtio_host *host,
                        struct worker *worker, struct event_loop *loop, struct err *err)
{
    struct block *b = calloc(1, sizeof(*b));

    if (b == NULL) {
        err_sys(err, "disk %u", config->number);
        return NULL;
    }
    snprintf(b->name, sizeof(b->name), "disk %u", config->number);
    memcpy(b->id, config->id, strnlen(config->id, sizeof(b->id)));
    b->disk = config->disk;
    b->worker = worker;
    b->loop = loop;
    b->due = (struct loop_timer){.fn = time_has_come, .arg = b};
    b->more = (struct loop_task){.fn = go_on, .arg = b};
    rate_init(&b->rate, &config->rate);
    b->dirty = true; /* somebody before us may not have flushed */
    b->ops = (struct virtio_ops){
        .name = b->name,
        .device_id = VIRTIO_ID_BLOCK,
        .features = features_of(&b->disk),
        .queues = 1,
        .queue_size = BLOCK_QUEUE_SIZE,
        .config_size = sizeof(struct virtio_blk_config),
        .config_read = block_config_read,
        .activate = block_activate,
        .quiesce = block_quiesce,
        .notify = block_notify,
    };
    virtio_init(&b->device, &b->ops, host);
    return b;
}

/* --- what the overlay's thread is asked for and waited for --- */

static struct block *block_of_last(struct worker_job *job)
{
    return (struct block *)((char *)job - offsetof(struct block, last));
}

static void flush_at_end(struct worker_job *job)
{
    struct block *b = block_of_last(job);

    b->last_result = disk_flush(&b->disk);
}

/* Whose file has no name need not care what a power failure leaves. */
static void empty(struct worker_job *job)
{
    struct block *b = block_of_last(job);

    b->last_result = overlay_clear(b->disk.overlay, !b->disk.temporary);
}

static void done_at_last(struct worker_job *job, bool ran)
{
    (void)job;
    (void)ran;
}

static int ask_worker(struct block *b, void (*work)(struct worker_job *job))
{
    if (b->disk.overlay == NULL)
        return 0;
    b->last = (struct worker_job){.work = work, .done = done_at_last};
    worker_submit(b->worker, &b->last);
    worker_drain(b->worker);
    return b->last_result;
}

int block_finish(struct block *b)
{
    if (b->disk.temporary)
        return 0; /* nobody will find it again */
    return ask_worker(b, flush_at_end);
}

int block_empty(struct block *b)
{
    if (b->disk.overlay == NULL || overlay_is_empty(b->disk.overlay))
        return 0; /* the thread need not wake up */
    return ask_worker(b, empty);
}

void block_free(struct block *b)
{
    if (b == NULL)
        return;
    loop_timer_cancel(b->loop, &b->due);
    loop_unpost(b->loop, &b->more);
    disk_close(&b->disk);
    free(b);
}
