/* See policy.h. */
#include "seccomp/policy.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "monitor/populate.h"

#define CALL(name) SYS_##name, #name
#define LOOP       (1u << ROLE_LOOP)
#define VCPU       (1u << ROLE_VCPU)
#define DISK       (1u << ROLE_DISK)
#define BOTH       (LOOP | VCPU)
#define ALL        (LOOP | VCPU | DISK)

#define ALL32      UINT64_C(0xffffffff)
/* Rules: a 32-bit argument is a value, or has these bits set. */
#define IS(n, v)                                                                                   \
    {                                                                                              \
        .arg = (n), .mask = ALL32, .value = (v)                                                    \
    }
#define HAS(n, bits)                                                                               \
    {                                                                                              \
        .arg = (n), .mask = (bits), .value = (bits)                                                \
    }
#define AT_MOST_1(n)                                                                               \
    {                                                                                              \
        .arg = (n), .mask = ALL32 & ~UINT64_C(1), .value = 0                                       \
    }
#define A_DISK(n)                                                                                  \
    {                                                                                              \
        .arg = (n), .mask = ALL32 & ~UINT64_C(15), .value = FD_DISKS                               \
    }
#define A_LAYER(n)                                                                                 \
    {                                                                                              \
        .arg = (n), .mask = ALL32 & ~UINT64_C(511), .value = FD_LAYERS                             \
    }
#define A_TAP(n)                                                                                   \
    {                                                                                              \
        .arg = (n), .mask = ALL32 & ~UINT64_C(3), .value = FD_NETS                                 \
    }
#define AT_THE_OFFSET(n)                                                                           \
    {                                                                                              \
        .arg = (n), .mask = UINT64_MAX, .value = UINT64_MAX                                        \
    }

enum { NOWAIT = 8 /* RWF_NOWAIT */ };
enum { PUNCH = 1 | 2, ZERO = 1 | 0x10 }; /* FALLOC_FL_KEEP_SIZE with _PUNCH_HOLE, _ZERO_RANGE */

#define NONBLOCKING_SOCKET (SOCK_CLOEXEC | SOCK_NONBLOCK)

_Static_assert(FD_NETS % 4 == 0 && FD_DISKS % 16 == 0 && FD_LAYERS % 512 == 0,
               "rules leave the lowest bits open");

