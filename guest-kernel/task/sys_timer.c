/*
 * Timers that send signals: setitimer, alarm, and POSIX timers. Those of CPU time are wall-clock
 * timers that look, when they fire, how much CPU time is still missing.
 */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/task_syscalls.h"
#include "guest-kernel/task/timer.h"

enum { ITIMER_REAL = 0, ITIMER_VIRTUAL = 1, ITIMER_PROF = 2, ITIMERS = 3 };
enum { SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD_ID = 4 };
enum { TIMER_ABSTIME = 1, POSIX_TIMERS_MAX = 4096 };

/* A CPU-time timer looks again no sooner than this. */
#define CPU_POLL_NS 1000000ull

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

static void itimer_start(int which)
{
    struct itimer *it = &itimers[which];
    u64 now = itimer_clock(which);
    u64 left = it->due > now ? it->due - now : 0;

    if (which == ITIMER_REAL)
        timer_set(&it->timer, it->due);
    else
        timer_set(&it->timer, clock_monotonic_ns() + MAX(left, CPU_POLL_NS));
}

static void itimer_fire(struct timer *timer)
{
    static const int signals[ITIMERS] = {SIGALRM, SIGVTALRM, SIGPROF};
    struct itimer *it = container_of(timer, struct itimer, timer);
    int which = (int)(it - itimers);
    u64 now = itimer_clock(which);

    if (now < it->due) {
        itimer_start(which);
        return;
    }
    it->due = it->interval ? it->due + ((now - it->due) / it->interval + 1) * it->interval : 0;
    if (it->due)
        itimer_start(which);
    const struct siginfo info = {.signo = signals[which], .code = SI_KERNEL};
    signal_send_process(&info);
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
        itimer_start(which);
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

struct posix_timer {
    struct posix_timer *next;
    struct timer timer;
    int id, clock, notify, signo, tid, overrun;
    u64 value; /* sigev_value */
    u64 interval;
};

static struct posix_timer *posix_timers;

/* struct sigevent */
struct sigevent64 {
    u64 value;
    s32 signo, notify, tid;
    s32 rest[11];
};
_Static_assert(sizeof(struct sigevent64) == 64, "sigevent");

static struct posix_timer *posix_find(u64 id)
{
    struct posix_timer *pt = posix_timers;

    while (pt && pt->id != (int)id)
        pt = pt->next;
    return pt;
}

static void posix_notify(struct posix_timer *pt, int missed)
{
    const struct siginfo info = {.signo = pt->signo,
                                 .code = SI_TIMER,
                                 .timer = {.id = pt->id, .overrun = missed, .value = pt->value}};
    struct task *task;

    if (pt->notify == SIGEV_NONE)
        return;
    if (signal_timer_overrun(pt->id, missed + 1)) {
        pt->overrun += missed + 1;
        return;
    }
    pt->overrun = missed;
    if (pt->notify == SIGEV_SIGNAL) {
        signal_send_process(&info);
        return;
    }
    task = task_find(pt->tid);
    if (task)
        signal_send_task(task, &info);
}

static void posix_fire(struct timer *timer)
{
    struct posix_timer *pt = container_of(timer, struct posix_timer, timer);
    u64 missed = 0;

    if (pt->interval) {
        u64 now = clock_monotonic_ns();

        missed = now > timer->deadline ? (now - timer->deadline) / pt->interval : 0;
        timer_set(timer, timer->deadline + (missed + 1) * pt->interval);
    }
    posix_notify(pt, (int)MIN(missed, (u64)INT32_MAX / 2));
}

static bool valid_event(const struct sigevent64 *event)
{
    if (event->notify == SIGEV_NONE)
        return true;
    if (event->signo < 1 || event->signo > SIGNAL_COUNT)
        return false;
    return event->notify == SIGEV_SIGNAL ||
           (event->notify == (SIGEV_SIGNAL | SIGEV_THREAD_ID) && task_find(event->tid));
}

static int free_id(void)
{
    int id = 0;

    while (posix_find((u64)id))
        id++;
    return id;
}

long sys_timer_create(const u64 a[6])
{
    struct sigevent64 event = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
    struct posix_timer *pt;
    int id = free_id();

    if (!clock_can_wait((int)a[0]))
        return -EINVAL;
    if (a[1] && copy_from_user(&event, a[1], sizeof(event)) != 0)
        return -EFAULT;
    if (!a[1])
        event.value = (u64)id;
    if (!valid_event(&event))
        return -EINVAL;
    if (copy_to_user(a[2], &id, sizeof(id)) != 0)
        return -EFAULT;
    pt = id < POSIX_TIMERS_MAX ? kzalloc(sizeof(*pt)) : NULL;
    if (!pt)
        return -EAGAIN;
    pt->timer.fire = posix_fire;
    pt->id = id;
    pt->clock = (int)a[0];
    pt->notify = event.notify;
    pt->signo = event.signo;
    pt->tid = event.tid;
    pt->value = event.value;
    pt->next = posix_timers;
    posix_timers = pt;
    return 0;
}

/* struct itimerspec: interval, value */
static long posix_tell(const struct posix_timer *pt, u64 addr)
{
    u64 now = clock_monotonic_ns(), left = 0;

    if (pt->timer.armed)
        left = pt->timer.deadline > now ? pt->timer.deadline - now : 1;
    if (timespec_to_user(addr, pt->interval) != 0)
        return -EFAULT;
    return timespec_to_user(addr + sizeof(struct timespec64), left);
}

long sys_timer_gettime(const u64 a[6])
{
    const struct posix_timer *pt = posix_find(a[0]);

    return pt ? posix_tell(pt, a[1]) : -EINVAL;
}

long sys_timer_settime(const u64 a[6])
{
    struct posix_timer *pt = posix_find(a[0]);
    u64 interval, value;
    int err;

    if (!pt)
        return -EINVAL;
    err = timespec_from_user(a[2], &interval);
    if (err == 0)
        err = timespec_from_user(a[2] + sizeof(struct timespec64), &value);
    if (err)
        return err;
    if (a[3] && posix_tell(pt, a[3]) != 0)
        return -EFAULT;
    timer_cancel(&pt->timer);
    pt->interval = interval;
    pt->overrun = 0;
    if (value)
        timer_set(&pt->timer, clock_deadline(pt->clock, value, a[1] & TIMER_ABSTIME));
    return 0;
}

long sys_timer_getoverrun(const u64 a[6])
{
    const struct posix_timer *pt = posix_find(a[0]);

    return pt ? pt->overrun : -EINVAL;
}

long sys_timer_delete(const u64 a[6])
{
    struct posix_timer *pt = posix_find(a[0]);
    struct posix_timer **link = &posix_timers;

    if (!pt)
        return -EINVAL;
    while (*link != pt)
        link = &(*link)->next;
    *link = pt->next;
    timer_cancel(&pt->timer);
    kfree(pt);
    return 0;
}
