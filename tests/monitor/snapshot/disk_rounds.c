/* Which blocks of disks go into a snapshot, and when; the disk's thread is the test's own. */
#include "monitor/snapshot/disk_rounds.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/block_state.h"
#include "monitor/vm.h"
#include "tests/devices/fake_guest.h"

enum { BLOCK = OVERLAY_BLOCK, BLOCKS = 6000, SIZE = BLOCKS * BLOCK };

static const struct overlay_base base = {.size = SIZE, .changed_ns = 7};
static struct vm vm;
static struct vm_config config = {.disk_count = 2};
static struct fake_guest guests[2];
static struct overlay *top, *below;
static int file, lower, base_fd;
static struct disk_rounds rounds;
static unsigned told; /* `later` was called */
static struct err err;
static bool has[BLOCKS]; /* came, since it was cleared */

static int new_file(off_t size)
{
    int fd = memfd_create("disk", MFD_CLOEXEC);

    cr_assert(fd >= 0 && ftruncate(fd, size) == 0);
    return fd;
}

static void later(void *arg)
{
    cr_assert_eq(arg, &rounds);
    told++;
}

static void add_disk(unsigned number, struct disk disk)
{
    struct block_config c = {.number = number, .id = "", .disk = disk};
    struct virtio_host host;

    fake_open(&guests[number]);
    host = fake_host(&guests[number]);
    worker_init(&vm.disks[number].worker, &vm.lock);
    vm.disks[number].block = block_new(&c, &host, &vm.disks[number].worker, &vm.loop, NULL);
    cr_assert(vm.disks[number].block);
}

/* Disk 0 is only read, disk 1 has an overlay of two layers. */
static void make(void)
{
    struct disk disk = {.overlay_fd = -1, .base = base, .read_only = true};

    vm.config = &config;
    device_lock_init(&vm.lock);
    device_lock_take(&vm.lock);
    cr_assert_eq(loop_init(&vm.loop, &vm.lock, NULL), 0);
    disk_copies_open(&vm.disk_copies);
    disk.fd = new_file(SIZE);
    add_disk(0, disk);
    base_fd = new_file(SIZE);
    lower = new_file(0);
    file = new_file(0);
    cr_assert_eq(overlay_create(lower, &base, 0, NULL), 0);
    cr_assert_eq(overlay_create(file, &base, 0, NULL), 0);
    below = overlay_load(lower, base_fd, &base, NULL);
    top = overlay_load(file, base_fd, &base, NULL);
    cr_assert(top && below);
    overlay_put_upon(top, below);
    add_disk(1, (struct disk){.fd = base_fd, .overlay_fd = file, .base = base, .overlay = top});
    rounds.later = later;
    rounds.arg = &rounds;
}

static void unmake(void)
{
    block_free(vm.disks[0].block);
    block_free(vm.disks[1].block);
    fake_close(&guests[0]);
    fake_close(&guests[1]);
    loop_close(&vm.loop);
    device_lock_release(&vm.lock);
}

TestSuite(disk_rounds, .init = make, .fini = unmake, .timeout = 60);

/* --- helpers --- */

static void put(struct overlay *o, unsigned first, unsigned count)
{
    cr_assert_eq(overlay_zero(o, (uint64_t)first * BLOCK, (uint64_t)count * BLOCK), 0);
}

static bool turn(void)
{
    return worker_turn(&vm.disks[1].worker);
}

/* To the end of the round, or of all: how many blocks come. */
static unsigned take_all(void)
{
    struct disks_run run;
    unsigned count = 0;

    memset(has, 0, sizeof(has));
    for (;;) {
        enum disks_verdict verdict = disk_rounds_next(&rounds, &run, &err);
        unsigned before = told;

        if (verdict == DISKS_OVER)
            return count;
        cr_assert_neq(verdict, DISKS_FAILED, "%s", err.text);
        if (verdict == DISKS_LATER) {
            cr_assert(turn() && told == before + 1);
            continue;
        }
        cr_assert_eq(run.disk, 1);
        cr_assert(run.count > 0 && run.count <= DISKS_BATCH && run.first + run.count <= BLOCKS);
        for (size_t i = 0; i < run.count; i++) {
            cr_assert(!has[run.first + i], "twice");
            has[run.first + i] = true;
        }
        count += (unsigned)run.count;
    }
}

