/*
 * poll and select. Every change of readiness wakes poll_waiters, and whoever waits there looks at
 * all its files again: with the few threads of one program this costs less than a place in a queue
 * per file and call, and a file that is closed meanwhile needs no care.
 */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/poll.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/task/signal.h"

/* --- waiting until a scan finds something --- */

long poll_until_ready(scan_fn scan, void *set, u64 timeout_ns)
{
    u64 now = timeout_ns && timeout_ns != UINT64_MAX ? clock_monotonic_ns() : 0;
    u64 deadline = timeout_ns > UINT64_MAX - now ? WAIT_FOREVER : now + timeout_ns;

    for (;;) {
        long ready = scan(set);
        int err;

        if (ready || timeout_ns == 0)
            return ready;
        err = wait_on(&poll_waiters, deadline);
        if (err == -ETIMEDOUT)
            return scan(set);
        if (err)
            return err;
    }
}

/* Linux counts errors and hang-ups as ready whether asked for or not. */
static u32 look_at(int fd, u32 wanted)
{
    struct file *f = fd_get(fd);
    u32 mask;

    if (!f)
        return POLLNVAL;
    mask = f->flags & O_PATH ? POLLNVAL : file_poll(f);
    file_put(f);
    return mask & (wanted | POLLERR | POLLHUP | POLLNVAL);
}

/* --- timeouts as arguments --- */

u64 poll_timeout_ms(int ms)
{
    return ms < 0 ? UINT64_MAX : (u64)ms * NS_PER_MS;
}

long poll_timeout_timespec(u64 address, u64 *timeout)
{
    struct linux_timespec ts;

    *timeout = UINT64_MAX;
    if (!address)
        return 0;
    if (copy_from_user(&ts, address, sizeof(ts)) != 0)
        return -EFAULT;
    return timespec_to_ns(&ts, timeout);
}

static long timeout_from_timeval(u64 address, u64 *timeout)
{
    struct linux_timeval tv;
    struct linux_timespec ts;

    *timeout = UINT64_MAX;
    if (!address)
        return 0;
    if (copy_from_user(&tv, address, sizeof(tv)) != 0)
        return -EFAULT;
    if (tv.sec < 0 || tv.usec < 0)
        return -EINVAL;
    ts.sec = tv.sec + tv.usec / 1000000;
    ts.nsec = tv.usec % 1000000 * 1000;
    return timespec_to_ns(&ts, timeout);
}

/* Linux writes what is left of the timeout back; failing to do so is not an error. */
static void write_left(u64 address, u64 timeout, u64 started, bool microseconds)
{
    u64 spent = clock_monotonic_ns() - started;
    struct linux_timespec left = timespec_from_ns(spent < timeout ? timeout - spent : 0);

    if (!address)
        return;
    if (microseconds)
        left.nsec /= 1000;
    (void)copy_to_user(address, &left, sizeof(left));
}

/* --- poll --- */

struct poll_set {
    struct linux_pollfd *fds;
    u64 count;
};

static long scan_poll(void *arg)
{
    struct poll_set *set = arg;
    long ready = 0;

    for (u64 i = 0; i < set->count; i++) {
        struct linux_pollfd *p = &set->fds[i];

        p->revents = p->fd < 0 ? 0 : (s16)look_at(p->fd, (u16)p->events);
        ready += p->revents != 0;
    }
    return ready;
}

static long poll_files(u64 address, u64 count, u64 timeout)
{
    struct linux_pollfd few[16];
    struct poll_set set = {few, count};
    size_t size = count * sizeof(few[0]);
    long n;

    if (count > current_fs()->fd_limit)
        return -EINVAL;
    if (count > ARRAY_LEN(few))
        set.fds = kmalloc(size);
    if (!set.fds)
        return -ENOMEM;
    n = copy_from_user(set.fds, address, size);
    if (n == 0)
        n = poll_until_ready(scan_poll, &set, timeout);
    if (n >= 0 && copy_to_user(address, set.fds, size) != 0)
        n = -EFAULT;
    if (set.fds != few)
        kfree(set.fds);
    return n;
}

long sys_poll(const u64 a[6])
{
    return poll_files(a[0], (u32)a[1], poll_timeout_ms((int)a[2]));
}

