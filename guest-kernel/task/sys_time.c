/* System calls that tell the time and sleep. Timers that send signals are in sys_timer.c. */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/task_syscalls.h"
#include "guest-kernel/task/wait.h"

enum { TIMER_ABSTIME = 1, TICKS_PER_SECOND = 100 };

long sys_clock_gettime(const u64 a[6])
{
    u64 ns;

    if (!clock_read((int)a[0], &ns))
        return -EINVAL;
    return timespec_to_user(a[1], ns);
}

long sys_clock_getres(const u64 a[6])
{
    u64 ns;

    if (!clock_read((int)a[0], &ns))
        return -EINVAL;
    return a[1] ? timespec_to_user(a[1], 1) : 0;
}

/* The clock is the host's. */
long sys_clock_settime(const u64 a[6])
{
    (void)a;
    return -EPERM;
}

long sys_settimeofday(const u64 a[6])
{
    (void)a;
    return -EPERM;
}

long sys_gettimeofday(const u64 a[6])
{
    const u32 utc[2] = {0, 0}; /* struct timezone */

    if (a[0] && timeval_to_user(a[0], clock_realtime_ns()) != 0)
        return -EFAULT;
    return a[1] ? copy_to_user(a[1], utc, sizeof(utc)) : 0;
}

long sys_time(const u64 a[6])
{
    s64 seconds = (s64)(clock_realtime_ns() / NS_PER_SECOND);

    if (a[0] && copy_to_user(a[0], &seconds, sizeof(seconds)) != 0)
        return -EFAULT;
    return seconds;
}

static int sleep_until(u64 deadline)
{
    struct wait_queue nobody = {0};
    int err;

    do {
        err = wait_on(&nobody, deadline);
    } while (err == 0);
    return err == -ETIMEDOUT ? 0 : err;
}

/* remaining: program address for what is left of an interrupted sleep, or 0. */
static long sleep_for(u64 ns, u64 remaining)
{
    u64 deadline = clock_deadline(CLOCK_MONOTONIC, ns, false), limit = task_current()->wait.limit;
    int err;
    u64 now;

    if (limit)
        deadline = MIN(deadline, limit);
    err = sleep_until(deadline);
    now = clock_monotonic_ns();

    if (err && remaining && timespec_to_user(remaining, deadline > now ? deadline - now : 0) != 0)
        return -EFAULT;
    return err;
}

long sys_nanosleep(const u64 a[6])
{
    u64 ns;
    int err = timespec_from_user(a[0], &ns);

    return err ? err : sleep_for(ns, a[1]);
}

long sys_clock_nanosleep(const u64 a[6])
{
    int clock = (int)a[0];
    u64 ns;
    int err;

    if (!clock_can_wait(clock))
        return clock_read(clock, &ns) ? -EOPNOTSUPP : -EINVAL;
    err = timespec_from_user(a[2], &ns);
    if (err)
        return err;
    if (!(a[1] & TIMER_ABSTIME))
        return sleep_for(ns, a[3]);
    return sleep_until(clock_deadline(clock, ns, true));
}

/* All CPU time counts as the program's own: the kernel does not measure itself. */
long sys_times(const u64 a[6])
{
    const u64 tick = NS_PER_SECOND / TICKS_PER_SECOND;
    const u64 tms[4] = {process_cpu_ns() / tick};

    if (a[0] && copy_to_user(a[0], tms, sizeof(tms)) != 0)
        return -EFAULT;
    return (long)(clock_monotonic_ns() / tick);
}