static void begin(bool diff)
{
    disk_rounds_begin(&rounds, &vm, diff);
}

static void stand(void)
{
    block_stand(vm.disks[0].block);
    block_stand(vm.disks[1].block);
}

static bool stands(unsigned disk)
{
    return vm.disks[disk].block->stands;
}

/* --- tests --- */

Test(disk_rounds, first_comes_all_that_lies_above_the_base)
{
    put(below, 10, 300);
    put(top, 200, 200);
    put(top, BLOCKS - 1, 1);
    begin(false);
    cr_assert_eq(take_all(), 391);
    cr_assert(has[10] && has[399] && has[BLOCKS - 1] && !has[9] && !has[400]);
    cr_assert_eq(disk_rounds_over(&rounds, &err), 1);
    cr_assert(disk_rounds_end(&rounds));
}

Test(disk_rounds, a_diff_has_what_is_its_own)
{
    put(below, 10, 300);
    put(top, 200, 200);
    begin(true);
    cr_assert_eq(take_all(), 200);
    cr_assert(has[200] && !has[199]);
    cr_assert(disk_rounds_end(&rounds));
}

Test(disk_rounds, what_is_written_meanwhile_comes_once_more)
{
    struct disks_run run;

    put(top, 0, 100);
    begin(false);
    cr_assert_eq(disk_rounds_next(&rounds, &run, &err), DISKS_LATER);
    cr_assert(turn());
    put(top, 10, 1);  /* was read */
    put(top, 99, 1);  /* was not: nothing more to be read of it */
    put(top, 500, 1); /* and is new */
    cr_assert_eq(take_all(), 101);
    cr_assert_eq(disk_rounds_over(&rounds, &err), 1);
    stand();
    cr_assert_eq(disk_rounds_last(&rounds, &err), 0);
    cr_assert(turn());
    cr_assert_eq(take_all(), 1);
    cr_assert(has[10]);
    cr_assert(disk_rounds_end(&rounds));
}

Test(disk_rounds, many_that_are_left_make_another_round)
{
    begin(false);
    cr_assert_eq(take_all(), 0);
    put(top, 0, DISKS_FEW + 1);
    cr_assert_eq(disk_rounds_over(&rounds, &err), 0);
    cr_assert_eq(take_all(), DISKS_FEW + 1);
    put(top, 0, DISKS_FEW);
    cr_assert_eq(disk_rounds_over(&rounds, &err), 1);
    cr_assert(!disk_rounds_again(&rounds));
    put(top, DISKS_FEW, 1);
    cr_assert(disk_rounds_again(&rounds));
    cr_assert_eq(take_all(), DISKS_FEW + 1);
    cr_assert(disk_rounds_end(&rounds));
}

Test(disk_rounds, who_writes_faster_than_is_taken_away_gets_no_snapshot)
{
    begin(false);
    for (unsigned i = 1; i < DISKS_MOST; i++) {
        take_all();
        put(top, 0, DISKS_LEFT + 1);
        cr_assert_eq(disk_rounds_over(&rounds, &err), 0, "round %u", i);
    }
    take_all();
    put(top, 0, DISKS_LEFT + 1);
    cr_assert_eq(disk_rounds_over(&rounds, &err), -1);
    cr_assert(strstr(err.text, "faster than the snapshot is taken away"), "%s", err.text);
    cr_assert(disk_rounds_end(&rounds));
}

/* Or only in the last moment. */
Test(disk_rounds, more_than_can_be_kept_at_the_moment_is_refused)
{
    begin(false);
    cr_assert_eq(take_all(), 0);
    put(top, 0, DISKS_LEFT + 1);
    stand();
    cr_assert_eq(disk_rounds_last(&rounds, &err), -1);
    cr_assert(!turn());
    cr_assert(disk_rounds_end(&rounds));
}