long poll_mask_begin(u64 address, u64 size)
{
    sigset mask;

    if (!address)
        return 0;
    if (size != sizeof(mask))
        return -EINVAL;
    if (copy_from_user(&mask, address, sizeof(mask)) != 0)
        return -EFAULT;
    signal_mask_begin(mask);
    return 0;
}

void poll_mask_end(u64 address, long result)
{
    if (address && result != -EINTR)
        signal_mask_done();
}

long sys_ppoll(const u64 a[6])
{
    u64 started = clock_monotonic_ns();
    u64 timeout;
    long n = poll_timeout_timespec(a[2], &timeout);

    if (n == 0)
        n = poll_mask_begin(a[3], a[4]);
    if (n)
        return n;
    n = poll_files(a[0], (u32)a[1], timeout);
    poll_mask_end(a[3], n);
    write_left(a[2], timeout, started, false);
    return n;
}

/* --- select --- */

enum { SELECT_SETS = 3, SELECT_FDS_MAX = 1024, SELECT_WORDS = SELECT_FDS_MAX / 64 };

struct select_set {
    int count;
    u64 wanted[SELECT_SETS][SELECT_WORDS];
    u64 ready[SELECT_SETS][SELECT_WORDS];
    bool bad; /* a descriptor that is not open */
};

/* What each set asks for and what counts as it (POLLIN_SET and friends in fs/select.c). */
static const u32 select_events[SELECT_SETS] = {
    POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    POLLPRI,
};

static void scan_select_fd(struct select_set *s, int fd, long *ready)
{
    size_t word = (size_t)fd / 64;
    u64 bit = 1ull << fd % 64;
    u32 mask;

    if (!((s->wanted[0][word] | s->wanted[1][word] | s->wanted[2][word]) & bit))
        return;
    mask = look_at(fd, UINT32_MAX);
    if (mask & POLLNVAL)
        s->bad = true;
    for (size_t set = 0; set < SELECT_SETS; set++) {
        if (s->wanted[set][word] & bit && mask & select_events[set]) {
            s->ready[set][word] |= bit;
            ++*ready;
        }
    }
}

static long scan_select(void *arg)
{
    struct select_set *s = arg;
    long ready = 0;

    memset(s->ready, 0, sizeof(s->ready));
    for (int fd = 0; fd < s->count; fd++)
        scan_select_fd(s, fd, &ready);
    return s->bad ? -EBADF : ready;
}

static long select_sets(const u64 a[6], u64 timeout)
{
    int count = MIN((int)a[0], (int)SELECT_FDS_MAX);
    struct select_set *s;
    size_t size;
    long n = 0;

    if ((int)a[0] < 0)
        return -EINVAL;
    s = kzalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->count = count;
    size = ((size_t)count + 63) / 64 * 8;
    for (size_t set = 0; set < SELECT_SETS && n == 0; set++) {
        if (a[1 + set])
            n = copy_from_user(s->wanted[set], a[1 + set], size);
    }
    if (n == 0)
        n = poll_until_ready(scan_select, s, timeout);
    for (size_t set = 0; set < SELECT_SETS && n >= 0; set++) {
        if (a[1 + set] && copy_to_user(a[1 + set], s->ready[set], size) != 0)
            n = -EFAULT;
    }
    kfree(s);
    return n;
}

long sys_select(const u64 a[6])
{
    u64 started = clock_monotonic_ns();
    u64 timeout;
    long n = timeout_from_timeval(a[4], &timeout);

    if (n)
        return n;
    n = select_sets(a, timeout);
    write_left(a[4], timeout, started, true);
    return n;
}

long sys_pselect6(const u64 a[6])
{
    u64 started = clock_monotonic_ns();
    u64 mask[2] = {0, 0}; /* address and size */
    u64 timeout;
    long n = poll_timeout_timespec(a[4], &timeout);

    if (n == 0 && a[5])
        n = copy_from_user(mask, a[5], sizeof(mask));
    if (n == 0)
        n = poll_mask_begin(mask[0], mask[1]);
    if (n)
        return n;
    n = select_sets(a, timeout);
    poll_mask_end(mask[0], n);
    write_left(a[4], timeout, started, false);
    return n;
}
