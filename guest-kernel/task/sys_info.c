/* System calls about the system, its limits, and the process's settings. */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/task_syscalls.h"

long sys_uname(const u64 a[6])
{
    /* struct new_utsname */
    static const struct {
        char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
    } names = {"Linux", "samara", "6.1.0-samara", "#1", "x86_64", "(none)"};

    return copy_to_user(a[0], &names, sizeof(names));
}

long sys_sethostname(const u64 a[6])
{
    (void)a;
    return -EPERM;
}

long sys_setdomainname(const u64 a[6])
{
    (void)a;
    return -EPERM;
}

long sys_sysinfo(const u64 a[6])
{
    struct {
        s64 uptime;
        u64 loads[3], total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
        u16 procs, pad;
        u64 total_high, free_high;
        u32 mem_unit, end;
    } info = {
        .uptime = (s64)(clock_monotonic_ns() / NS_PER_SECOND),
        .total_ram = pages_total() * PAGE_SIZE,
        .free_ram = pages_free_count() * PAGE_SIZE,
        .procs = (u16)process.task_count,
        .mem_unit = 1,
    };
    _Static_assert(sizeof(info) == 112, "struct sysinfo");

    return copy_to_user(a[0], &info, sizeof(info));
}

long sys_getrusage(const u64 a[6])
{
    enum { RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1 };
    struct {
        s64 user[2], system[2], max_rss_kib, rest[13];
    } usage = {0};
    _Static_assert(sizeof(usage) == 144, "struct rusage");
    int who = (int)a[0];
    u64 cpu = 0;

    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
        return -EINVAL;
    if (who == RUSAGE_SELF)
        cpu = process_cpu_ns();
    if (who == RUSAGE_THREAD)
        cpu = task_cpu_ns(task_current());
    usage.user[0] = (s64)(cpu / NS_PER_SECOND);
    usage.user[1] = (s64)(cpu % NS_PER_SECOND / 1000);
    if (who != RUSAGE_CHILDREN)
        usage.max_rss_kib = (s64)(mm_resident_bytes() / 1024);
    return copy_to_user(a[1], &usage, sizeof(usage));
}

static long limit_set(u64 which, u64 addr)
{
    struct rlimit *limit = &process.rlimits[which];
    struct rlimit wanted;

    if (copy_from_user(&wanted, addr, sizeof(wanted)) != 0)
        return -EFAULT;
    if (wanted.soft > wanted.hard)
        return -EINVAL;
    if (which == RLIMIT_NOFILE && wanted.hard > FD_LIMIT_MAX)
        return -EPERM;
    *limit = wanted;
    if (which == RLIMIT_NOFILE)
        current_fs()->fd_limit = (u32)wanted.soft;
    return 0;
}

long sys_prlimit64(const u64 a[6])
{
    if ((int)a[0] != 0 && (int)a[0] != PROCESS_PID)
        return -ESRCH;
    if (a[1] >= RLIMIT_COUNT)
        return -EINVAL;
    const struct rlimit old = process.rlimits[a[1]];

    if (a[2]) {
        long err = limit_set(a[1], a[2]);

        if (err)
            return err;
    }
    return a[3] ? copy_to_user(a[3], &old, sizeof(old)) : 0;
}

long sys_getrlimit(const u64 a[6])
{
    const u64 args[6] = {0, a[0], 0, a[1]};

    return a[1] ? sys_prlimit64(args) : -EFAULT;
}

long sys_setrlimit(const u64 a[6])
{
    const u64 args[6] = {0, a[0], a[1], 0};

    return a[1] ? sys_prlimit64(args) : -EFAULT;
}

