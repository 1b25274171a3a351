/* Disks: what the host has is what the program has, and the other way round. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/vm/runner.h"

enum { SIZE = 3 * 1024 * 1024 + 512 };

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 13);
}

static const char *image(const char *name, size_t size)
{
    const char *path = scratch(name);
    FILE *f = fopen(path, "w");

    CHECK(f);
    for (size_t i = 0; i < size; i++)
        putc(byte_at(i), f);
    CHECK(fclose(f) == 0);
    return path;
}

static void check_image(const char *path, size_t at, const void *want, size_t len)
{
    char got[64];
    int fd = open(path, O_RDONLY);

    CHECK(len <= sizeof(got) && pread(fd, got, len, (off_t)at) == (ssize_t)len);
    CHECK(memcmp(got, want, len) == 0);
    close(fd);
}

static void a_disk_is_read_whole(void)
{
    const char *path = image("whole.img", SIZE);
    struct job job = {.argv = {samara(), "run", "--disk", path, "/bin/busybox", "cat", "/dev/vda"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.out_len == SIZE);
    for (size_t i = 0; i < SIZE; i++)
        CHECK((unsigned char)o.out[i] == byte_at(i));
    unlink(path);
}

static void what_is_written_is_in_the_file(void)
{
    const char *path = image("written.img", SIZE);
    struct job job = {.argv = {samara(), "run", "--disk", path, "/bin/busybox", "dd", "of=/dev/vda",
                               "bs=1", "seek=1000", "conv=notrunc,fsync"},
                      .input = "hello disk",
                      .input_len = 10};
    unsigned char after = byte_at(1010), before = byte_at(999);
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    check_image(path, 999, &before, 1);
    check_image(path, 1000, "hello disk", 10);
    check_image(path, 1010, &after, 1);
    unlink(path);
}

static void a_read_only_disk_stays_as_it_is(void)
{
    const char *path = image("ro.img", 4096);
    char option[200];
    struct job job = {.argv = {samara(), "run", "--disk", option, "/bin/busybox", "dd",
                               "if=/dev/zero", "of=/dev/vda", "count=1"}};
    struct outcome o;

    snprintf(option, sizeof(option), "%s,ro", path);
    CHECK(chmod(path, 0400) == 0);
    job_run(&job, &o);
    STATUS(&o, 1);
    ERROR_HAS(&o, "Permission denied");
    unlink(path);
}

static void several_disks_are_in_order(void)
{
    const char *first = image("first.img", 512), *second = image("second.img", 1024);
    struct job job = {.argv = {samara(), "run", "--disk", first, "--disk", second, "/bin/busybox",
                               "wc", "-c", "/dev/vda", "/dev/vdb"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "      512 /dev/vda\n     1024 /dev/vdb\n     1536 total\n");
    unlink(first);
    unlink(second);
}

static void threads_agree_upon_a_disk(void)
{
    const char *path = image("threads.img", SIZE);
    struct job job = {
        .argv = {samara(), "run", "--disk", path, program("disk"), "threads", "/dev/vda"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "threads agree\n");
    unlink(path);
}

static void what_is_discarded_takes_no_room(void)
{
    const char *path = image("clear.img", 1 << 20);
    struct job job = {
        .argv = {samara(), "run", "--disk", path, program("disk"), "clear", "/dev/vda"}};
    struct stat before, after;
    struct outcome o;

    CHECK(stat(path, &before) == 0);
    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "cleared\n");
    CHECK(stat(path, &after) == 0 && after.st_size == before.st_size);
    unlink(path);
}

/* Of the kernel's cache, not of the power: that is for the host's file system to keep. */
static void what_was_synced_survives_the_monitor(void)
{
    const char *path = image("synced.img", SIZE);
    struct job job = {
        .argv = {samara(), "run", "--disk", path, program("disk"), "synced", "/dev/vda"}};
    struct running r;
    struct outcome o;

    job_start(&job, &r);
    CHECK(job_await(&r, "synced\n"));
    CHECK(kill(r.pid, SIGKILL) == 0);
    job_finish(&r, &o);
    check_image(path, 12345, "this was synced", 15);
    unlink(path);
}

