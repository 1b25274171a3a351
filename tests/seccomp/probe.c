/*
 * Each row of the policy, tried: a process under its role's filter makes the call as the row allows
 * it and lives, and with any bit of a fixed argument changed it dies of SIGSYS. What no row has
 * dies as well. A row without a probe below fails.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "seccomp/enter.h"
#include "seccomp/policy.h"

enum { CALLS = 470, LIVED = 0, FAILED = 1, NOTHING = -1000 };

/* What the calls are made on. */
static struct world {
    int pipe[2], pair[2], listener, file;
    bool has_kvm;
    volatile int *said; /* shared with the child */
    char *page;
    struct iovec iov;
    struct msghdr msg;
    struct epoll_event event;
    struct itimerspec alarm;
    struct timespec now;
    struct winsize size;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_msi msi;
    struct kvm_clock_data clock;
    struct kvm_userspace_memory_region region;
    struct kvm_dirty_log log;
    struct kvm_clear_dirty_log clear;
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;
    struct kvm_msrs msrs;
    struct kvm_lapic_state lapic;
    struct kvm_vcpu_events events;
    struct kvm_debugregs debugregs;
    struct kvm_mp_state mp_state;
    struct termios modes;
    uint32_t word, cred_size;
    uint64_t count;
} w;

static uint64_t at(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static void take_number(int fd, enum fd_role role)
{
    cr_assert_geq(fd, 0, "%d", (int)role);
    cr_assert_eq(dup2(fd, (int)role), (int)role);
    close(fd);
}

static int open_disk(void)
{
    char path[] = "/tmp/samara-probe.XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    cr_assert_eq(ftruncate(fd, 8192), 0);
    return fd;
}

static void open_world(void)
{
    const struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    int master, slave;

    cr_assert_eq(pipe2(w.pipe, O_NONBLOCK), 0);
    cr_assert_eq(write(w.pipe[1], "12345678", 8), 8);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, w.pair), 0);
    cr_assert_eq(write(w.pair[1], "12345678", 8), 8);
    w.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(w.listener, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t)),
                 0);
    cr_assert_eq(listen(w.listener, 1), 0);
    w.file = open("/proc/self/exe", O_RDONLY);
    cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    cr_assert_eq(tcgetattr(slave, &w.modes), 0);
    take_number(slave, FD_TERMINAL);
    take_number(epoll_create1(0), FD_EPOLL);
    take_number(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), FD_TIMER);
    take_number(open_disk(), FD_DISKS);
    take_number(open_disk(), FD_LAYERS);
    take_number(open_disk(), FD_PAGEMAP);
    take_number(open("/dev/null", O_RDWR), FD_NETS); /* a tap takes rights that few have */
    cr_assert_eq(timerfd_settime(FD_TIMER, 0, &soon, NULL), 0);
    w.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(w.page, MAP_FAILED);
    w.said = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(w.said, MAP_FAILED);
    w.iov = (struct iovec){w.page, 4};
    w.msg = (struct msghdr){.msg_iov = &w.iov, .msg_iovlen = 1};
    w.event.events = EPOLLIN;
    w.msi = (struct kvm_msi){.address_lo = 0xfee00000, .data = 0x30};
    w.count = 1;
    w.cred_size = sizeof(struct ucred);
    w.has_kvm = access("/dev/kvm", R_OK | W_OK) == 0;
}

/* --- one probe for each row, found by its reason --- */

#define ANY UINT64_C(0x7fffffff) /* in args: the row's own rule gives the value */

struct probe {
    const char *why;
    uint64_t args[6];
    int also; /* an errno that is as good: the call was made */
    bool needs_kvm;
};