/* The generator never blocks and is always seeded: flags change nothing. */
long sys_getrandom(const u64 a[6])
{
    enum { GRND_RANDOM = 2, GRND_INSECURE = 4, GRND_KNOWN = 7 };
    const u64 piece = 64 * 1024;
    u64 len = MIN(a[1], (u64)INT32_MAX), done = 0;

    if (a[2] & ~(u64)GRND_KNOWN || (a[2] & GRND_RANDOM && a[2] & GRND_INSECURE))
        return -EINVAL;
    while (done < len) {
        u64 now = MIN(len - done, piece);

        if (user_prepare(a[0] + done, now, true) != 0)
            return done ? (long)done : -EFAULT;
        random_bytes(user_pointer(a[0] + done), now);
        done += now;
    }
    return (long)done;
}

long sys_personality(const u64 a[6])
{
    const u32 query = 0xffffffff, linux_one = 0;

    return (u32)a[0] == query || (u32)a[0] == linux_one ? 0 : -EINVAL;
}

enum {
    PR_SET_PDEATHSIG = 1,
    PR_GET_PDEATHSIG = 2,
    PR_GET_DUMPABLE = 3,
    PR_SET_DUMPABLE = 4,
    PR_GET_KEEPCAPS = 7,
    PR_SET_KEEPCAPS = 8,
    PR_SET_NAME = 15,
    PR_GET_NAME = 16,
    PR_GET_SECCOMP = 21,
    PR_CAPBSET_READ = 23,
    PR_SET_TIMERSLACK = 29,
    PR_GET_TIMERSLACK = 30,
    PR_SET_CHILD_SUBREAPER = 36,
    PR_SET_NO_NEW_PRIVS = 38,
    PR_GET_NO_NEW_PRIVS = 39,
    PR_SET_THP_DISABLE = 41,
    PR_GET_THP_DISABLE = 42,
    PR_SET_VMA = 0x53564d41,
};

static long set_name(u64 addr)
{
    char name[TASK_NAME] = {0};
    long len = user_string(name, addr, sizeof(name));

    if (len == -EFAULT)
        return len;
    name[TASK_NAME - 1] = '\0'; /* longer names are cut */
    task_set_name(task_current(), name);
    return 0;
}

/* Settings without a meaning here are accepted and not kept. */
long sys_prctl(const u64 a[6])
{
    static u32 death_signal, dumpable = 1, no_new_privs;

    switch ((u32)a[0]) {
    case PR_SET_PDEATHSIG:
        if (a[1] > SIGNAL_COUNT)
            return -EINVAL;
        death_signal = (u32)a[1];
        return 0;
    case PR_GET_PDEATHSIG:
        return copy_to_user(a[1], &death_signal, sizeof(death_signal));
    case PR_SET_DUMPABLE:
        if (a[1] > 1)
            return -EINVAL;
        dumpable = (u32)a[1];
        return 0;
    case PR_GET_DUMPABLE:
        return dumpable;
    case PR_SET_NAME:
        return set_name(a[1]);
    case PR_GET_NAME:
        return copy_to_user(a[1], task_current()->name, TASK_NAME);
    case PR_SET_NO_NEW_PRIVS:
        if (a[1] != 1)
            return -EINVAL;
        no_new_privs = 1;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return no_new_privs;
    case PR_CAPBSET_READ:
        return a[1] <= 40 ? 1 : -EINVAL;
    case PR_GET_TIMERSLACK:
        return 50000;
    case PR_SET_KEEPCAPS:
    case PR_GET_KEEPCAPS:
    case PR_GET_SECCOMP:
    case PR_SET_TIMERSLACK:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_THP_DISABLE:
    case PR_GET_THP_DISABLE:
    case PR_SET_VMA:
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_arch_prctl(const u64 a[6])
{
    enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004 };
    u64 base;

    switch (a[0]) {
    case ARCH_SET_FS:
        return arch_set_fs_base(a[1]) ? 0 : -EPERM;
    case ARCH_SET_GS:
        return arch_set_gs_base(a[1]) ? 0 : -EPERM;
    case ARCH_GET_FS:
        base = arch_get_fs();
        return copy_to_user(a[1], &base, sizeof(base));
    case ARCH_GET_GS:
        base = arch_get_gs();
        return copy_to_user(a[1], &base, sizeof(base));
    default: /* CET among them: glibc asks and goes on without */
        return -EINVAL;
    }
}
