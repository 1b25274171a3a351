/* POSIX timers. See signal_timer.h for when they fire again. */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/signal_timer.h"
#include "guest-kernel/task/task_syscalls.h"
#include "guest-kernel/task/timer.h"

enum { SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD_ID = 4 };
enum { TIMER_ABSTIME = 1, POSIX_TIMERS_MAX = 4096 };

struct posix_timer {
    struct posix_timer *next;
    struct timer timer;
    int id, clock, notify, signo, tid;
    int overrun;    /* of the signal taken last */
    bool signalled; /* its signal is pending: the next period starts when that is taken */
    u64 value;      /* sigev_value */
    u64 interval;   /* ns, 0: once */
    u64 due;        /* CLOCK_MONOTONIC or CPU time, 0: not running */
};

static struct posix_timer *posix_timers;
static unsigned posix_count;

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

/* The time due is compared with; a thread that ended used no more CPU time. */
static u64 posix_now(const struct posix_timer *pt)
{
    u64 ns = 0;

    if (clock_can_wait(pt->clock))
        return clock_monotonic_ns();
    clock_read(pt->clock, &ns);
    return ns;
}

/* Fires at due, but no sooner than floor from now. */
static void posix_start(struct posix_timer *pt, u64 floor)
{
    u64 now = posix_now(pt);
    u64 left = pt->due > now ? pt->due - now : 0;

    if (!clock_can_wait(pt->clock))
        floor = TIMER_CPU_POLL_NS;
    timer_set(&pt->timer, clock_monotonic_ns() + MAX(left, floor));
}

/* To the first period that ends in the future; how many others ended meanwhile. */
static int posix_advance(struct posix_timer *pt)
{
    u64 now = posix_now(pt), missed = 0;

    if (now >= pt->due) {
        missed = (now - pt->due) / pt->interval;
        pt->due += (missed + 1) * pt->interval;
    }
    return (int)MIN(missed, (u64)INT32_MAX);
}

static void posix_send(const struct posix_timer *pt)
{
    const struct siginfo info = {
        .signo = pt->signo, .code = SI_TIMER, .timer = {.id = pt->id, .value = pt->value}};
    struct task *task;

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

    if (posix_now(pt) < pt->due) { /* CPU time is still missing */
        posix_start(pt, 0);
        return;
    }
    /* One that was set anew may have its old signal still pending. */
    if (pt->notify != SIGEV_NONE && !signal_timer_pending(pt->id))
        posix_send(pt);
    pt->signalled = pt->notify != SIGEV_NONE && signal_timer_pending(pt->id);
    if (pt->signalled)
        return;
    if (pt->interval) {
        posix_advance(pt);
        posix_start(pt, TIMER_FLOOR_NS);
    } else {
        pt->due = 0;
    }
}

void posix_timer_signal_taken(struct siginfo *info)
{
    struct posix_timer *pt = posix_find((u64)info->timer.id);

    if (!pt || !pt->signalled)
        return;
    pt->signalled = false;
    pt->overrun = 0;
    if (pt->interval) {
        pt->overrun = posix_advance(pt);
        posix_start(pt, TIMER_FLOOR_NS);
    } else {
        pt->due = 0;
    }
    info->timer.overrun = pt->overrun;
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

/* Not one used lately: the signal of a deleted timer may still be pending. */
static int free_id(void)
{
    static u32 next;
    u32 id;

    do {
        id = next++ & INT32_MAX;
    } while (posix_find(id));
    return (int)id;
}

/* CLOCK_THREAD_CPUTIME_ID means whoever asks: the timer needs the thread's own clock. */
static bool own_clock(int wanted, int *clock)
{
    enum { THREAD = 4, SCHEDULED = 2 };
    u64 ns;

    *clock = wanted;
    if (wanted == CLOCK_THREAD_CPUTIME_ID)
        *clock = (int)(~(u32)task_current()->tid << 3 | THREAD | SCHEDULED);
    return clock_read(*clock, &ns);
}

long sys_timer_create(const u64 a[6])
{
    struct sigevent64 event = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
    struct posix_timer *pt;
    int clock, id = free_id();

    if (!own_clock((int)a[0], &clock))
        return -EINVAL;
    if (a[1] && copy_from_user(&event, a[1], sizeof(event)) != 0)
        return -EFAULT;
    if (!a[1])
        event.value = (u64)id;
    if (!valid_event(&event))
        return -EINVAL;
    if (copy_to_user(a[2], &id, sizeof(id)) != 0)
        return -EFAULT;
    pt = posix_count < POSIX_TIMERS_MAX ? kzalloc(sizeof(*pt)) : NULL;
    if (!pt)
        return -EAGAIN;
    pt->timer.fire = posix_fire;
    pt->id = id;
    pt->clock = clock;
    pt->notify = event.notify;
    pt->signo = event.signo;
    pt->tid = event.tid;
    pt->value = event.value;
    pt->next = posix_timers;
    posix_timers = pt;
    posix_count++;
    return 0;
}

static u64 posix_left(const struct posix_timer *pt)
{
    u64 now = posix_now(pt);

    if (!pt->due || (pt->signalled && !pt->interval))
        return 0;
    if (pt->due > now)
        return pt->due - now;
    /* A running timer never reads as stopped. */
    return pt->interval ? pt->interval - (now - pt->due) % pt->interval : 1;
}

/* struct itimerspec: interval, value */
static long posix_tell(const struct posix_timer *pt, u64 addr)
{
    if (timespec_to_user(addr, pt->interval) != 0)
        return -EFAULT;
    return timespec_to_user(addr + sizeof(struct timespec64), posix_left(pt));
}

long sys_timer_gettime(const u64 a[6])
{
    const struct posix_timer *pt = posix_find(a[0]);

    return pt ? posix_tell(pt, a[1]) : -EINVAL;
}

static u64 posix_due(const struct posix_timer *pt, u64 value, bool absolute)
{
    u64 due = absolute ? value : posix_now(pt) + value;

    if (clock_can_wait(pt->clock))
        due = clock_deadline(pt->clock, value, absolute);
    return MAX(due, 1ull);
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
    pt->signalled = false;
    pt->due = 0;
    if (value) {
        pt->due = posix_due(pt, value, a[1] & TIMER_ABSTIME);
        posix_start(pt, 0);
    }
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
    posix_count--;
    kfree(pt);
    return 0;
}
