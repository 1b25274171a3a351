/* Commands for running VMs: ps, status, pause, resume, shutdown, kill. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/vm/runner.h"

/* A runtime directory of the tests' own. */
static void own_directory(void)
{
    const char *dir = scratch("run");

    CHECK(mkdir(dir, 0700) == 0 || errno == EEXIST);
    setenv("XDG_RUNTIME_DIR", dir, 1);
}

static void ask(struct outcome *o, const char *command, const char *name)
{
    struct job job = {.argv = {samara(), command, name}};

    job_run(&job, o);
}

static void expect(const char *command, const char *name, int status, const char *output)
{
    struct outcome o;

    ask(&o, command, name);
    STATUS(&o, status);
    if (!strstr(o.out, output))
        fail_at(__FILE__, __LINE__, "'%s' is not in '%s'", output, o.out);
    outcome_free(&o);
}

static void start(struct running *r, const char *name, const char *script)
{
    struct job job = {.argv = {samara(), "run", "--name", name, "/bin/busybox", "sh", "-c", script},
                      .keep_input_open = true};

    own_directory();
    job_start(&job, r);
    CHECK(job_await(r, "up\n"));
}

static void a_vm_is_listed_and_described(void)
{
    char pid[32], line[64];
    struct running r;
    struct outcome o;

    start(&r, "web-1", "echo up; read x");
    snprintf(pid, sizeof(pid), "\"pid\":%d,", (int)r.pid);
    expect("status", "web-1", 0, "{\"ok\":true,\"name\":\"web-1\",");
    expect("status", "web-1", 0, pid);
    expect("status", "web-1", 0, "\"state\":\"running\"");
    expect("status", "web-1", 0, "busybox\",\"memory\":134217728,");
    snprintf(line, sizeof(line), "%-29s %7d running ", "web-1", (int)r.pid);
    expect("ps", NULL, 0, line);
    expect("ps", "--json", 0, "\"name\":\"web-1\"");
    CHECK(write(r.in, "x\n", 2) == 2);
    job_finish(&r, &o);
    STATUS(&o, 0);
    outcome_free(&o);
    ask(&o, "ps", "--json");
    STATUS(&o, 0);
    CHECK(o.out_len == 0);
}

static void a_paused_vm_stands_until_it_is_resumed(void)
{
    struct running r;
    struct outcome o;

    start(&r, "p", "echo up; while read x; do echo $x; done");
    for (int i = 0; i < 5; i++) {
        expect("pause", "p", 0, "");
        expect("status", "p", 0, "\"state\":\"paused\"");
        expect("pause", "p", 0, "");
        CHECK(write(r.in, "on\n", 3) == 3);
        usleep(50000);
        CHECK(waitpid(r.pid, NULL, WNOHANG) == 0);
        expect("resume", "p", 0, "");
        expect("status", "p", 0, "\"state\":\"running\"");
        CHECK(job_await(&r, "on\n"));
    }
    expect("pause", "p", 0, "");
    expect("shutdown", "p", 0, "");
    job_finish(&r, &o);
    STATUS(&o, 143);
}

/* Nothing comes out of a guest that prints without end. */
static void a_paused_vm_is_silent(void)
{
    static char waste[1 << 16];
    struct running r;
    struct outcome o;
    fd_set ready;
    struct timeval none = {.tv_usec = 200000};

    start(&r, "loud", "echo up; while :; do echo line; done");
    expect("pause", "loud", 0, "");
    do {
        FD_ZERO(&ready);
        FD_SET(r.out, &ready);
        none = (struct timeval){.tv_usec = 100000};
    } while (select(r.out + 1, &ready, NULL, NULL, &none) > 0 &&
             read(r.out, waste, sizeof(waste)) > 0);
    usleep(200000);
    FD_ZERO(&ready);
    FD_SET(r.out, &ready);
    none = (struct timeval){0};
    CHECK(select(r.out + 1, &ready, NULL, NULL, &none) == 0);
    expect("kill", "loud", 0, "");
    job_finish(&r, &o);
    STATUS(&o, 137);
}

static void a_vm_that_takes_no_signals_is_killed(void)
{
    struct running r;
    struct outcome o;

    start(&r, "deaf", "trap '' TERM; echo up; while :; do :; done");
    expect("shutdown", "deaf", 0, "");
    usleep(100000);
    CHECK(waitpid(r.pid, NULL, WNOHANG) == 0);
    expect("kill", "deaf", 0, "");
    job_finish(&r, &o);
    STATUS(&o, 137);
}

static void a_name_is_one_vms(void)
{
    struct job second = {.argv = {samara(), "run", "--name", "one", program("hello")}};
    struct job odd = {.argv = {samara(), "run", "--name", "../one", program("hello")}};
    struct running r;
    struct outcome o;

    start(&r, "one", "echo up; read x");
    job_run(&second, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: a VM called one runs already (see `samara ps`)\n");
    outcome_free(&o);
    kill(r.pid, SIGKILL); /* which leaves the socket */
    job_finish(&r, &o);
    outcome_free(&o);
    job_run(&second, &o);
    STATUS(&o, 0);
    outcome_free(&o);
    job_run(&odd, &o);
    STATUS(&o, 125);
    outcome_free(&o);
    ask(&o, "status", "one");
    STATUS(&o, 1);
    ERROR_HAS(&o, "samara: no VM called one (see `samara ps`)\n");
}

const struct vm_test control_tests[] = {
    {"control/a_vm_is_listed_and_described", a_vm_is_listed_and_described},
    {"control/a_paused_vm_stands_until_it_is_resumed", a_paused_vm_stands_until_it_is_resumed},
    {"control/a_paused_vm_is_silent", a_paused_vm_is_silent},
    {"control/a_vm_that_takes_no_signals_is_killed", a_vm_that_takes_no_signals_is_killed},
    {"control/a_name_is_one_vms", a_name_is_one_vms},
    {NULL, NULL},
};
