/* See clock_id.h. */
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/task.h"

/* Beyond this a time is "never": far enough, and sums of two do not wrap. */
#define NS_MAX (UINT64_MAX / 4)

/* CPU clocks of a process or thread: ~pid << 3, bit 2 set for a thread. */
static bool cpu_clock_read(int id, u64 *ns)
{
    const int per_thread = 4;
    int pid = ~(id >> 3);
    struct task *task;

    if (!(id & per_thread)) {
        *ns = process_cpu_ns();
        return pid == 0 || pid == PROCESS_PID;
    }
    task = pid == 0 ? task_current() : task_find(pid);
    if (task)
        *ns = task_cpu_ns(task);
    return task;
}

static bool is_realtime(int id)
{
    return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_REALTIME_ALARM ||
           id == CLOCK_TAI;
}

static bool is_monotonic(int id)
{
    return id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_RAW || id == CLOCK_MONOTONIC_COARSE ||
           id == CLOCK_BOOTTIME || id == CLOCK_BOOTTIME_ALARM;
}

bool clock_read(int id, u64 *ns)
{
    if (id < 0)
        return cpu_clock_read(id, ns);
    if (is_realtime(id))
        *ns = clock_realtime_ns();
    else if (is_monotonic(id))
        *ns = clock_monotonic_ns();
    else if (id == CLOCK_PROCESS_CPUTIME_ID)
        *ns = process_cpu_ns();
    else if (id == CLOCK_THREAD_CPUTIME_ID)
        *ns = task_cpu_ns(task_current());
    else
        return false;
    return true;
}

bool clock_can_wait(int id)
{
    return is_realtime(id) || is_monotonic(id);
}

u64 clock_deadline(int id, u64 ns, bool absolute)
{
    u64 now = clock_monotonic_ns();
    u64 wall;

    if (!absolute)
        return now + ns;
    if (is_monotonic(id))
        return ns;
    wall = clock_realtime_ns();
    return ns > wall ? now + (ns - wall) : 0;
}

static int time_from_user(u64 addr, u64 *ns, u64 units)
{
    struct timespec64 time;

    if (copy_from_user(&time, addr, sizeof(time)) != 0)
        return -EFAULT;
    if (time.sec < 0 || (u64)time.nsec >= units)
        return -EINVAL;
    if ((u64)time.sec >= NS_MAX / NS_PER_SECOND)
        *ns = NS_MAX;
    else
        *ns = (u64)time.sec * NS_PER_SECOND + (u64)time.nsec * (NS_PER_SECOND / units);
    return 0;
}

static int time_to_user(u64 addr, u64 ns, u64 units)
{
    const struct timespec64 time = {
        .sec = (s64)(ns / NS_PER_SECOND),
        .nsec = (s64)(ns % NS_PER_SECOND / (NS_PER_SECOND / units)),
    };

    return copy_to_user(addr, &time, sizeof(time));
}

int timespec_from_user(u64 addr, u64 *ns)
{
    return time_from_user(addr, ns, NS_PER_SECOND);
}

int timespec_to_user(u64 addr, u64 ns)
{
    return time_to_user(addr, ns, NS_PER_SECOND);
}

int timeval_from_user(u64 addr, u64 *ns)
{
    return time_from_user(addr, ns, 1000000);
}

int timeval_to_user(u64 addr, u64 ns)
{
    return time_to_user(addr, ns, 1000000);
}
