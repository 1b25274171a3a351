/* The two processes of a VM: what becomes of one when something happens to the other. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/vm/runner.h"

enum { PATIENCE = 500, STEP_US = 10000 };

/* State (a letter) and parent of a process; false if it is gone. */
static bool look_at(pid_t pid, char *state, pid_t *parent)
{
    char path[32], line[256];
    const char *rest;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (!f)
        return false;
    line[fread(line, 1, sizeof(line) - 1, f)] = '\0';
    fclose(f);
    rest = strrchr(line, ')');
    return rest && sscanf(rest, ") %c %d", state, parent) == 2;
}

/* The child of the process that samara's caller knows. */
static pid_t monitor_of(pid_t keeper)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0, parent;
    char state;

    CHECK(proc);
    while (!found && (entry = readdir(proc))) {
        pid_t pid = atoi(entry->d_name);

        if (pid > 0 && look_at(pid, &state, &parent) && parent == keeper)
            found = pid;
    }
    closedir(proc);
    CHECK(found);
    return found;
}

static bool is_in_state(pid_t pid, char wanted)
{
    pid_t parent;
    char state;

    return look_at(pid, &state, &parent) && state == wanted;
}

static void await_state(pid_t pid, char wanted)
{
    for (int i = 0; i < PATIENCE && !is_in_state(pid, wanted); i++)
        usleep(STEP_US);
    CHECK(is_in_state(pid, wanted));
}

static void await_end(pid_t pid)
{
    pid_t parent;
    char state = '?';

    for (int i = 0; i < PATIENCE && look_at(pid, &state, &parent) && state != 'Z'; i++)
        usleep(STEP_US);
    CHECK(!look_at(pid, &state, &parent) || state == 'Z');
}

static const struct job sleeper = {
    .argv = {NULL, "run", "/bin/busybox", "sh", "-c", "echo up; read x; echo $x"},
    .keep_input_open = true};

static void start(struct running *r)
{
    struct job job = sleeper;

    job.argv[0] = samara();
    job_start(&job, r);
    CHECK(job_await(r, "up\n"));
}

static void without_its_keeper_the_monitor_ends(void)
{
    struct running r;
    struct outcome o;
    pid_t monitor;

    start(&r);
    monitor = monitor_of(r.pid);
    kill(r.pid, SIGKILL);
    job_finish(&r, &o);
    STATUS(&o, -SIGKILL);
    await_end(monitor);
}

static void a_monitor_that_is_killed_is_reported_and_leaves_nothing(void)
{
    const char *path = scratch("killed.sock");
    struct job job = {
        .argv = {samara(), "run", "--vsock", path, "/bin/busybox", "sh", "-c", "echo up; read x"},
        .keep_input_open = true};
    struct running r;
    struct outcome o;

    job_start(&job, &r);
    CHECK(job_await(&r, "up\n"));
    CHECK(access(path, F_OK) == 0);
    kill(monitor_of(r.pid), SIGKILL);
    job_finish(&r, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: the monitor died of signal 9 (Killed)\n");
    CHECK(access(path, F_OK) != 0);
}

static void job_control_stops_both(void)
{
    struct running r;
    struct outcome o;
    pid_t monitor;
    int status;

    start(&r);
    monitor = monitor_of(r.pid);
    for (int i = 0; i < 3; i++) {
        kill(r.pid, SIGTSTP);
        CHECK(waitpid(r.pid, &status, WUNTRACED) == r.pid && WIFSTOPPED(status));
        await_state(monitor, 'T');
        kill(r.pid, SIGCONT);
        await_state(monitor, 'S');
    }
    CHECK(write(r.in, "on\n", 3) == 3);
    CHECK(job_await(&r, "on\n"));
    job_finish(&r, &o);
    STATUS(&o, 0);
}

const struct vm_test process_tests[] = {
    {"process/without_its_keeper_the_monitor_ends", without_its_keeper_the_monitor_ends},
    {"process/a_monitor_that_is_killed_is_reported_and_leaves_nothing",
     a_monitor_that_is_killed_is_reported_and_leaves_nothing},
    {"process/job_control_stops_both", job_control_stops_both},
    {NULL, NULL},
};
