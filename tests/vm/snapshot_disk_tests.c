/* Snapshots of disks: a clone has the disk as it was at the moment its memory is of, and nobody but
 * itself sees what it writes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vm/snapshot_run.h"

enum { DISK = (9 << 20) + 512 }; /* its last block is a part of one */

static char base[200], source_disk[440];

/* A base of zeroes, and the source's --disk. */
static void make_base(const char *name)
{
    int fd;

    snprintf(base, sizeof(base), "%s", scratch(name));
    fd = open(base, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && ftruncate(fd, DISK) == 0);
    close(fd);
    snprintf(source_disk, sizeof(source_disk), "%s,overlay=%s.over", base, base);
}

/* mode: "churn" or "still". */
static void start_source(struct running *r, const char *mode)
{
    snap_begin();
    snap_run(r, "source",
             (const char *[]){"--disk", source_disk, program("disk_churn"), "/dev/vda",
                              strcmp(mode, "still") == 0 ? mode : NULL, NULL});
    snap_hear(r, "up");
}

static void start_clone(struct running *r, const char *name, const char *path)
{
    snap_restore(r, name, path, (const char *[]){"--disk", base, NULL});
}

static void ask(const struct running *r, const char *question, const char *answer)
{
    snap_say(r, question);
    snap_say(r, "\n");
    snap_hear(r, answer);
}

static void end(struct running *r)
{
    close(r->in);
    r->in = -1;
    snap_ends(r, 0);
}

static void expect_refusal(const char *const words[], int status, const char *why)
{
    struct outcome o;

    snap_command(&o, words);
    STATUS(&o, status);
    ERROR_HAS(&o, why);
    CHECK(strchr(o.err, '\n') == o.err + o.err_len - 1);
    outcome_free(&o);
}

/* It may say something. */
static void succeed_quietly(const char *const words[])
{
    struct outcome o;

    snap_command(&o, words);
    STATUS(&o, 0);
    outcome_free(&o);
}

/* Times to do something, where every instruction is emulated less. */
static int few(int times)
{
    return getenv("VM_EMULATED") ? (times + 1) / 2 : times;
}

/* Requests are under way at each moment; those that wait are done by the source, and once more by
 * each clone, each upon its own disk. */
static void every_clone_is_of_one_instant(void)
{
    const int times = few(4);
    struct running source, clones[2];
    char name[16];

    make_base("instant.img");
    start_source(&source, "churn");
    for (int i = 0; i < times; i++) {
        const char *path;

        snprintf(name, sizeof(name), "instant-%d", i);
        path = snap_take("source", name);
        snap_succeed((const char *[]){"verify", path, NULL});
        for (int c = 0; c < 2; c++)
            start_clone(&clones[c], c ? "second" : "first", path);
        for (int c = 0; c < 2; c++)
            ask(&clones[c], "check", "sound");
        for (int c = 0; c < 2; c++) {
            ask(&clones[c], "check", "sound");
            end(&clones[c]);
        }
        ask(&source, "check", "sound");
    }
    end(&source);
}

/* Above a limit there are always some in the ring. */
static void requests_that_wait_are_done_once(void)
{
    struct running source, clone;
    char name[16];

    make_base("wait.img");
    strcat(source_disk, ",iops=1500,burst=10ms");
    start_source(&source, "churn");
    for (int i = 0; i < few(3); i++) {
        const char *path;

        snprintf(name, sizeof(name), "wait-%d", i);
        path = snap_take("source", name);
        start_clone(&clone, "clone", path);
        ask(&clone, "check", "sound");
        ask(&clone, "check", "sound");
        end(&clone);
    }
    ask(&source, "check", "sound");
    end(&source);
}

