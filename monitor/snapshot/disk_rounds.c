/* See disk_rounds.h. */
#include "monitor/snapshot/disk_rounds.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "monitor/vm.h"

enum { DISK_SHIFT = 56 }; /* of a block's number, in copies */

/* SCANNED: how far a job looks for blocks at most; others want their turn. */
enum { BLOCK = OVERLAY_BLOCK, SCANNED = 2 << 20, NUMBERS = DISKS_LEFT * sizeof(uint64_t) };

void disk_copies_open(struct disk_copies *c)
{
    c->size = NUMBERS + (size_t)DISKS_LEFT * BLOCK;
    c->all = mmap(NULL, c->size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->all == MAP_FAILED)
        return;
    c->numbers = c->all;
    c->blocks = (uint8_t *)c->all + NUMBERS;
}

static struct overlay *overlay_of(const struct disk_rounds *d, unsigned disk)
{
    return block_disk(d->vm->disks[disk].block)->overlay;
}

static unsigned disk_count(const struct disk_rounds *d)
{
    return d->vm->config->disk_count;
}

int disks_check(const struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        const struct disk *disk = block_disk(vm->disks[i].block);

        if (disk->read_only)
            continue;
        if (!disk->overlay)
            return err_set(err,
                           "disk %u is written directly, which no snapshot can hold (begin with "
                           "--disk FILE,overlay=OVERLAY)",
                           i);
        if (!vm->disk_copies.numbers)
            return err_set(err, "no address space for blocks (vm.overcommit_memory is 2?)");
    }
    return 0;
}

static uint64_t blocks_written(const struct disk_rounds *d)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < disk_count(d); i++)
        count += overlay_of(d, i) ? overlay_written(overlay_of(d, i)) : 0;
    return count;
}

/* --- in the disk's thread --- */

static enum overlay_set wanted(const struct disk_rounds *d)
{
    if (d->late || d->number > 0)
        return OVERLAY_WRITTEN;
    return d->diff ? OVERLAY_OWN : OVERLAY_ALL;
}

/* Forgotten before it is read: what is written from there on comes again. */
static void read_some(struct worker_job *job)
{
    struct disk_rounds *d = (struct disk_rounds *)job; /* its first member */
    const struct disk_copies *c = &d->vm->disk_copies;
    struct overlay *o = overlay_of(d, d->disk);
    const uint64_t most = d->late ? DISKS_LEFT : DISKS_BATCH, blocks = overlay_blocks(o);
    const uint64_t end = blocks - d->next > SCANNED ? d->next + SCANNED : blocks;
    uint64_t n;

    d->result = 0;
    while (d->result == 0 && (n = overlay_next(o, wanted(d), &d->next, end, most - d->count)) > 0) {
        overlay_forget(o, d->next, n);
        d->result = overlay_get(o, d->next, n, c->blocks + d->count * BLOCK);
        for (uint64_t i = 0; i < n; i++)
            c->numbers[d->count + i] = (uint64_t)d->disk << DISK_SHIFT | (d->next + i);
        d->next += n;
        d->count += n;
    }
    d->full = d->late && d->count == most && overlay_next(o, wanted(d), &d->next, end, 1) > 0;
}

/* --- one job after the other --- */

static bool begin_job(struct disk_rounds *d)
{
    while (d->disk < disk_count(d) && !overlay_of(d, d->disk))
        d->disk++;
    if (d->disk == disk_count(d))
        return false;
    d->busy = true;
    worker_submit(&d->vm->disks[d->disk].worker, &d->job);
    return true;
}

static void all_go_on(const struct disk_rounds *d)
{
    for (unsigned i = 0; i < disk_count(d); i++)
        block_go_on(d->vm->disks[i].block);
}

static bool disk_is_done(const struct disk_rounds *d)
{
    return d->next == overlay_blocks(overlay_of(d, d->disk));
}

static bool has_failed(const struct disk_rounds *d)
{
    return d->result != 0 || d->full;
}

/* The disk, if it stands, goes on with what the guest wants; with the next one there is no time to
 * lose. */
static void was_read(struct worker_job *job, bool ran)
{
    struct disk_rounds *d = (struct disk_rounds *)job;

    d->busy = false;
    if (ran && !d->ended && !has_failed(d) && disk_is_done(d)) {
        if (d->late)
            block_go_on(d->vm->disks[d->disk].block);
        d->disk++;
        d->next = 0;
    }
    if (has_failed(d))
        all_go_on(d);
    else if (ran && !d->ended && d->late && begin_job(d))
        return;
    d->later(d->arg); /* a job that was cancelled begins again there */
}

/* --- what is under way --- */

static void nothing(struct worker_job *job)
{
    (void)job;
}

