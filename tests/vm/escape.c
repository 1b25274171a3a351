/*
 * Somebody who has broken out of the guest: a monitor from its own parts, confined as for `samara
 * run`, which instead of running the guest tries what it must not be able to do. `escape_tests`
 * runs it:
 *
 *     escape kill|off vcpu|loop|disk ATTEMPT PROGRAM SOCKET IMAGE
 *
 * The attempt is made in that thread. With kill its filter ends the process. With off there is no
 * filter, and everything else has to hold.
 * Prints "refused: why" or "ESCAPED".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "monitor/keeper.h"
#include "monitor/kvm.h"
#include "monitor/vm.h"

static struct vm vm;
static struct keeper keeper = KEEPER_CLOSED;
static const char *other_socket;

/* --- attempts: below zero is refused, with errno --- */

static long read_a_file(void)
{
    return open("/etc/passwd", O_RDONLY);
}

static long read_a_file_above(void)
{
    return open("../../../../etc/passwd", O_RDONLY);
}

static long write_memory(void)
{
    return open("/proc/self/mem", O_RDWR);
}

static long make_a_file(void)
{
    return open("/file", O_RDWR | O_CREAT, 0600);
}

/* There is nothing in it, and what is mounted there forbids only to write. */
static long list_the_root(void)
{
    return open("/", O_RDONLY | O_DIRECTORY);
}

static long lock_memory(void)
{
    return mlock((void *)((uintptr_t)&vm & ~UINT64_C(4095)), 4096);
}

static long raise_a_limit(void)
{
    const struct rlimit limit = {1 << 20, 1 << 20};

    return setrlimit(RLIMIT_NOFILE, &limit);
}

static long use_another_vms_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(address.sun_path, other_socket, sizeof(address.sun_path) - 1);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static long connect_out(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    long result = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));

    /* That nobody listens there is not what has to stop it. */
    return result < 0 && errno == ECONNREFUSED ? 0 : result;
}

static long trace_the_keeper(void)
{
    return ptrace(PTRACE_ATTACH, keeper.pid, 0, 0);
}

static long signal_the_keeper(void)
{
    return kill(keeper.pid, SIGCONT);
}

static long raise_a_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct all[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};

    return syscall(SYS_capset, &header, all);
}

static long remount(void)
{
    return mount("none", "/", "tmpfs", 0, NULL);
}

static long remount_writable(void)
{
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}

static long leave_the_root(void)
{
    return chroot("..");
}

static long start_a_shell(void)
{
    char *const argv[] = {(char[]){"sh"}, NULL};

    return execve("/bin/sh", argv, NULL);
}

static long make_a_process(void)
{
    long pid = fork();

    if (pid == 0)
        _exit(0);
    return pid;
}

static long make_memory_executable(void)
{
    return syscall(SYS_mprotect, (uintptr_t)&vm & ~UINT64_C(4095), 4096, 7);
}

static const struct {
    const char *name;
    long (*try)(void);
    bool by_filter_alone;
} attempts[] = {
    {"read-a-file", read_a_file, false},
    {"read-a-file-above", read_a_file_above, false},
    {"write-memory", write_memory, false},
    {"make-a-file", make_a_file, false},
    {"list-the-root", list_the_root, false}, /* by Landlock */
    {"lock-memory", lock_memory, false},     /* by a limit */
    {"raise-a-limit", raise_a_limit, false},
    {"use-another-vms-socket", use_another_vms_socket, false},
    {"connect-out", connect_out, false},
    {"trace-the-keeper", trace_the_keeper, false},
    {"signal-the-keeper", signal_the_keeper, false},
    {"raise-a-capability", raise_a_capability, false},
    {"remount", remount, false},
    {"remount-writable", remount_writable, false},
    {"leave-the-root", leave_the_root, false},
    {"start-a-shell", start_a_shell, false},
    {"make-a-process", make_a_process, true},
    {"make-memory-executable", make_memory_executable, true},
};
enum { ATTEMPTS = sizeof(attempts) / sizeof(attempts[0]) };

/* --- the monitor --- */

static int try(const char *name)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        if (strcmp(attempts[i].name, name) != 0)
            continue;
        if (attempts[i].try() >= 0) {
            dprintf(2, "ESCAPED\n");
            return 1;
        }
        dprintf(2, "refused: %s\n", strerror(errno));
        return 0;
    }
    return 2;
}

static struct {
    const char *name;
    int result;
    struct latch done;
} attempt;

static void try_here(void)
{
    attempt.result = try(attempt.name);
    latch_set(&attempt.done, true);
}

static void on_task(void *arg)
{
    (void)arg;
    try_here();
}

static void on_job(struct worker_job *job)
{
    (void)job;
    try_here();
}

static void job_is_done(struct worker_job *job, bool ran)
{
    (void)job;
    (void)ran;
}

/* Meanwhile this thread makes no call but futex(), which its own filter allows. */
static int try_in(const char *thread, const char *name)
{
    static struct loop_task task = {.fn = on_task};
    static struct worker_job job = {.work = on_job, .done = job_is_done};

    attempt.name = name;
    device_lock_take(&vm.lock);
    if (strcmp(thread, "loop") == 0)
        loop_post(&vm.loop, &task);
    else
        worker_submit(&vm.disks[0].worker, &job);
    device_lock_release(&vm.lock);
    latch_wait(&attempt.done);
    return attempt.result;
}

static int be_monitor(const char *thread, const char *name)
{
    static struct confinement confinement;
    struct err err = {.text = ""};

    confine_init(&confinement, keeper.namespaces, true, keeper.user);
    vm.opener = keeper.ends[1];
    confine_process(&confinement);
    vm.confinement = &confinement;
    if (vm_create(&vm, &err) != 0) {
        dprintf(2, "escape: %s\n", err.text);
        return 3;
    }
    return strcmp(thread, "vcpu") == 0 ? try(name) : try_in(thread, name);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* The names, a line each; with a * those that only the filter forbids. */
static int list(void)
{
    for (unsigned i = 0; i < ATTEMPTS; i++)
        printf("%s%s\n", attempts[i].by_filter_alone ? "*" : "", attempts[i].name);
    return 0;
}

int main(int argc, char **argv)
{
    struct ready ready = READY_NONE;
    static struct working_keep working = {.fd = -1};
    const struct keeper_services services = {
        .ready = &ready, .working = &working, .later = nothing};
    struct vm_config config = {
        .memory = 16 << 20, .disks = {{.id = "", .read_only = true}}, .disk_count = 1};
    struct err err = {.text = ""};
    int role, status;

    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list();
    if (argc != 7)
        return 2;
    config.seccomp = strcmp(argv[1], "off") == 0 ? SECCOMP_MODE_OFF : SECCOMP_MODE_KILL;
    config.program = argv[4];
    other_socket = argv[5];
    config.disks[0].path = argv[6];
    if (keeper_open(&keeper, &err) != 0)
        return 3;
    vm_init(&vm, &config, kvm_open(&err));
    role = keeper_split(&keeper, &err);
    if (role == 0)
        _exit(be_monitor(argv[2], argv[3]));
    if (vm.kvm < 0 || vm_open(&vm, &err) != 0 || vm_pass(&vm, keeper.ends[0], &err) != 0)
        return 3;
    status = keeper_attend(&keeper, &services, &err);
    if (err.text[0])
        fprintf(stderr, "%s\n", err.text);
    return status;
}