const struct policy_row policy[] = {
    /* --- the loop --- */
    {CALL(epoll_pwait), LOOP, 1, {IS(0, FD_EPOLL)}, "waits for whatever is next"},
    {CALL(epoll_ctl), BOTH, 1, {IS(0, FD_EPOLL)}, "connections come, go and wait for room"},
    {CALL(timerfd_settime),
     BOTH,
     2,
     {IS(0, FD_TIMER), IS(1, TFD_TIMER_ABSTIME)},
     "sets the next timer"},
    {CALL(clock_gettime), BOTH, 1, {IS(0, CLOCK_MONOTONIC)}, "what a timer counts from"},

    /* --- streams --- */
    {CALL(readv), BOTH, 0, {{0}}, "reads files, pipes and terminals that were opened before"},
    {CALL(writev), ALL, 0, {{0}}, "writes them; wakes the loop; says something on standard error"},
    {CALL(preadv2),
     BOTH,
     2,
     {AT_THE_OFFSET(3), IS(5, NOWAIT)},
     "reads a file shared with others that block"},
    {CALL(pwritev2), BOTH, 2, {AT_THE_OFFSET(3), IS(5, NOWAIT)}, "writes such a file"},
    {CALL(poll), ALL, 2, {IS(1, 1), IS(2, 0)}, "asks, without waiting, if one file is ready"},
    {CALL(lseek),
     BOTH,
     1,
     {IS(2, SEEK_CUR)},
     "leaves what the program did not read to the next reader"},
    {CALL(recvmsg), BOTH, 1, {HAS(2, MSG_DONTWAIT)}, "reads sockets that were passed or accepted"},
    {CALL(sendmsg), BOTH, 1, {HAS(2, MSG_DONTWAIT | MSG_NOSIGNAL)}, "writes them"},
    {CALL(accept4), LOOP, 1, {IS(3, NONBLOCKING_SOCKET)}, "takes clients of listening sockets"},
    {CALL(getsockopt),
     LOOP,
     2,
     {IS(1, SOL_SOCKET), IS(2, SO_PEERCRED)},
     "who wants to control the VM"},
    {CALL(shutdown), BOTH, 1, {AT_MOST_1(1)}, "ends one direction of a connection"},
    {CALL(close), BOTH, 0, {{0}}, "ends connections and streams"},
    {CALL(madvise), BOTH, 1, {IS(2, MADV_DONTNEED)}, "gives back a buffer's memory"},
    {CALL(madvise),
     BOTH,
     1,
     {IS(2, MADV_POPULATE_WRITE)},
     "takes the memory that a clone will write"},
    {CALL(madvise), VCPU, 1, {IS(2, MADV_POPULATE_READ)}, "... and what it will read"},

    /* --- disks --- */
    {CALL(preadv2), BOTH, 2, {A_DISK(0), IS(5, NOWAIT)}, "reads of a disk what is in memory"},
    {CALL(pwritev2), BOTH, 2, {A_DISK(0), IS(5, NOWAIT)}, "writes one if that need not wait"},
    {CALL(preadv2), DISK, 2, {A_DISK(0), IS(5, 0)}, "reads a disk"},
    {CALL(pwritev2), DISK, 2, {A_DISK(0), IS(5, 0)}, "writes one"},
    {CALL(preadv2),
     BOTH,
     2,
     {A_LAYER(0), IS(5, NOWAIT)},
     "... what a snapshot has of it, likewise"},
    {CALL(preadv2), DISK, 2, {A_LAYER(0), IS(5, 0)}, "... what a snapshot has of it"},
    {CALL(fdatasync), DISK, 1, {A_DISK(0)}, "flushes one"},
    {CALL(fallocate), DISK, 2, {A_DISK(0), IS(1, PUNCH)}, "gives back what the guest discards"},
    {CALL(fallocate), DISK, 2, {A_DISK(0), IS(1, ZERO)}, "clears a range without writing it"},

    /* --- taps --- */
    {CALL(ioctl),
     VCPU,
     2,
     {A_TAP(0), IS(1, TUNSETOFFLOAD)},
     "what the guest's driver lets a tap leave to it"},

    /* --- the terminal --- */
    {CALL(ioctl), LOOP, 2, {IS(0, FD_TERMINAL), IS(1, TIOCGWINSZ)}, "its size has changed"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_TERMINAL), IS(1, TCSETS)}, "the program sets its modes"},
    {CALL(ioctl),
     VCPU,
     3,
     {IS(0, FD_TERMINAL), IS(1, TCFLSH), IS(2, TCIFLUSH)},
     "... and discards what was typed before"},

    /* --- the guest --- */
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_RUN)}, "runs the guest"},
    {CALL(ioctl), ALL, 2, {IS(0, FD_VM), IS(1, KVM_SIGNAL_MSI)}, "interrupts it"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_REGS)}, "reports how it failed"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_SREGS)}, "... and where"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VM), IS(1, KVM_GET_CLOCK)}, "puts its marks into the trace"},

    /* --- snapshots --- */
    {CALL(preadv2), BOTH, 2, {IS(0, FD_PAGEMAP), IS(5, 0)}, "which pages there is anything in"},
    {CALL(ioctl), BOTH, 2, {IS(0, FD_VM), IS(1, KVM_SET_USER_MEMORY_REGION)}, "has changes logged"},
    {CALL(ioctl), BOTH, 2, {IS(0, FD_VM), IS(1, KVM_GET_DIRTY_LOG)}, "which pages have changed"},
    {CALL(ioctl),
     BOTH,
     2,
     {IS(0, FD_VM), IS(1, KVM_CLEAR_DIRTY_LOG)},
     "... since they were copied"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_XSAVE)}, "keeps vector registers"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_XCRS)}, "... which of them are in use"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_MSRS)}, "... model-specific registers"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_LAPIC)}, "... the local APIC"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_VCPU_EVENTS)}, "... what is pending"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_DEBUGREGS)}, "... debug registers"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_GET_MP_STATE)}, "... whether it has halted"},
    {CALL(ioctl),
     VCPU,
     2,
     {IS(0, FD_VCPU), IS(1, KVM_SET_SREGS)},
     "puts back segments and control registers"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_SET_REGS)}, "... general registers"},
    {CALL(ioctl),
     VCPU,
     2,
     {IS(0, FD_VCPU), IS(1, KVM_SET_XCRS)},
     "... which vector registers are in use"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_SET_XSAVE)}, "... vector registers"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_SET_DEBUGREGS)}, "... debug registers, too"},
    {CALL(ioctl),
     VCPU,
     2,
     {IS(0, FD_VCPU), IS(1, KVM_SET_MSRS)},
     "... model-specific registers, too"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_SET_LAPIC)}, "... the local APIC, too"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_SET_VCPU_EVENTS)}, "... what was pending"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VCPU), IS(1, KVM_SET_MP_STATE)}, "... whether it had halted"},
    {CALL(ioctl), VCPU, 2, {IS(0, FD_VM), IS(1, KVM_SET_CLOCK)}, "... and the clock"},

    /* --- threads --- */
    {CALL(futex), ALL, 1, {IS(1, FUTEX_WAIT_PRIVATE)}, "waits for the device lock, or to go on"},
    {CALL(futex), ALL, 1, {IS(1, FUTEX_WAKE_PRIVATE)}, "releases the device lock"},
    {CALL(futex), VCPU, 1, {IS(1, FUTEX_WAIT)}, "waits until the thread that asked KVM is gone"},
    {CALL(tgkill), LOOP, 1, {IS(2, SIGNAL_KICK)}, "gets the vCPU out of the guest"},
    {CALL(rt_sigreturn), VCPU, 0, {{0}}, "ends a signal handler: the kick's is empty"},
    {CALL(exit_group), VCPU, 0, {{0}}, "the end"},
};
const unsigned policy_rows = sizeof(policy) / sizeof(policy[0]);