/* One disk after the other. */
static bool wait_for_next(struct disk_rounds *d)
{
    if (d->disk == disk_count(d))
        return false;
    d->busy = true;
    worker_submit(&d->vm->disks[d->disk].worker, &d->barrier);
    return true;
}

/* Cancelled or not: whatever was begun before it has an end now. */
static void none_is_under_way(struct worker_job *job, bool ran)
{
    struct disk_rounds *d =
        (struct disk_rounds *)((char *)job - offsetof(struct disk_rounds, barrier));

    (void)ran;
    d->busy = false;
    d->disk++;
    if (d->ended || !wait_for_next(d))
        d->later(d->arg);
}

/* --- rounds --- */

static void begin_round(struct disk_rounds *d)
{
    d->disk = 0;
    d->next = 0;
    d->count = d->taken = 0;
    d->result = 0;
    d->full = false;
}

void disk_rounds_begin(struct disk_rounds *d, struct vm *vm, bool diff)
{
    d->job = (struct worker_job){.work = read_some, .done = was_read};
    d->barrier = (struct worker_job){.work = nothing, .done = none_is_under_way};
    d->vm = vm;
    d->active = true;
    d->diff = diff;
    d->late = d->settling = d->busy = d->ended = false;
    d->number = 0;
    begin_round(d);
    for (unsigned i = 0; i < disk_count(d); i++) {
        if (overlay_of(d, i))
            overlay_track(overlay_of(d, i));
    }
}

static int why(const struct disk_rounds *d, struct err *err)
{
    if (d->full)
        return err_set(err,
                       "the program has written more to its disks just now than the %d MiB "
                       "that are kept of them",
                       DISKS_LEFT / 256);
    errno = -d->result;
    return err_sys(err, "disk %u: read", d->disk);
}

/* Side by side on a disk. */
static void take_run(struct disk_rounds *d, struct disks_run *run)
{
    const uint64_t *numbers = d->vm->disk_copies.numbers + d->taken;
    size_t n = 1;

    while (n < DISKS_BATCH && d->taken + n < d->count && numbers[n] == numbers[0] + n)
        n++;
    *run = (struct disks_run){.disk = (unsigned)(numbers[0] >> DISK_SHIFT),
                              .first = numbers[0] & ((UINT64_C(1) << DISK_SHIFT) - 1),
                              .count = n,
                              .bytes = d->vm->disk_copies.blocks + d->taken * BLOCK};
    d->taken += n;
}

enum disks_verdict disk_rounds_next(struct disk_rounds *d, struct disks_run *run, struct err *err)
{
    if (d->busy)
        return DISKS_LATER;
    if (has_failed(d)) {
        why(d, err);
        return DISKS_FAILED;
    }
    if (d->taken < d->count) {
        take_run(d, run);
        return DISKS_BLOCKS;
    }
    if (!d->late)
        d->taken = d->count = 0;
    return begin_job(d) ? DISKS_LATER : DISKS_OVER;
}

static int too_fast(struct err *err)
{
    return err_set(err, "the program writes to its disks faster than the snapshot is taken away");
}

int disk_rounds_over(struct disk_rounds *d, struct err *err)
{
    uint64_t left = blocks_written(d);

    if (left <= DISKS_FEW)
        return 1;
    if (d->number + 1 == DISKS_MOST)
        return left <= DISKS_LEFT ? 1 : too_fast(err);
    d->number++;
    begin_round(d);
    return 0;
}

bool disk_rounds_again(struct disk_rounds *d)
{
    if (blocks_written(d) <= DISKS_FEW || d->number + 1 == DISKS_MOST)
        return false;
    d->number++;
    begin_round(d);
    return true;
}

/* --- the moment --- */

bool disk_rounds_settle(struct disk_rounds *d)
{
    if (d->settling)
        return !d->busy;
    d->settling = true;
    begin_round(d);
    for (unsigned i = 0; i < disk_count(d); i++)
        block_hold(d->vm->disks[i].block);
    return !wait_for_next(d);
}

int disk_rounds_last(struct disk_rounds *d, struct err *err)
{
    if (blocks_written(d) > DISKS_LEFT)
        return too_fast(err);
    begin_round(d);
    d->late = true;
    for (unsigned i = 0; i < disk_count(d); i++) {
        if (!overlay_of(d, i))
            block_go_on(d->vm->disks[i].block);
    }
    begin_job(d);
    return 0;
}

bool disk_rounds_end(struct disk_rounds *d)
{
    d->ended = true;
    if (!d->active || d->busy)
        return !d->active;
    for (unsigned i = 0; i < disk_count(d); i++) {
        if (overlay_of(d, i))
            overlay_track_no_more(overlay_of(d, i));
    }
    if (d->vm->disk_copies.numbers)
        madvise(d->vm->disk_copies.all, d->vm->disk_copies.size, MADV_DONTNEED);
    d->active = false;
    return true;
}
