/* Snapshots: what a program has, at the very moment, its clone has, too. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/vm/snapshot_run.h"

static void quit(struct running *r)
{
    close(r->in);
    r->in = -1;
    snap_ends(r, 0);
}

static void await_socket(const char *name)
{
    char socket[300];

    snprintf(socket, sizeof(socket), "%s/samara/%s.sock", scratch("run"), name);
    while (access(socket, F_OK) != 0)
        usleep(200);
}

/* The program finds out itself. Each snapshot is of a clone of the one before, too. */
static void memory_under_churn_is_that_of_one_instant(void)
{
    enum { TIMES = 5 };
    struct running source, clone;
    char name[2][16] = {"churn"};

    snap_begin();
    snap_run(&source, name[0], (const char *[]){program("churn"), NULL});
    snap_hear(&source, "up");
    for (int i = 0; i < TIMES; i++) {
        char out[32];
        const char *path;

        snprintf(out, sizeof(out), "churn-%d.snap", i);
        path = snap_take(name[0], out);
        snprintf(name[1], sizeof(name[1]), "churn-%d", i);
        snap_restore(&clone, name[1], path, snap_no_words);
        for (int j = 0; j < 2; j++) {
            snap_say(&clone, "\n");
            snap_hear(&clone, "sound");
            snap_say(&source, "\n");
            snap_hear(&source, "sound");
        }
        quit(&source);
        source = clone;
        snprintf(name[0], sizeof(name[0]), "%s", name[1]);
    }
    quit(&source);
}

/* A snapshot of a clone has what the clone never looked at, from whichever layer. */
static void memory_that_a_clone_never_touched_is_in_its_snapshot(void)
{
    enum { GENERATIONS = 3 };
    struct running vm[GENERATIONS + 1];
    char name[16] = "still";

    snap_begin();
    snap_run(&vm[0], name, (const char *[]){program("churn"), "still", NULL});
    snap_hear(&vm[0], "up");
    for (int i = 1; i <= GENERATIONS; i++) {
        char out[32];
        const char *path;

        snprintf(out, sizeof(out), "still-%d.snap", i);
        path = snap_take(name, out);
        snprintf(name, sizeof(name), "still-%d", i);
        snap_restore(&vm[i], name, path, snap_no_words);
        await_socket(name);
    }
    for (int i = 0; i <= GENERATIONS; i++) {
        snap_say(&vm[i], "\n");
        snap_hear(&vm[i], "sound");
        quit(&vm[i]);
    }
}

/* Taken while the vector registers hold something, and while the others do. */
static void every_register_goes_on(void)
{
    static const char good[] = "all as it was";
    struct running source, clone[2];

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("registers"), NULL});
    snap_hear(&source, "up");
    snap_restore(&clone[0], "clone-0", snap_take("source", "registers-0.snap"), snap_no_words);
    snap_say(&source, "1\n");
    snap_hear(&source, "up");
    snap_restore(&clone[1], "clone-1", snap_take("source", "registers-1.snap"), snap_no_words);
    snap_say(&source, "2\n");
    snap_hear(&source, good);
    snap_ends(&source, 0);
    snap_say(&clone[0], "1\n");
    snap_hear(&clone[0], "up");
    for (int i = 0; i < 2; i++) {
        snap_say(&clone[i], "2\n");
        snap_hear(&clone[i], good);
        snap_ends(&clone[i], 0);
    }
}

/* least: what has to be on its clocks by the time that its timers go off; NULL: what they ask for.
 */
static void hear_timers(const char *least, const char *const options[])
{
    static const char *const names[] = {"nanosleep", "itimer", "timerfd", "realtime"};
    struct running source, clone;
    const char *path;

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("gap_timers"), least, NULL});
    snap_hear(&source, "up");
    path = snap_take("source", least ? "elapsed.snap" : "timers.snap");
    job_stop(&source);
    sleep(2);
    snap_restore(&clone, "clone", path, options);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        snap_hear(&clone, names[i]);
    quit(&clone);
}

/* Those of CLOCK_MONOTONIC wait for what was left of them, that of CLOCK_REALTIME does not. */
static void timers_go_on_after_a_gap(void)
{
    hear_timers(NULL, snap_no_words);
}

static void timers_are_late_by_a_gap_that_counts(void)
{
    hear_timers("2000", (const char *[]){"--clock", "elapsed", NULL});
}

/* From the first thing on that the guest kernel does. */
static void a_guest_that_has_hardly_begun_goes_on(void)
{
    enum { TIMES = 8 };

    snap_begin();
    for (int i = 0; i < TIMES; i++) {
        struct running source, clone;
        char out[32];

        snprintf(out, sizeof(out), "boot-%d.snap", i);
        snap_run(&source, "boot", (const char *[]){program("instant"), NULL});
        await_socket("boot");
        usleep((useconds_t)i * 300);
        snap_restore(&clone, "clone", snap_take("boot", out), snap_no_words);
        snap_say(&clone, "count\nexit 4\n");
        snap_say(&source, "count\nexit 3\n");
        CHECK(job_await(&source, "1\n") && job_await(&clone, "1\n"));
        snap_ends(&source, 3);
        snap_ends(&clone, 4);
    }
}

const struct vm_test snapshot_state_tests[] = {
    {"snapshot_state/memory_under_churn_is_that_of_one_instant",
     memory_under_churn_is_that_of_one_instant},
    {"snapshot_state/memory_that_a_clone_never_touched_is_in_its_snapshot",
     memory_that_a_clone_never_touched_is_in_its_snapshot},
    {"snapshot_state/every_register_goes_on", every_register_goes_on},
    {"snapshot_state/timers_go_on_after_a_gap", timers_go_on_after_a_gap},
    {"snapshot_state/timers_are_late_by_a_gap_that_counts", timers_are_late_by_a_gap_that_counts},
    {"snapshot_state/a_guest_that_has_hardly_begun_goes_on", a_guest_that_has_hardly_begun_goes_on},
    {NULL, NULL},
};