Test(disk_rounds, a_disk_stands_until_what_is_left_has_been_read)
{
    begin(false);
    cr_assert_eq(take_all(), 0);
    put(top, 1000, DISKS_LEFT);
    stand();
    cr_assert_eq(disk_rounds_last(&rounds, &err), 0);
    cr_assert(!stands(0) && stands(1));
    cr_assert(turn());
    cr_assert(!stands(1));
    put(top, 0, 10); /* later than the moment */
    cr_assert_eq(take_all(), DISKS_LEFT);
    cr_assert(has[1000] && !has[0]);
    cr_assert(disk_rounds_end(&rounds));
}

static void nothing(struct worker_job *job)
{
    (void)job;
}

static void nothing_done(struct worker_job *job, bool ran)
{
    (void)job;
    (void)ran;
}

Test(disk_rounds, what_is_under_way_is_waited_for_before_the_moment)
{
    struct worker_job request = {.work = nothing, .done = nothing_done};

    begin(false);
    cr_assert_eq(take_all(), 0);
    told = 0;
    worker_submit(&vm.disks[1].worker, &request);
    cr_assert(!disk_rounds_settle(&rounds));
    cr_assert(stands(0) && stands(1));
    cr_assert(worker_turn(&vm.disks[0].worker) && turn());
    cr_assert(!disk_rounds_settle(&rounds) && told == 0);
    cr_assert(turn() && told == 1);
    cr_assert(disk_rounds_settle(&rounds));
    put(top, 0, 1);
    cr_assert_eq(disk_rounds_last(&rounds, &err), 0);
    cr_assert_eq(take_all(), 1);
    cr_assert(disk_rounds_end(&rounds));
}

/* As its driver's reset does. */
Test(disk_rounds, a_job_that_is_cancelled_begins_again)
{
    struct disks_run run;

    put(top, 0, 10);
    begin(false);
    cr_assert_eq(disk_rounds_next(&rounds, &run, &err), DISKS_LATER);
    worker_quiesce(&vm.disks[1].worker);
    cr_assert_eq(told, 1);
    cr_assert_eq(take_all(), 10);
    put(top, 5, 10);
    stand();
    cr_assert_eq(disk_rounds_last(&rounds, &err), 0);
    worker_quiesce(&vm.disks[1].worker);
    cr_assert(stands(1) && told > 1);
    cr_assert_eq(take_all(), 10);
    cr_assert(!stands(1));
    cr_assert(disk_rounds_end(&rounds));
}

Test(disk_rounds, whoever_ends_it_waits_for_the_thread)
{
    struct disks_run run;

    put(top, 0, 10);
    begin(false);
    cr_assert_eq(disk_rounds_next(&rounds, &run, &err), DISKS_LATER);
    cr_assert(!disk_rounds_end(&rounds));
    cr_assert(turn());
    cr_assert_eq(told, 1);
    cr_assert(disk_rounds_end(&rounds));
    cr_assert_eq(overlay_written(top), 0);
    put(top, 0, 10);
    cr_assert_eq(overlay_written(top), 0);
}

Test(disk_rounds, a_disk_that_cannot_be_read_ends_it)
{
    struct disks_run run;

    put(top, 0, 10);
    begin(false);
    cr_assert_eq(take_all(), 10);
    put(top, 3, 1);
    stand();
    cr_assert_eq(disk_rounds_last(&rounds, &err), 0);
    cr_assert_eq(ftruncate(file, 4096), 0);
    cr_assert(turn());
    cr_assert(!stands(1));
    cr_assert_eq(disk_rounds_next(&rounds, &run, &err), DISKS_FAILED);
    cr_assert(strstr(err.text, "disk 1: read: Input/output error"), "%s", err.text);
    cr_assert(disk_rounds_end(&rounds));
}

Test(disk_rounds, an_image_that_is_written_directly_is_refused)
{
    cr_assert_eq(disks_check(&vm, &err), 0);
    vm.disks[0].block->disk.read_only = false;
    cr_assert_eq(disks_check(&vm, &err), -1);
    cr_assert(strstr(err.text, "--disk FILE,overlay=OVERLAY"), "%s", err.text);
}
