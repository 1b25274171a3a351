/* Snapshots, much and often: generations, layers, clones, disks that are full. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/vm/snapshot_run.h"

/* Where each takes a second, on an emulated machine or under sanitizers: fewer, and it is said. */
static int times(int here, int slow)
{
    if (!getenv("VM_EMULATED") && !getenv("VM_SANITIZED"))
        return here;
    fprintf(stderr, "    !!! %d instead of %d on a slow machine\n", slow, here);
    return slow;
}

static void ask(const struct running *r, const char *question, char to[SNAP_LINE])
{
    snap_say(r, question);
    snap_read_line(r, to);
    CHECK(to[0] != '\0');
}

static void end(struct running *r)
{
    snap_say(r, "exit 0\n");
    snap_ends(r, 0);
}

static void run_instant(struct running *r, const char *name)
{
    snap_begin();
    snap_run(r, name, (const char *[]){program("instant"), "small", NULL});
    snap_hear(r, "up");
}

/* --- generations --- */

/* Each is a snapshot's of the one before; memory changes in between, and the number of lines that
 * it has had over its stream says that none was lost or came twice. What a generation was grown
 * from is deleted as soon as it runs. */
static void two_hundred_generations_lose_nothing(void)
{
    struct running parent, child;
    char memory[2][SNAP_LINE], count[SNAP_LINE], name[2][16] = {"g0"};
    int lines = 0;

    run_instant(&parent, name[0]);
    for (int i = 1, most = times(200, 12); i <= most; i++) {
        const char *path;

        ask(&parent, "memory\n", memory[0]);
        path = snap_take(name[0], "generation.snap");
        ask(&parent, "memory\n", memory[0]);
        snprintf(name[1], sizeof(name[1]), "g%d", i);
        snap_restore(&child, name[1], path, snap_no_words);
        ask(&child, "memory\n", memory[1]);
        remove_tree(path);
        CHECK(strcmp(memory[0], memory[1]) == 0);
        end(&parent);
        ask(&child, "count\n", count);
        lines += 3;
        CHECK(atoi(count) == lines);
        parent = child;
        snprintf(name[0], sizeof(name[0]), "%s", name[1]);
    }
    end(&parent);
}

/* --- layers --- */

static void layer_path(char to[300], int number)
{
    char name[32];

    snprintf(name, sizeof(name), "layers/%d", number);
    snprintf(to, 300, "%s", scratch(name));
}

/* Of a clone of the one before. What its memory is afterwards, it says there and in its clones. */
static void add_layer(int number, char memory[SNAP_LINE])
{
    struct running r;
    char below[300], path[300];

    layer_path(below, number - 1);
    layer_path(path, number);
    snap_restore(&r, "layer", below, snap_no_words);
    ask(&r, "memory\n", memory);
    snap_succeed((const char *[]){"snapshot", "--diff", "--no-sync", "layer", path, NULL});
    ask(&r, "memory\n", memory);
    end(&r);
}

static void sixty_four_layers_are_one(void)
{
    const int most = times(64, 6);
    struct running r;
    char path[300], over[300], memory[SNAP_LINE], line[SNAP_LINE];
    struct outcome o;

    run_instant(&r, "source");
    CHECK(mkdir(scratch("layers"), 0700) == 0);
    layer_path(path, 1);
    snap_succeed((const char *[]){"snapshot", "--no-sync", "source", path, NULL});
    end(&r);
    for (int i = 2; i <= most; i++)
        add_layer(i, memory);
    layer_path(path, most);
    snap_restore(&r, "top", path, snap_no_words);
    ask(&r, "memory\n", line);
    CHECK(strcmp(line, memory) == 0);
    layer_path(over, most + 1);
    if (most == 64) { /* no more */
        snap_command(&o, (const char *[]){"snapshot", "--diff", "--no-sync", "top", over, NULL});
        STATUS(&o, 1);
        ERROR_HAS(&o, "64 layers already");
        outcome_free(&o);
    }
    end(&r);
    snap_succeed((const char *[]){"flatten", path, scratch("flat"), NULL});
    snap_succeed((const char *[]){"diff", path, scratch("flat"), NULL});
    remove_tree(scratch("layers"));
    remove_tree(scratch("flat"));
}

/* Of the same moment: the clone is paused, and only its clocks go on. */
static void a_first_diff_is_what_a_whole_one_is(void)
{
    struct running source, clone;
    char line[SNAP_LINE], whole[300], diff[300];
    struct outcome o;
    const char *path;

    run_instant(&source, "source");
    ask(&source, "memory\n", line);
    path = snap_take("source", "first.snap");
    end(&source);
    snap_restore(&clone, "clone", path, snap_no_words);
    ask(&clone, "memory\n", line);
    snap_succeed((const char *[]){"pause", "clone", NULL});
    snprintf(whole, sizeof(whole), "%s", scratch("first.whole"));
    snprintf(diff, sizeof(diff), "%s", scratch("first.diff"));
    snap_succeed((const char *[]){"snapshot", "--no-sync", "clone", whole, NULL});
    snap_succeed((const char *[]){"snapshot", "--no-sync", "--diff", "clone", diff, NULL});
    snap_command(&o, (const char *[]){"diff", whole, diff, NULL});
    STATUS(&o, 1);
    OUTPUT(&o, "MSRS 0\nCLOCK 0\n");
    outcome_free(&o);
    snap_succeed((const char *[]){"resume", "clone", NULL});
    end(&clone);
}