static void a_disk_has_one_writer(void)
{
    const char *path = image("locked.img", 4096);
    struct job holder = {
        .argv = {samara(), "run", "--disk", path, program("disk"), "synced", "/dev/vda"}};
    struct job other = {.argv = {samara(), "run", "--disk", path, program("hello")}};
    struct running r;
    struct outcome o;

    CHECK(truncate(path, SIZE) == 0);
    job_start(&holder, &r);
    CHECK(job_await(&r, "synced\n"));
    job_run(&other, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: disk 0: ");
    ERROR_HAS(&o, "in use by another virtual machine");
    CHECK(kill(r.pid, SIGTERM) == 0);
    job_finish(&r, &o);
    job_run(&other, &o);
    STATUS(&o, 0);
    unlink(path);
}

static void a_file_that_shrinks_is_an_io_error(void)
{
    const char *path = image("shrinks.img", SIZE);
    struct job job = {
        .argv = {samara(), "run", "--disk", path, program("disk"), "late", "/dev/vda"},
        .keep_input_open = true};
    struct running r;
    struct outcome o;

    job_start(&job, &r);
    usleep(300000);
    CHECK(truncate(path, 8192) == 0);
    CHECK(write(r.in, "\n", 1) == 1);
    job_finish(&r, &o);
    STATUS(&o, 1);
    ERROR_HAS(&o, "Input/output error");
    ERROR_HAS(&o, "samara: disk 0: read at byte");
    unlink(path);
}

/* The file has holes and its file system no room. */
static void a_full_host_is_an_io_error_and_no_more(void)
{
    const char *dir = scratch("full");
    char path[256];
    struct job job = {.argv = {samara(), "run", "--disk", path, "/bin/busybox", "dd",
                               "if=/dev/zero", "of=/dev/vda", "bs=64k", "count=32",
                               "conv=notrunc"}};
    struct outcome o;

    CHECK(mkdir(dir, 0700) == 0 && mount("none", dir, "tmpfs", 0, "size=1M") == 0);
    snprintf(path, sizeof(path), "%s/disk.img", dir);
    CHECK(close(open(path, O_CREAT | O_WRONLY, 0600)) == 0 && truncate(path, 4 << 20) == 0);
    job_run(&job, &o);
    CHECK(umount(dir) == 0 && rmdir(dir) == 0);
    STATUS(&o, 1);
    ERROR_HAS(&o, "No space left on device");
    ERROR_HAS(&o, "dd: error writing '/dev/vda': I");
}

/* Two VMs upon one image at the same time, each with its own view, which it finds again. */
static void overlays_share_an_image(void)
{
    const char *path = image("base.img", SIZE);
    char first[300], second[300];
    struct job holder = {
        .argv = {samara(), "run", "--disk", first, program("disk"), "synced", "/dev/vda"}};
    struct job threads = {
        .argv = {samara(), "run", "--disk", second, program("disk"), "threads", "/dev/vda"}};
    struct job look = {.argv = {samara(), "run", "--disk", first, "/bin/busybox", "dd",
                                "if=/dev/vda", "bs=1", "skip=12345", "count=15"}};
    unsigned char before = byte_at(12345);
    struct running r;
    struct outcome o;

    snprintf(first, sizeof(first), "%s,overlay=%s", path, scratch("first.overlay"));
    snprintf(second, sizeof(second), "%s,overlay=%s", path, scratch("second.overlay"));
    job_start(&holder, &r);
    CHECK(job_await(&r, "synced\n"));
    job_run(&threads, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "threads agree\n");
    CHECK(kill(r.pid, SIGKILL) == 0);
    job_finish(&r, &o);
    check_image(path, 12345, &before, 1);
    usleep(100000); /* until the monitor, too, is gone and the lock with it */
    job_run(&look, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "this was synced");
    unlink(path);
    unlink(scratch("first.overlay"));
    unlink(scratch("second.overlay"));
}

static void what_was_not_synced_is_kept_by_an_ordinary_end(void)
{
    const char *path = image("kept.img", 8192);
    char option[300];
    struct job job = {.argv = {samara(), "run", "--disk", option, "/bin/busybox", "dd",
                               "of=/dev/vda", "bs=1", "seek=5000", "conv=notrunc"},
                      .input = "kept",
                      .input_len = 4};
    struct job look = {.argv = {samara(), "run", "--disk", option, "/bin/busybox", "dd",
                                "if=/dev/vda", "bs=1", "skip=5000", "count=4"}};
    struct outcome o;

    snprintf(option, sizeof(option), "%s,overlay=%s", path, scratch("kept.overlay"));
    job_run(&job, &o);
    STATUS(&o, 0);
    job_run(&look, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "kept");
    unlink(path);
    unlink(scratch("kept.overlay"));
}

static void bad_images_are_named_with_the_reason(void)
{
    const char *path = scratch("bad.img");
    struct job job = {.argv = {samara(), "run", "--disk", path, program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: disk 0: open ");
    ERROR_HAS(&o, "No such file or directory");
    CHECK(close(open(path, O_CREAT | O_WRONLY, 0600)) == 0);
    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "bad.img: empty");
    CHECK(o.out_len == 0);
    unlink(path);
}

const struct vm_test disk_tests[] = {
    {"disk/a_disk_is_read_whole", a_disk_is_read_whole},
    {"disk/what_is_written_is_in_the_file", what_is_written_is_in_the_file},
    {"disk/a_read_only_disk_stays_as_it_is", a_read_only_disk_stays_as_it_is},
    {"disk/several_disks_are_in_order", several_disks_are_in_order},
    {"disk/threads_agree_upon_a_disk", threads_agree_upon_a_disk},
    {"disk/what_is_discarded_takes_no_room", what_is_discarded_takes_no_room},
    {"disk/what_was_synced_survives_the_monitor", what_was_synced_survives_the_monitor},
    {"disk/a_disk_has_one_writer", a_disk_has_one_writer},
    {"disk/a_file_that_shrinks_is_an_io_error", a_file_that_shrinks_is_an_io_error},
    {"disk/a_full_host_is_an_io_error_and_no_more", a_full_host_is_an_io_error_and_no_more},
    {"disk/overlays_share_an_image", overlays_share_an_image},
    {"disk/what_was_not_synced_is_kept_by_an_ordinary_end",
     what_was_not_synced_is_kept_by_an_ordinary_end},
    {"disk/bad_images_are_named_with_the_reason", bad_images_are_named_with_the_reason},
    {NULL, NULL}};