/* One that is only read, one that is written, and one that could be. */
static void disks_are_told_apart(void)
{
    char options[3][440], first[200];
    struct running source, clone;
    struct outcome o;
    const char *path;

    make_base("apart-0.img");
    snprintf(first, sizeof(first), "%s", base);
    snprintf(options[0], sizeof(options[0]), "%s,ro", base);
    make_base("apart-1.img");
    snprintf(options[1], sizeof(options[1]), "%s", source_disk);
    snprintf(options[2], sizeof(options[2]), "%s,overlay=%s.over", first, first);
    snap_begin();
    snap_run(&source, "source",
             (const char *[]){"--disk", options[0], "--disk", options[1], "--disk", options[2],
                              program("disk_churn"), "/dev/vdb", NULL});
    snap_hear(&source, "up");
    ask(&source, "mark b", "marked");
    path = snap_take("source", "apart.snap");
    end(&source);
    snap_succeed((const char *[]){"verify", path, NULL});
    snap_command(&o, (const char *[]){"inspect", path, NULL});
    CHECK(!strstr(o.out, "disk 0 ") && strstr(o.out, "disk 1 ") &&
          strstr(o.out, "disk 2     9.0 MiB, of which 0 bytes were written"));
    outcome_free(&o);
    snap_restore(&clone, "clone", path,
                 (const char *[]){"--disk", options[0], "--disk", base, "--disk", first, NULL});
    ask(&clone, "mark?", "mark b");
    ask(&clone, "check", "sound");
    end(&clone);
    expect_refusal(
        (const char *[]){"restore", "--disk", first, "--disk", base, "--disk", first, path, NULL},
        125, "disk 0: it was only read when the snapshot was taken (',ro')");
}

/* Of a snapshot of that VM. */
static void expect_disk_bytes(const char *name, const char *out, bool diff, unsigned bytes)
{
    char want[40];
    struct outcome o;

    snprintf(want, sizeof(want), "\"disk_bytes\":%u,", bytes);
    snap_command(&o, (const char *[]){"snapshot", "--no-sync", "--json", name, scratch(out),
                                      diff ? "--diff" : NULL, NULL});
    STATUS(&o, 0);
    CHECK(strstr(o.out, want));
    outcome_free(&o);
}

static void what_one_writes_no_other_sees(void)
{
    const char *path;
    struct running source, a, b;
    char overlay[440];
    struct stat before, after;

    make_base("own.img");
    CHECK(stat(base, &before) == 0);
    start_source(&source, "still");
    ask(&source, "mark source", "marked");
    path = snap_take("source", "disk-own.snap");
    snprintf(overlay, sizeof(overlay), "%s,overlay=%s.own", base, base);
    start_clone(&a, "a", path);
    snap_restore(&b, "b", path, (const char *[]){"--disk", overlay, NULL});
    ask(&a, "mark?", "mark source");
    ask(&a, "mark a", "marked");
    ask(&b, "mark?", "mark source");
    ask(&source, "mark?", "mark source");
    ask(&source, "mark later", "marked");
    ask(&b, "mark?", "mark source");
    ask(&b, "mark b", "marked");
    ask(&a, "mark?", "mark a");
    ask(&a, "check", "sound");
    expect_disk_bytes("a", "disk-own.diff", true, 4096);
    ask(&source, "mark still later", "marked");
    expect_disk_bytes("source", "disk-own.again", false, 4096);
    end(&a);
    end(&b);
    ask(&source, "mark?", "mark still later");
    end(&source);
    start_clone(&a, "again", path);
    ask(&a, "mark?", "mark source");
    end(&a);
    expect_refusal((const char *[]){"restore", "--disk", overlay, path, NULL}, 125,
                   "its overlay has something in it already");
    snap_succeed((const char *[]){"verify", path, NULL});
    CHECK(stat(base, &after) == 0 && after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
          after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
}

/* Of a clone: what its snapshot has, and what it has written itself, is in its own snapshot. */
static void clones_of_clones_have_all_of_it(void)
{
    const char *path;
    struct running r[2];
    char name[16];

    make_base("clones.img");
    start_source(&r[0], "churn");
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "clone-%d", i);
        path = snap_take(i == 0 ? "source" : name, name);
        snprintf(name, sizeof(name), "clone-%d", i + 1);
        start_clone(&r[1], name, path);
        ask(&r[1], "check", "sound");
        end(&r[0]);
        r[0] = r[1];
    }
    end(&r[0]);
}