static unsigned fill_probes(struct probe *p)
{
    const struct probe probes[] = {
        {"waits for whatever is next", {0, at(&w.event), 1, 0, 0, 8}, 0, false},
        {"connections come, go and wait for room",
         {0, EPOLL_CTL_ADD, (uint64_t)w.pipe[0], at(&w.event)},
         EEXIST,
         false},
        {"somebody woke the loop", {0, at(w.page), 8}, 0, false},
        {"wakes the loop for work left over", {0, at(&w.count), 8}, 0, false},
        {"sets the next timer", {0, 0, at(&w.alarm), 0}, 0, false},
        {"what a timer counts from", {0, at(&w.now)}, 0, false},
        {"reads files, pipes and terminals that were opened before",
         {(uint64_t)w.pipe[0], at(&w.iov), 1},
         0,
         false},
        {"writes them; wakes the loop; says something on standard error",
         {(uint64_t)w.pipe[1], at(&w.iov), 1},
         0,
         false},
        {"reads a file shared with others that block",
         {(uint64_t)w.pipe[0], at(&w.iov), 1},
         0,
         false},
        {"writes such a file", {(uint64_t)w.pipe[1], at(&w.iov), 1}, 0, false},
        {"asks, without waiting, if one file is ready", {at(w.page), 0, 0}, 0, false},
        {"leaves what the program did not read to the next reader",
         {(uint64_t)w.file, 0, 0},
         0,
         false},
        {"reads sockets that were passed or accepted",
         {(uint64_t)w.pair[0], at(&w.msg), 0},
         0,
         false},
        {"writes them", {(uint64_t)w.pair[0], at(&w.msg), 0}, 0, false},
        {"takes clients of listening sockets", {(uint64_t)w.listener, 0, 0, 0}, EAGAIN, false},
        {"who wants to control the VM",
         {(uint64_t)w.pair[0], 0, 0, at(w.page), at(&w.cred_size)},
         0,
         false},
        {"ends one direction of a connection", {(uint64_t)w.pair[0], 1}, 0, false},
        {"ends connections and streams", {(uint64_t)w.file}, 0, false},
        {"gives back a buffer's memory", {at(w.page), 4096, 0}, 0, false},
        {"takes the memory that a clone will write", {at(w.page), 4096, 0}, 0, false},
        {"... and what it will read", {at(w.page), 4096, 0}, 0, false},
        {"reads of a disk what is in memory", {0, at(&w.iov), 1, 0, 0, 0}, EAGAIN, false},
        {"writes one if that need not wait", {0, at(&w.iov), 1, 0, 0, 0}, EOPNOTSUPP, false},
        {"reads a disk", {0, at(&w.iov), 1, 0, 0, 0}, 0, false},
        {"writes one", {0, at(&w.iov), 1, 0, 0, 0}, 0, false},
        {"... what a snapshot has of it, likewise", {0, at(&w.iov), 1, 0, 0, 0}, EAGAIN, false},
        {"... what a snapshot has of it", {0, at(&w.iov), 1, 0, 0, 0}, 0, false},
        {"flushes one", {0}, 0, false},
        {"gives back what the guest discards", {0, 0, 0, 4096}, EOPNOTSUPP, false},
        {"clears a range without writing it", {0, 0, 0, 4096}, EOPNOTSUPP, false},
        {"what the guest's driver lets a tap leave to it", {0, 0, 0}, ENOTTY, false},
        {"its size has changed", {0, 0, at(&w.size)}, 0, false},
        {"the program sets its modes", {0, 0, at(&w.modes)}, 0, false},
        {"... and discards what was typed before", {0, 0, 0}, 0, false},
        {"runs the guest", {0}, EINTR, true},
        {"interrupts it", {0, 0, at(&w.msi)}, 0, true},
        {"reports how it failed", {0, 0, at(&w.regs)}, 0, true},
        {"... and where", {0, 0, at(&w.sregs)}, 0, true},
        {"puts its marks into the trace", {0, 0, at(&w.clock)}, 0, true},
        {"which pages there is anything in", {0, at(&w.iov), 1, 0, 0, 0}, 0, false},
        {"has changes logged", {0, 0, at(&w.region)}, EINVAL, true},
        {"which pages have changed", {0, 0, at(&w.log)}, ENOENT, true},
        {"... since they were copied", {0, 0, at(&w.clear)}, ENOENT, true},
        {"puts back segments and control registers", {0, 0, at(&w.sregs)}, EINVAL, true},
        {"... general registers", {0, 0, at(&w.regs)}, 0, true},
        {"... which vector registers are in use", {0, 0, at(&w.xcrs)}, EINVAL, true},
        {"... vector registers", {0, 0, at(&w.xsave)}, EINVAL, true},
        {"... debug registers, too", {0, 0, at(&w.debugregs)}, EINVAL, true},
        {"... model-specific registers, too", {0, 0, at(&w.msrs)}, 0, true},
        {"... the local APIC, too", {0, 0, at(&w.lapic)}, EINVAL, true},
        {"... what was pending", {0, 0, at(&w.events)}, EINVAL, true},
        {"... whether it had halted", {0, 0, at(&w.mp_state)}, EINVAL, true},
        {"... and the clock", {0, 0, at(&w.clock)}, EINVAL, true},
        {"keeps vector registers", {0, 0, at(&w.xsave)}, 0, true},
        {"... which of them are in use", {0, 0, at(&w.xcrs)}, 0, true},
        {"... model-specific registers", {0, 0, at(&w.msrs)}, 0, true},
        {"... the local APIC", {0, 0, at(&w.lapic)}, 0, true},
        {"... what is pending", {0, 0, at(&w.events)}, 0, true},
        {"... debug registers", {0, 0, at(&w.debugregs)}, 0, true},
        {"... whether it has halted", {0, 0, at(&w.mp_state)}, 0, true},
        {"waits for the device lock, or to go on", {at(&w.word), 0, 1}, EAGAIN, false},
        {"waits until the thread that asked KVM is gone", {at(&w.word), 0, 1}, EAGAIN, false},
        {"releases the device lock", {at(&w.word), 0, 1}, 0, false},
        {"gets the vCPU out of the guest", {0}, 0, false},
        {"ends a signal handler: the kick's is empty", {0}, 0, false},
        {"the end", {LIVED}, 0, false},
    };

    memcpy(p, probes, sizeof(probes));
    return sizeof(probes) / sizeof(probes[0]);
}

