/* The two processes of a VM: what becomes of one when something happens to the other, and what the
 * monitor has given up. */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

/* A program that sleeps until it is given a line. */
static void start_with(struct running *r, const char *option)
{
    struct job job = {
        .argv = {samara(), "run", option, "/bin/busybox", "sh", "-c", "echo up; read x; echo $x"},
        .keep_input_open = true};

    job_start(&job, r);
    CHECK(job_await(r, "up\n"));
}

static void start(struct running *r)
{
    start_with(r, "--verbose");
}

/* Lets the sleeper end. */
static void finish(struct running *r)
{
    struct outcome o;

    CHECK(write(r->in, "on\n", 3) == 3);
    CHECK(job_await(r, "on\n"));
    job_finish(r, &o);
    STATUS(&o, 0);
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
    finish(&r);
}

/* --- what the monitor has given up --- */

static void check_privileges(pid_t pid, const char *thread)
{
    static const char *const wanted[] = {"Umask:\t0077",
                                         "CapInh:\t0000000000000000",
                                         "CapPrm:\t0000000000000000",
                                         "CapEff:\t0000000000000000",
                                         "CapBnd:\t0000000000000000",
                                         "CapAmb:\t0000000000000000",
                                         "NoNewPrivs:\t1",
                                         "Seccomp:\t2"};
    unsigned count = sizeof(wanted) / sizeof(wanted[0]);
    char path[64], text[4096];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, thread);
    f = fopen(path, "r");
    CHECK(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    if (getenv("VM_SANITIZED"))
        count--; /* no filters: sanitizers make system calls of their own */
    for (unsigned i = 0; i < count; i++) {
        if (!strstr(text, wanted[i]))
            fail_at(__FILE__, __LINE__, "%s is not in\n%s", wanted[i], text);
    }
}

static void every_thread_has_given_up_its_privileges(void)
{
    struct running r;
    struct dirent *entry;
    unsigned threads = 0;
    char path[64];
    pid_t monitor;
    DIR *tasks;

    start(&r);
    monitor = monitor_of(r.pid);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)monitor);
    tasks = opendir(path);
    CHECK(tasks);
    while ((entry = readdir(tasks))) {
        if (entry->d_name[0] != '.') {
            check_privileges(monitor, entry->d_name);
            threads++;
        }
    }
    closedir(tasks);
    CHECK(threads >= 2);
    finish(&r);
}

/* want at most, and no more than the caller had. */
static void check_limit(pid_t pid, int resource, rlim_t want)
{
    struct rlimit ours, its;

    CHECK(getrlimit(resource, &ours) == 0 && prlimit(pid, resource, NULL, &its) == 0);
    if (ours.rlim_max < want)
        want = ours.rlim_max;
    if (its.rlim_cur != want || its.rlim_max != want)
        fail_at(__FILE__, __LINE__, "resource %d: %lu of %lu, not %lu", resource,
                (unsigned long)its.rlim_cur, (unsigned long)its.rlim_max, (unsigned long)want);
}

static void its_resources_are_limited(void)
{
    struct running r;
    pid_t monitor;

    start(&r);
    monitor = monitor_of(r.pid);
    check_limit(monitor, RLIMIT_NOFILE, 4096 + 128);
    check_limit(monitor, RLIMIT_FSIZE, 0);
    check_limit(monitor, RLIMIT_CORE, 0);
    check_limit(monitor, RLIMIT_MEMLOCK, 0);
    finish(&r);
}

static void check_own_namespace(pid_t monitor, const char *name)
{
    char path[64], ours[64] = "", its[64] = "";

    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    CHECK(readlink(path, ours, sizeof(ours) - 1) > 0);
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)monitor, name);
    CHECK(readlink(path, its, sizeof(its) - 1) > 0);
    if (strcmp(ours, its) == 0)
        fail_at(__FILE__, __LINE__, "%s is ours, too", its);
}

static void it_lives_in_an_empty_room(void)
{
    static const char *const names[] = {"user", "pid", "mnt", "ipc", "uts", "net"};
    struct running r;
    struct dirent *entry;
    char path[64];
    pid_t monitor;
    DIR *root;

    start_with(&r, getenv("VM_SANITIZED") ? "--verbose" : "--require-confinement");
    monitor = monitor_of(r.pid);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check_own_namespace(monitor, names[i]);
    snprintf(path, sizeof(path), "/proc/%d/root/", (int)monitor);
    root = opendir(path);
    CHECK(root);
    while ((entry = readdir(root)))
        CHECK(entry->d_name[0] == '.');
    closedir(root);
    strcat(path, "new");
    CHECK(mkdir(path, 0700) != 0);
    finish(&r);
}