/* The same blocks, whole or in layers; and what a layer has is its own. */
static void layers_are_one_disk(void)
{
    enum { DIFFS = 3 };
    char path[DIFFS + 1][200], name[16];
    struct running r;
    struct outcome o;

    make_base("layers.img");
    for (int i = 0; i <= DIFFS; i++) {
        snprintf(name, sizeof(name), "layer-%d", i);
        snprintf(path[i], sizeof(path[i]), "%s", scratch(name));
    }
    start_source(&r, "churn");
    ask(&r, "mark layer 0", "marked");
    usleep(100000);
    snap_succeed((const char *[]){"snapshot", "--no-sync", "source", path[0], NULL});
    end(&r);
    for (int i = 1; i <= DIFFS; i++) {
        char mark[32], was[32];

        snprintf(was, sizeof(was), "mark layer %d", i - 1);
        snprintf(mark, sizeof(mark), "mark layer %d", i);
        start_clone(&r, "layer", path[i - 1]);
        ask(&r, "mark?", was);
        ask(&r, "check", "sound");
        ask(&r, mark, "marked");
        snap_succeed((const char *[]){"snapshot", "--no-sync", "--diff", "layer", path[i], NULL});
        ask(&r, "check", "sound");
        end(&r);
        snap_succeed((const char *[]){"verify", path[i], NULL});
    }
    start_clone(&r, "top", path[DIFFS]);
    ask(&r, "mark?", "mark layer 3");
    ask(&r, "check", "sound");
    end(&r);
    snap_succeed((const char *[]){"flatten", path[DIFFS], scratch("disk-flat.snap"), NULL});
    snap_succeed((const char *[]){"verify", scratch("disk-flat.snap"), NULL});
    snap_succeed((const char *[]){"diff", path[DIFFS], scratch("disk-flat.snap"), NULL});
    snap_command(&o, (const char *[]){"diff", path[DIFFS - 1], scratch("disk-flat.snap"), NULL});
    STATUS(&o, 1);
    CHECK(strstr(o.out, "disk 0 0x800000 to 0x801000: 1 blocks\n"));
    outcome_free(&o);
    start_clone(&r, "flat", scratch("disk-flat.snap"));
    ask(&r, "mark?", "mark layer 3");
    ask(&r, "check", "sound");
    end(&r);
    strcat(path[0], "/disk-0");
    CHECK(unlink(path[0]) == 0);
    expect_refusal((const char *[]){"restore", "--disk", base, path[DIFFS], NULL}, 125,
                   "layer 3 beneath it: disk-0: No such file");
    expect_refusal((const char *[]){"flatten", path[DIFFS], scratch("none"), NULL}, 1,
                   "disk-0: No such file");
}

static void many_share_one_base(void)
{
    struct outcome o;
    struct running source;
    const char *path;
    char disk[220];

    make_base("many.img");
    start_source(&source, "still");
    path = snap_take("source", "disk-many.snap");
    end(&source);
    snprintf(disk, sizeof(disk), "--disk=%s", base);
    snap_command(&o, (const char *[]){"clone", "-n", "8", disk, path, NULL});
    STATUS(&o, 0);
    CHECK(o.err_len == 0);
    outcome_free(&o);
}

static unsigned count_in_file(const char *path, const char *text)
{
    static char bytes[16 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, bytes, sizeof(bytes));
    const char *at = bytes;
    unsigned count = 0;

    CHECK(n > DISK && n < (ssize_t)sizeof(bytes));
    close(fd);
    while ((at = memmem(at, (size_t)(bytes + n - at), text, strlen(text))) != NULL) {
        count++;
        at += strlen(text);
    }
    return count;
}