static struct probe probe_of(const struct policy_row *row)
{
    static struct probe probes[80];
    unsigned count = fill_probes(probes);

    for (unsigned i = 0; i < count; i++) {
        struct probe p = probes[i];

        if (strcmp(p.why, row->why) != 0)
            continue;
        for (unsigned r = 0; r < row->rule_count; r++)
            p.args[row->rules[r].arg] =
                (p.args[row->rules[r].arg] & ~row->rules[r].mask) | row->rules[r].value;
        return p;
    }
    cr_assert_fail("no probe for the row '%s: %s'", row->name, row->why);
    return (struct probe){0};
}

/* --- a process under the filter --- */

static long raw(long nr, const uint64_t a[6])
{
    register long r10 __asm__("r10") = (long)a[3], r8 __asm__("r8") = (long)a[4],
                      r9 __asm__("r9") = (long)a[5];
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static volatile sig_atomic_t handled;

static void handler(int sig)
{
    (void)sig;
    handled = 1;
}

/* A return from a handler cannot be made by hand: an alarm brings one. */
static long return_from_a_handler(void)
{
    while (!handled)
        ;
    return 0;
}

/* Says how it went where the parent can read it: a loop thread may not even exit. Not _Noreturn:
 * before such a call AddressSanitizer makes system calls. */
static void end(int status)
{
    *w.said = status;
    raw(SYS_exit_group, (const uint64_t[6]){(uint64_t)status});
    for (;;)
        ;
}

/* A VM is its maker's alone. */
static bool open_kvm(void)
{
    struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};
    int kvm = open("/dev/kvm", O_RDWR);
    struct kvm_run *run;

    if (dup2(ioctl(kvm, KVM_CREATE_VM, 0), FD_VM) != FD_VM ||
        ioctl(FD_VM, KVM_ENABLE_CAP, &split) != 0 ||
        dup2(ioctl(FD_VM, KVM_CREATE_VCPU, 0), FD_VCPU) != FD_VCPU)
        return false;
    run = mmap(NULL, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
               MAP_SHARED, FD_VCPU, 0);
    if (run == MAP_FAILED)
        return false;
    run->immediate_exit = 1;
    return true;
}