/* --- no room --- */

/* In a mount namespace of its own: a file system of so many bytes, and `samara snapshot` into it.
 * Its exit status; 77: no such thing can be made here. */
static int snapshot_into(long bytes, const char *at)
{
    pid_t pid = fork();
    int status;

    CHECK(pid >= 0);
    if (pid == 0) {
        char size[40], out[400];

        snprintf(size, sizeof(size), "size=%ld", bytes);
        snprintf(out, sizeof(out), "%s/out", at);
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("small", at, "tmpfs", 0, size) != 0)
            _exit(77);
        if (!freopen("/dev/null", "w", stderr))
            _exit(77);
        execl(samara(), samara(), "snapshot", "--no-sync", "source", out, (char *)NULL);
        _exit(77);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Wherever it ends, the source goes on, and the next snapshot is whole. */
static void a_full_disk_costs_the_snapshot_alone(void)
{
    static const long sizes[] = {4096,    8192,    12288,   65536,   1 << 17,
                                 1 << 18, 1 << 19, 3 << 18, 1 << 20, 64 << 20};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
    struct running source, clone;
    char at[300], memory[2][SNAP_LINE];
    const char *path;

    run_instant(&source, "source");
    snprintf(at, sizeof(at), "%s", scratch("small"));
    CHECK(mkdir(at, 0700) == 0);
    if (geteuid() != 0) {
        fprintf(stderr, "    !!! only root can make a small file system: not tested\n");
    } else {
        for (unsigned i = 0; i < SIZES; i++) {
            ask(&source, "memory\n", memory[0]);
            CHECK(snapshot_into(sizes[i], at) == (i < SIZES - 1));
        }
    }
    path = snap_take("source", "roomy.snap");
    snap_succeed((const char *[]){"verify", path, NULL});
    ask(&source, "memory\n", memory[0]);
    snap_restore(&clone, "clone", path, snap_no_words);
    ask(&clone, "memory\n", memory[1]);
    CHECK(strcmp(memory[0], memory[1]) == 0);
    end(&source);
    end(&clone);
}

/* --- many --- */

static int by_line(const void *a, const void *b)
{
    return memcmp(a, b, 33);
}

/* A hundred at once, again and again, of a program that says a random number when it goes on. */
static void a_thousand_clones_are_a_thousand(void)
{
    enum { LENGTH = 33 };
    const int rounds = times(10, 1), each = getenv("VM_EMULATED") ? 20 : 100;
    char *all = malloc((size_t)rounds * (size_t)each * LENGTH), number[8];
    struct running source;
    struct outcome o;
    const char *path;
    size_t count = 0;

    run_instant(&source, "source");
    snap_say(&source, "when it wakes\n");
    CHECK(all && job_await(&source, "asleep\n"));
    path = snap_take("source", "thousand.snap");
    job_stop(&source);
    usleep(100000); /* what it wakes by */
    snprintf(number, sizeof(number), "%d", each);
    for (int i = 0; i < rounds; i++) {
        snap_command(&o, (const char *[]){"clone", "-n", number, "--timeout", "200s", path, NULL});
        STATUS(&o, 0);
        CHECK(o.err_len == 0 && o.out_len == (size_t)each * LENGTH);
        memcpy(all + count * LENGTH, o.out, o.out_len);
        count += (size_t)each;
        outcome_free(&o);
    }
    qsort(all, count, LENGTH, by_line);
    for (size_t i = 1; i < count; i++)
        CHECK(memcmp(all + (i - 1) * LENGTH, all + i * LENGTH, LENGTH) != 0);
    free(all);
}

const struct vm_test snapshot_limits_tests[] = {
    {"snapshot_limits/two_hundred_generations_lose_nothing", two_hundred_generations_lose_nothing},
    {"snapshot_limits/sixty_four_layers_are_one", sixty_four_layers_are_one},
    {"snapshot_limits/a_first_diff_is_what_a_whole_one_is", a_first_diff_is_what_a_whole_one_is},
    {"snapshot_limits/a_full_disk_costs_the_snapshot_alone", a_full_disk_costs_the_snapshot_alone},
    {"snapshot_limits/a_thousand_clones_are_a_thousand", a_thousand_clones_are_a_thousand},
    {NULL, NULL},
};