/* Neither on the disk, in memory nor in the overlay's file; flushed or not. */
static void a_reset_leaves_nothing_on_disks(void)
{
    char overlay[440], file[220], line[SNAP_LINE];
    const char *path, *secret;
    struct running r;

    make_base("reset.img");
    start_source(&r, "still");
    ask(&r, "mark first", "marked");
    path = snap_take("source", "disk-reset.snap");
    end(&r);
    for (int named = 0; named < 2; named++) {
        snprintf(file, sizeof(file), "%s.own", base);
        snprintf(overlay, sizeof(overlay), named ? "%s,overlay=%s" : "%s", base, file);
        snap_restore(&r, "clone", path, (const char *[]){"--disk", overlay, NULL});
        for (int i = 0; i < 2; i++) {
            snprintf(line, sizeof(line), "mark s%dcret-on-disk", 3);
            secret = line + 5;
            ask(&r, line, "marked");
            ask(&r, "mark?", line);
            CHECK(snap_count_in_monitor(r.pid, secret) > 0);
            CHECK(!named || count_in_file(file, secret) == 1);
            succeed_quietly((const char *[]){"reset", "clone", NULL});
            CHECK(snap_count_in_monitor(r.pid, secret) == 0);
            CHECK(!named || count_in_file(file, secret) == 0);
            ask(&r, "mark?", "mark first");
            ask(&r, "check", "sound");
        }
        end(&r);
    }
}

/* With requests under way, again and again. */
static void a_reset_in_the_midst_of_it(void)
{
    struct running r;
    const char *path;

    make_base("midst.img");
    start_source(&r, "churn");
    ask(&r, "mark first", "marked");
    path = snap_take("source", "disk-midst.snap");
    end(&r);
    start_clone(&r, "clone", path);
    for (int i = 0; i < few(5); i++) {
        ask(&r, "mark other", "marked");
        succeed_quietly((const char *[]){"reset", "clone", NULL});
        ask(&r, "mark?", "mark first");
        ask(&r, "check", "sound");
    }
    end(&r);
}

/* Nor one that is killed. What it has begun may end a moment later than it does itself. */
static void take_after(const char *path)
{
    struct outcome o;

    for (int tries = 0;; tries++) {
        snap_command(&o, (const char *[]){"snapshot", "--no-sync", "source", path, NULL});
        if (o.status == 0 || tries == 1000)
            break;
        ERROR_HAS(&o, "a snapshot is being taken already");
        outcome_free(&o);
        usleep(1000);
    }
    STATUS(&o, 0);
    outcome_free(&o);
}

/* Wherever it stops: the program writes and reads, and all is as of one moment when it goes on. */
static void a_client_that_stops_holds_up_no_disk(void)
{
    struct running source, client, clone;
    struct outcome o;
    char path[200], name[24];

    make_base("stops.img");
    start_source(&source, "churn");
    for (int i = 0; i < few(6); i++) {
        struct job job = {.argv = {samara(), "snapshot", "--no-sync", "source", path}};

        snprintf(name, sizeof(name), "disk-stops-%d", i);
        snprintf(path, sizeof(path), "%s", scratch(name));
        job_start(&job, &client);
        usleep((useconds_t)i * 2500);
        CHECK(kill(client.pid, SIGSTOP) == 0);
        for (int k = 0; k < 3; k++)
            ask(&source, "check", "sound");
        CHECK(kill(client.pid, i % 2 ? SIGKILL : SIGCONT) == 0);
        job_finish(&client, &o);
        CHECK(i % 2 || o.status == 0);
        outcome_free(&o);
        if (i % 2) {
            snprintf(path, sizeof(path), "%s.again", scratch(name));
            take_after(path);
        }
        snap_succeed((const char *[]){"verify", path, NULL});
        start_clone(&clone, "clone", path);
        ask(&clone, "check", "sound");
        end(&clone);
    }
    ask(&source, "check", "sound");
    end(&source);
}