static void be_probe(enum seccomp_role role, int nr, const struct probe *p)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    uint64_t args[6];
    long result;

    memcpy(args, p->args, sizeof(args));
    signal(SIGNAL_KICK, SIG_IGN);
    if (nr == SYS_tgkill) {
        args[0] = (uint64_t)getpid();
        args[1] = (uint64_t)syscall(SYS_gettid);
    }
    if (nr == SYS_rt_sigreturn) {
        signal(SIGALRM, handler);
        setitimer(ITIMER_REAL, &soon, NULL);
    }
    if (p->needs_kvm && w.has_kvm && !open_kvm())
        end(FAILED);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (seccomp_enter(role, SECCOMP_MODE_KILL, NULL) != 0)
        end(FAILED);
    result = nr == SYS_rt_sigreturn ? return_from_a_handler() : raw(nr, args);
    end(result >= 0 || result == -p->also ? LIVED : FAILED);
}

/* How the call ends: LIVED, FAILED, or a signal's negative number. */
static int try(enum seccomp_role role, int nr, const struct probe *p)
{
    pid_t child;
    int status;

    *w.said = NOTHING;
    child = fork();

    if (child == 0)
        be_probe(role, nr, p);
    cr_assert_eq(waitpid(child, &status, 0), child);
    if (*w.said != NOTHING)
        return *w.said;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TestSuite(probe, .init = open_world, .timeout = 300);

Test(probe, every_row_allows_what_it_says)
{
    for (unsigned i = 0; i < policy_rows; i++) {
        for (enum seccomp_role role = 0; role < ROLES; role++) {
            struct probe p = probe_of(&policy[i]);
            int result;

            if (!(policy[i].roles & (1u << role)))
                continue;
            result = try(role, policy[i].nr, &p);
            if (p.needs_kvm && !w.has_kvm)
                cr_assert_neq(result, -SIGSYS, "%s: %s", policy[i].name, policy[i].why);
            else
                cr_assert_eq(result, LIVED, "role %u, %s: %s: %d", role, policy[i].name,
                             policy[i].why, result);
        }
    }
}

/* Every bit that a rule looks at, one at a time; bits that lead to another row are not mutations.
 */
static unsigned try_mutations(enum seccomp_role role, const struct policy_row *row,
                              const struct policy_rule *rule)
{
    unsigned tried = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        struct probe p = probe_of(row);

        if (!(rule->mask & UINT64_C(1) << bit))
            continue;
        p.args[rule->arg] ^= UINT64_C(1) << bit;
        if (policy_allows(role, row->nr, p.args))
            continue;
        cr_assert_eq(try(role, row->nr, &p), -SIGSYS, "role %u, %s: %s: argument %u, bit %u", role,
                     row->name, row->why, rule->arg, bit);
        tried++;
    }
    return tried;
}

Test(probe, a_changed_argument_is_death)
{
    for (unsigned i = 0; i < policy_rows; i++)
        for (enum seccomp_role role = 0; role < ROLES; role++)
            for (unsigned r = 0; r < policy[i].rule_count; r++)
                if (policy[i].roles & (1u << role))
                    cr_assert_gt(try_mutations(role, &policy[i], &policy[i].rules[r]), 0, "%s: %s",
                                 policy[i].name, policy[i].why);
}

static bool has_row(enum seccomp_role role, int nr)
{
    for (unsigned i = 0; i < policy_rows; i++)
        if (policy[i].nr == nr && policy[i].roles & (1u << role))
            return true;
    return false;
}

/* uretprobe and uprobe: trampolines that the kernel itself maps make them, and newer kernels do not
 * ask the filter. From anywhere else they are SIGILL or ENOSYS. */
static bool is_the_kernels_own(int nr)
{
    return nr == 335 || nr == 336;
}

Test(probe, what_no_row_has_is_death)
{
    static const struct probe nothing;

    for (enum seccomp_role role = 0; role < ROLES; role++)
        for (int nr = 0; nr < CALLS; nr++)
            if (!has_row(role, nr) && !is_the_kernels_own(nr))
                cr_assert_eq(try(role, nr, &nothing), -SIGSYS, "role %u, call %d", role, nr);
}

/* x32's numbers and 32-bit calls are other calls with other arguments. */
Test(probe, another_architectures_calls_are_death)
{
    static const struct probe nothing;

    for (enum seccomp_role role = 0; role < ROLES; role++)
        cr_assert_eq(try(role, 0x40000000 | SYS_close, &nothing), -SIGSYS);
}
