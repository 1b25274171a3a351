/*
 * timerfd. As on Linux a periodic timer that nobody reads fires once: how often it would have is
 * worked out when it is read.
 */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/timer.h"

enum { SET_ABSOLUTE = 1, SET_CANCEL = 2 };

struct interval_spec {
    struct linux_timespec interval, value;
};

struct alarm {
    struct timer timer;
    struct wait_queue wait;
    int clock;
    u64 deadline; /* of the next period, or of the one that is over */
    u64 interval; /* ns, 0: once */
    bool expired; /* and not read */
};

static void expire(struct timer *timer)
{
    struct alarm *a = container_of(timer, struct alarm, timer);

    a->expired = true;
    file_wake(&a->wait);
}

/* Periods that are over, which are then behind us. */
static u64 take_periods(struct alarm *a)
{
    u64 periods = 1;

    if (!a->expired)
        return 0;
    a->expired = false;
    if (a->interval == 0)
        return 1;
    periods += (clock_monotonic_ns() - a->deadline) / a->interval;
    a->deadline += periods * a->interval;
    timer_set(&a->timer, a->deadline);
    return periods;
}

static long timerfd_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    u64 periods;

    (void)pos;
    if (len < sizeof(periods))
        return -EINVAL;
    periods = take_periods(f->private);
    if (periods == 0)
        return -EAGAIN;
    memcpy(buf, &periods, sizeof(periods));
    return sizeof(periods);
}

static u32 timerfd_poll(struct file *f)
{
    const struct alarm *a = f->private;

    return a->expired ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
    struct alarm *a = f->private;

    timer_cancel(&a->timer);
    kfree(a);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read, .poll = timerfd_poll, .release = timerfd_release};

long sys_timerfd_create(const u64 a[6])
{
    struct alarm *alarm;
    struct file *f;

    if (a[1] & ~(u64)(O_NONBLOCK | O_CLOEXEC) || !clock_can_wait((int)a[0]))
        return -EINVAL;
    alarm = kzalloc(sizeof(*alarm));
    f = alarm ? file_new(&timerfd_ops, alarm) : NULL;
    if (!f) {
        kfree(alarm);
        return -ENOMEM;
    }
    alarm->clock = (int)a[0];
    alarm->timer.fire = expire;
    f->flags = O_RDWR | ((u32)a[1] & O_NONBLOCK);
    f->wait = &alarm->wait;
    return sys_new_fd(f, (u32)a[1]);
}

/* What is left of the period, and the interval. */
static struct interval_spec setting(struct alarm *a)
{
    u64 now = clock_monotonic_ns(), left = 0;

    if (a->expired && a->interval > 0) {
        u64 periods = (now - a->deadline) / a->interval + 1;

        left = a->deadline + periods * a->interval - now;
    } else if (a->timer.armed) {
        left = a->deadline > now ? a->deadline - now : 1;
    }
    return (struct interval_spec){timespec_from_ns(a->interval), timespec_from_ns(left)};
}

static void set(struct alarm *a, u64 interval, u64 value, bool absolute)
{
    timer_cancel(&a->timer);
    a->expired = false;
    a->interval = interval;
    if (value == 0)
        return;
    a->deadline = clock_deadline(a->clock, value, absolute);
    timer_set(&a->timer, a->deadline);
}

static struct alarm *alarm_of(const struct file *f)
{
    return f->ops == &timerfd_ops ? f->private : NULL;
}

static long settime(struct alarm *alarm, const u64 a[6])
{
    struct interval_spec now, old = setting(alarm);
    u64 interval, value;

    if (a[1] & ~(u64)(SET_ABSOLUTE | SET_CANCEL))
        return -EINVAL;
    if (copy_from_user(&now, a[2], sizeof(now)) != 0)
        return -EFAULT;
    if (timespec_to_ns(&now.interval, &interval) != 0 || timespec_to_ns(&now.value, &value) != 0)
        return -EINVAL;
    set(alarm, interval, value, a[1] & SET_ABSOLUTE);
    return a[3] ? copy_to_user(a[3], &old, sizeof(old)) : 0;
}

long sys_timerfd_settime(const u64 a[6])
{
    struct file *f = sys_file(a[0]);
    long err;

    if (!f)
        return -EBADF;
    err = alarm_of(f) ? settime(alarm_of(f), a) : -EINVAL;
    file_put(f);
    return err;
}

long sys_timerfd_gettime(const u64 a[6])
{
    struct file *f = sys_file(a[0]);
    struct interval_spec now;
    long err = -EINVAL;

    if (!f)
        return -EBADF;
    if (alarm_of(f)) {
        now = setting(alarm_of(f));
        err = copy_to_user(a[1], &now, sizeof(now));
    }
    file_put(f);
    return err;
}