/* --- what is refused --- */

static void flip(const char *dir, off_t at)
{
    char path[300], byte;
    int fd;

    snprintf(path, sizeof(path), "%s/disk-0", dir);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 4;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

static void restore_is_refused(const char *disk, const char *path, const char *why)
{
    expect_refusal((const char *[]){"restore", "--disk", disk, path, NULL}, 125, why);
}

static void what_does_not_belong_is_refused(void)
{
    static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 7}};
    char file[300], ro[240], other[220];
    struct running source;
    struct stat st;
    const char *path;

    make_base("other.img");
    snprintf(other, sizeof(other), "%s", base);
    CHECK(utimensat(AT_FDCWD, other, times, 0) == 0);
    make_base("refused.img");
    start_source(&source, "still");
    ask(&source, "mark x", "marked");
    path = snap_take("source", "disk-refused.snap");
    end(&source);

    expect_refusal((const char *[]){"restore", path, NULL}, 125, "(--disk)");
    snprintf(ro, sizeof(ro), "%s,ro", base);
    restore_is_refused(ro, path, "disk 0: it could be written when the snapshot was taken");
    restore_is_refused(other, path, "disk-0: an overlay of another base");
    CHECK(stat(other, &st) == 0 && st.st_blocks == 0);

    flip(path, 4096 + 17);
    restore_is_refused(base, path, "disk-0: its bitmap is not the one that state says");
    flip(path, 4096 + 17);
    flip(path, 40);
    restore_is_refused(base, path, "disk-0: an overlay that has something at 40");
    flip(path, 40);
    flip(path, 8192 + (8 << 20));
    expect_refusal((const char *[]){"verify", path, NULL}, 1, "disk-0: the chunk of ");
    flip(path, 8192 + (8 << 20));
    snap_succeed((const char *[]){"verify", path, NULL});

    snprintf(file, sizeof(file), "%s/disk-0", path);
    CHECK(truncate(file, 1 << 20) == 0);
    restore_is_refused(base, path, "disk-0: shorter than an overlay of this base is");
    CHECK(unlink(file) == 0);
    restore_is_refused(base, path, "disk-0: No such file");
}

static void a_changed_base_is_refused(void)
{
    static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 7}};
    struct running source;
    const char *path;

    make_base("changed.img");
    start_source(&source, "still");
    path = snap_take("source", "disk-changed.snap");
    end(&source);
    CHECK(utimensat(AT_FDCWD, base, times, 0) == 0);
    restore_is_refused(base, path, "disk-0: an overlay of another base, or its base was changed");
}

const struct vm_test snapshot_disk_tests[] = {
    {"snapshot_disk/every_clone_is_of_one_instant", every_clone_is_of_one_instant},
    {"snapshot_disk/requests_that_wait_are_done_once", requests_that_wait_are_done_once},
    {"snapshot_disk/disks_are_told_apart", disks_are_told_apart},
    {"snapshot_disk/what_one_writes_no_other_sees", what_one_writes_no_other_sees},
    {"snapshot_disk/clones_of_clones_have_all_of_it", clones_of_clones_have_all_of_it},
    {"snapshot_disk/layers_are_one_disk", layers_are_one_disk},
    {"snapshot_disk/many_share_one_base", many_share_one_base},
    {"snapshot_disk/a_reset_leaves_nothing_on_disks", a_reset_leaves_nothing_on_disks},
    {"snapshot_disk/a_reset_in_the_midst_of_it", a_reset_in_the_midst_of_it},
    {"snapshot_disk/a_client_that_stops_holds_up_no_disk", a_client_that_stops_holds_up_no_disk},
    {"snapshot_disk/what_does_not_belong_is_refused", what_does_not_belong_is_refused},
    {"snapshot_disk/a_changed_base_is_refused", a_changed_base_is_refused},
    {NULL, NULL},
};