static void all_of_confinement_can_be_required(void)
{
    struct job job = {.argv = {samara(), "run", "--require-confinement", program("hello")}};
    struct job without = {.argv = {samara(), "run", "--no-seccomp=unsafe", "--require-confinement",
                                   program("hello")}};
    struct outcome o;

    if (!getenv("VM_SANITIZED")) {
        job_run(&job, &o);
        STATUS(&o, 0);
        outcome_free(&o);
    }
    job_run(&without, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: confinement: seccomp: not wanted\n");
    CHECK(o.out_len == 0);
}

struct kvm_node {
    gid_t group;
    mode_t mode;
};

/* In a mount namespace of the caller's own: another node for KVM. */
static bool place_kvm(const char *dir, struct kvm_node as)
{
    char node[256];
    struct stat kvm;

    snprintf(node, sizeof(node), "%s/kvm", dir);
    return stat("/dev/kvm", &kvm) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", dir, "tmpfs", 0, "mode=0755") == 0 &&
           mknod(node, S_IFCHR | 0600, kvm.st_rdev) == 0 && chown(node, 0, as.group) == 0 &&
           chmod(node, as.mode) == 0 && mount(node, "/dev/kvm", NULL, MS_BIND, NULL) == 0;
}

static void become_nobody(const char *dir, struct kvm_node kvm)
{
    const unsigned nobody = 65534;

    if (unshare(CLONE_NEWNS) != 0 || !place_kvm(dir, kvm) || setgroups(0, NULL) != 0 ||
        setresgid(nobody, nobody, nobody) != 0 || setresuid(nobody, nobody, nobody) != 0)
        _exit(1);
}

static _Noreturn void run_as_nobody(const char *dir)
{
    become_nobody(dir, (struct kvm_node){0, 0666});
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    setenv("XDG_RUNTIME_DIR", "/dev/null", 1); /* no place for one: leave nothing behind */
    execl(samara(), "samara", "run", getenv("VM_SANITIZED") ? "--verbose" : "--require-confinement",
          program("hello"), NULL);
    _exit(2);
}

/* Root's monitors share a room (room.h); others' make one each. */
static void an_ordinary_user_is_confined_as_well(void)
{
    const char *dir = scratch("devices");
    pid_t child;
    int status;

    CHECK(mkdir(dir, 0700) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        run_as_nobody(dir);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(rmdir(dir) == 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool may_be_traced(pid_t pid)
{
    int status;

    if (ptrace(PTRACE_ATTACH, pid, 0, 0) != 0)
        return false;
    CHECK(waitpid(pid, &status, __WALL) == pid && ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
    return true;
}

/* For root, who may trace everybody, there is no telling. Of the keeper its owner may do so: it is
 * not the host that forbids it. */
static void its_owner_may_not_trace_the_monitor(void)
{
    const char *dir = scratch("devices");
    struct running r;
    pid_t child;
    int status;

    CHECK(mkdir(dir, 0700) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        become_nobody(dir, (struct kvm_node){0, 0666});
        setenv("XDG_RUNTIME_DIR", "/dev/null", 1);
        start(&r);
        CHECK(may_be_traced(r.pid));
        CHECK(!may_be_traced(monitor_of(r.pid)));
        finish(&r);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && rmdir(dir) == 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void expect_advice(struct kvm_node kvm, const char *advice)
{
    struct job job = {.argv = {samara(), "run", program("hello")}};
    const char *dir = scratch("devices");
    struct outcome o;
    pid_t child;
    int status;

    CHECK(mkdir(dir, 0700) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        become_nobody(dir, kvm);
        job_run(&job, &o);
        STATUS(&o, 125);
        ERROR_HAS(&o, advice);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && rmdir(dir) == 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* To join a group helps only where the group may use it, and is one for that. */
static void who_may_not_use_kvm_is_told_what_helps(void)
{
    static const char join[] = "/dev/kvm: Permission denied (join its group: `sudo usermod -aG kvm";
    static const char change[] = "/dev/kvm: Permission denied (only root may use it: `sudo chgrp";
    const gid_t group = 108;

    expect_advice((struct kvm_node){group, 0660}, join);
    expect_advice((struct kvm_node){group, 0600}, change);
    expect_advice((struct kvm_node){group, 0640}, change);
    expect_advice((struct kvm_node){0, 0600}, change);
    expect_advice((struct kvm_node){0, 0660}, change);
}

/* A root of its own, on a mount point, with what samara needs. */
static _Noreturn void run_in_chroot(const char *dir)
{
    char command[1200];

    snprintf(command, sizeof(command),
             "mount -t tmpfs -o mode=755 none %s && cp %s %s/samara && cp %s %s/cat && cd %s && "
             "mkdir dev proc run tmp && mount -t proc proc proc && mknod dev/null c 1 3 && "
             "mknod dev/kvm c 10 232",
             dir, samara(), dir, program("cat"), dir, dir);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        system(command) != 0 || chroot(dir) != 0 || chdir("/") != 0)
        _exit(1);
    execl("/samara", "samara", "run", "--require-confinement", "/cat", NULL);
    _exit(2);
}

static unsigned entries_in_root(pid_t pid)
{
    char path[64];
    struct dirent *entry;
    unsigned count = 0;
    DIR *root;

    snprintf(path, sizeof(path), "/proc/%d/root/", (int)pid);
    root = opendir(path);
    CHECK(root);
    while ((entry = readdir(root)))
        count += entry->d_name[0] != '.';
    closedir(root);
    return count;
}

/* The root of its mount namespace is not its own. */
static void in_a_chroot_the_room_is_empty_too(void)
{
    const char *dir = scratch("chroot");
    int input[2], output[2], status;
    char byte = 'x';
    pid_t child;

    if (getenv("VM_SANITIZED")) {
        fputs("!!! a sanitized samara is not static: a chroot is tried with the ordinary one\n",
              stderr);
        return;
    }
    CHECK(mkdir(dir, 0700) == 0 && pipe(input) == 0 && pipe(output) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(input[0], 0);
        dup2(output[1], 1);
        close(input[1]);
        run_in_chroot(dir);
    }
    close(input[0]);
    close(output[1]);
    CHECK(write(input[1], &byte, 1) == 1 && read(output[0], &byte, 1) == 1);
    CHECK(entries_in_root(monitor_of(child)) == 0);
    close(input[1]);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(output[0]);
    CHECK(rmdir(dir) == 0);
}

/* --- cgroups --- */

static bool is_member(pid_t pid, const char *group)
{
    char path[64], text[4096];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    f = fopen(path, "r");
    CHECK(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return strstr(text, group);
}

/* A group of our own in the hierarchy at root. */
static void join_group_in(const char *root)
{
    struct running r;
    char group[32], dir[200], option[240];

    snprintf(group, sizeof(group), "samara-test-%d", (int)getpid());
    snprintf(dir, sizeof(dir), "%s/%s", root, group);
    CHECK(mkdir(dir, 0755) == 0);
    snprintf(option, sizeof(option), "--cgroup=%s", dir);
    start_with(&r, option);
    CHECK(is_member(monitor_of(r.pid), group));
    CHECK(!is_member(r.pid, group));
    finish(&r);
    CHECK(rmdir(dir) == 0);
}

/* Version 2 wherever it can be mounted; version 1 where it is. */
static void the_monitor_joins_its_cgroup(void)
{
    const char *root = scratch("cgroup");
    struct job nowhere = {.argv = {samara(), "run", "--cgroup", root, program("hello")}};
    struct outcome o;

    CHECK(mkdir(root, 0700) == 0);
    job_run(&nowhere, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "no cgroup");
    CHECK(mount("none", root, "cgroup2", 0, NULL) == 0);
    join_group_in(root);
    CHECK(umount(root) == 0 && rmdir(root) == 0);
    if (access("/sys/fs/cgroup/pids/cgroup.procs", F_OK) == 0)
        join_group_in("/sys/fs/cgroup/pids");
}

static void going_without_seccomp_has_to_be_called_unsafe(void)
{
    struct job job = {.argv = {samara(), "run", "--no-seccomp", program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "--no-seccomp=unsafe");
}

const struct vm_test process_tests[] = {
    {"process/without_its_keeper_the_monitor_ends", without_its_keeper_the_monitor_ends},
    {"process/a_monitor_that_is_killed_is_reported_and_leaves_nothing",
     a_monitor_that_is_killed_is_reported_and_leaves_nothing},
    {"process/job_control_stops_both", job_control_stops_both},
    {"process/every_thread_has_given_up_its_privileges", every_thread_has_given_up_its_privileges},
    {"process/its_resources_are_limited", its_resources_are_limited},
    {"process/its_owner_may_not_trace_the_monitor", its_owner_may_not_trace_the_monitor},
    {"process/it_lives_in_an_empty_room", it_lives_in_an_empty_room},
    {"process/an_ordinary_user_is_confined_as_well", an_ordinary_user_is_confined_as_well},
    {"process/who_may_not_use_kvm_is_told_what_helps", who_may_not_use_kvm_is_told_what_helps},
    {"process/in_a_chroot_the_room_is_empty_too", in_a_chroot_the_room_is_empty_too},
    {"process/the_monitor_joins_its_cgroup", the_monitor_joins_its_cgroup},
    {"process/all_of_confinement_can_be_required", all_of_confinement_can_be_required},
    {"process/going_without_seccomp_has_to_be_called_unsafe",
     going_without_seccomp_has_to_be_called_unsafe},
    {NULL, NULL},
};
