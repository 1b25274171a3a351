/* System calls about scheduling: one CPU, one policy. */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/sched.h"
#include "guest-kernel/task/task_syscalls.h"

enum { SCHED_OTHER = 0, SCHED_FIFO = 1, SCHED_RR = 2, SCHED_BATCH = 3, SCHED_IDLE = 5 };

static bool exists(u64 tid)
{
    return (int)tid == 0 || (int)tid == PROCESS_PID || task_find((int)tid);
}

long sys_sched_yield(const u64 a[6])
{
    (void)a;
    sched_yield();
    return 0;
}

/* Masks are arrays of 64-bit words; ours is one word with one bit. */
long sys_sched_getaffinity(const u64 a[6])
{
    const u64 mask = 1;

    if (a[1] < sizeof(mask) || a[1] % sizeof(mask))
        return -EINVAL;
    if (!exists(a[0]))
        return -ESRCH;
    return copy_to_user(a[2], &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

long sys_sched_setaffinity(const u64 a[6])
{
    u8 mask = 0;

    if (!exists(a[0]))
        return -ESRCH;
    if (a[1] > 0 && copy_from_user(&mask, a[2], sizeof(mask)) != 0)
        return -EFAULT;
    return mask & 1 ? 0 : -EINVAL;
}

static bool known_policy(int policy)
{
    return (policy >= SCHED_OTHER && policy <= SCHED_BATCH) || policy == SCHED_IDLE;
}

static bool is_realtime(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

long sys_sched_getscheduler(const u64 a[6])
{
    return exists(a[0]) ? SCHED_OTHER : -ESRCH;
}

long sys_sched_setscheduler(const u64 a[6])
{
    int policy = (int)a[1] & ~0x40000000; /* SCHED_RESET_ON_FORK */

    if (!exists(a[0]))
        return -ESRCH;
    if (!known_policy(policy))
        return -EINVAL;
    return is_realtime(policy) ? -EPERM : 0;
}

long sys_sched_getparam(const u64 a[6])
{
    const s32 priority = 0;

    if (!exists(a[0]))
        return -ESRCH;
    return copy_to_user(a[1], &priority, sizeof(priority));
}

long sys_sched_setparam(const u64 a[6])
{
    s32 priority;

    if (!exists(a[0]))
        return -ESRCH;
    if (copy_from_user(&priority, a[1], sizeof(priority)) != 0)
        return -EFAULT;
    return priority == 0 ? 0 : -EINVAL;
}

long sys_sched_get_priority_max(const u64 a[6])
{
    if (!known_policy((int)a[0]))
        return -EINVAL;
    return is_realtime((int)a[0]) ? 99 : 0;
}

long sys_sched_get_priority_min(const u64 a[6])
{
    if (!known_policy((int)a[0]))
        return -EINVAL;
    return is_realtime((int)a[0]) ? 1 : 0;
}

long sys_sched_rr_get_interval(const u64 a[6])
{
    const u64 slice[2] = {0, SCHED_TICK_NS};

    return exists(a[0]) ? copy_to_user(a[1], slice, sizeof(slice)) : -ESRCH;
}

long sys_getcpu(const u64 a[6])
{
    const u32 zero = 0;

    for (unsigned i = 0; i < 2; i++)
        if (a[i] && copy_to_user(a[i], &zero, sizeof(zero)) != 0)
            return -EFAULT;
    return 0;
}

/* The kernel's way to keep the result positive: 20 minus the nice value. */
long sys_getpriority(const u64 a[6])
{
    return a[0] > 2 ? -EINVAL : 20;
}

long sys_setpriority(const u64 a[6])
{
    return a[0] > 2 ? -EINVAL : 0;
}
