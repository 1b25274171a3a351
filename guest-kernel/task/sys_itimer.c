/* alarm and setitimer. See signal_timer.h for when they fire again. */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/signal_timer.h"
#include "guest-kernel/task/task_syscalls.h"
#include "guest-kernel/task/timer.h"

enum { ITIMER_REAL = 0, ITIMER_VIRTUAL = 1, ITIMER_PROF = 2, ITIMERS = 3 };

struct itimer {
    struct timer timer;
    u64 interval; /* ns, 0: once */
    u64 due;      /* on the timer's clock, 0: not running */
};

static struct itimer itimers[ITIMERS];

static u64 itimer_clock(int which)
{
    return which == ITIMER_REAL ? clock_monotonic_ns() : process_cpu_ns();
}

/* The one of real time may be overdue; it then waits the floor. */
static void itimer_start(int which, u64 floor)
{
    struct itimer *it = &itimers[which];
    u64 now = itimer_clock(which);
    u64 left = it->due > now ? it->due - now : 0;

    if (which != ITIMER_REAL)
        floor = TIMER_CPU_POLL_NS;
    timer_set(&it->timer, clock_monotonic_ns() + MAX(left, floor));
}

/* The first period that ends in the future. */
static void itimer_advance(int which)
{
    struct itimer *it = &itimers[which];
    u64 now = itimer_clock(which);

    if (now >= it->due)
        it->due += ((now - it->due) / it->interval + 1) * it->interval;
}

static bool real_signal_pending(void)
{
    return process.pending.set & sig_bit(SIGALRM);
}

static void itimer_fire(struct timer *timer)
{
    static const int signals[ITIMERS] = {SIGALRM, SIGVTALRM, SIGPROF};
    struct itimer *it = container_of(timer, struct itimer, timer);
    int which = (int)(it - itimers);
    const struct siginfo info = {.signo = signals[which], .code = SI_KERNEL};

    if (itimer_clock(which) < it->due) {
        itimer_start(which, 0);
        return;
    }
    signal_send_process(&info);
    if (!it->interval) {
        it->due = 0;
    } else if (which != ITIMER_REAL || !real_signal_pending()) {
        itimer_advance(which);
        itimer_start(which, TIMER_FLOOR_NS);
    }
}

void itimer_signal_taken(void)
{
    struct itimer *it = &itimers[ITIMER_REAL];

    if (!it->due || it->timer.armed)
        return;
    itimer_advance(ITIMER_REAL);
    itimer_start(ITIMER_REAL, TIMER_FLOOR_NS);
}

static u64 itimer_left(int which)
{
    u64 due = itimers[which].due, now = itimer_clock(which);

    if (!due)
        return 0;
    return due > now ? due - now : 1000; /* a running timer never reads as stopped */
}

static void itimer_set(int which, u64 value, u64 interval)
{
    struct itimer *it = &itimers[which];

    timer_cancel(&it->timer);
    it->timer.fire = itimer_fire;
    it->interval = interval;
    it->due = value ? itimer_clock(which) + value : 0;
    if (value)
        itimer_start(which, 0);
}

long sys_alarm(const u64 a[6])
{
    u64 left = (itimer_left(ITIMER_REAL) + NS_PER_SECOND - 1) / NS_PER_SECOND;

    itimer_set(ITIMER_REAL, (u32)a[0] * NS_PER_SECOND, 0);
    return (long)left;
}

/* struct itimerval: interval, value */
static long itimer_tell(int which, u64 addr)
{
    if (timeval_to_user(addr, itimers[which].interval) != 0)
        return -EFAULT;
    return timeval_to_user(addr + sizeof(struct timespec64), itimer_left(which));
}

long sys_getitimer(const u64 a[6])
{
    return a[0] < ITIMERS ? itimer_tell((int)a[0], a[1]) : -EINVAL;
}

long sys_setitimer(const u64 a[6])
{
    u64 interval = 0, value = 0;
    int err;

    if (a[0] >= ITIMERS)
        return -EINVAL;
    if (a[1]) {
        err = timeval_from_user(a[1], &interval);
        if (err == 0)
            err = timeval_from_user(a[1] + sizeof(struct timespec64), &value);
        if (err)
            return err;
    }
    if (a[2] && itimer_tell((int)a[0], a[2]) != 0)
        return -EFAULT;
    itimer_set((int)a[0], value, interval);
    return 0;
}