static unsigned rules_that_hold(const struct policy_row *row, const uint64_t args[6])
{
    unsigned held = 0;

    for (unsigned i = 0; i < row->rule_count; i++)
        held += (args[row->rules[i].arg] & row->rules[i].mask) == row->rules[i].value;
    return held;
}

int policy_allows(enum seccomp_role role, int nr, const uint64_t args[6])
{
    for (unsigned i = 0; i < policy_rows; i++) {
        const struct policy_row *row = &policy[i];

        if (row->nr == nr && row->roles & (1u << role) &&
            rules_that_hold(row, args) == row->rule_count)
            return 1;
    }
    return 0;
}

const struct policy_row *policy_nearest(enum seccomp_role role, int nr, const uint64_t args[6])
{
    const struct policy_row *best = NULL;
    unsigned best_score = 0;

    for (unsigned i = 0; i < policy_rows; i++) {
        const struct policy_row *row = &policy[i];
        unsigned score, missed;

        if (row->nr != nr)
            continue;
        missed = row->rule_count - rules_that_hold(row, args);
        score = 1 + POLICY_RULES - missed;
        if (missed == 0) /* then it is the thread that is wrong */
            score += 2 * (POLICY_RULES + 1);
        if (row->roles & (1u << role))
            score += POLICY_RULES + 1;
        if (score > best_score) {
            best = row;
            best_score = score;
        }
    }
    return best;
}
