/*
 * Level-triggered entries are looked at on each wait, as poll does. An edge-triggered one is looked
 * at only if something happened to its file since: file_wake says so through epoll_note.
 */
#include "guest-kernel/fs/epoll.h"
#include "guest-kernel/fs/poll.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/mm/heap.h"

enum { CTL_ADD = 1, CTL_DEL = 2, CTL_MOD = 3 };
enum { NESTED_MOST = 5 };

#define EPOLL_ONESHOT (1u << 30)
#define EPOLL_EDGE    (1u << 31)
#define ALWAYS        (POLLERR | POLLHUP)

struct epoll_event {
    u32 events;
    u64 data;
} __attribute__((packed));
_Static_assert(sizeof(struct epoll_event) == 12, "struct epoll_event of x86-64");

struct entry {
    struct entry *next;
    struct file *file;
    int fd;
    bool changed;  /* since it was last looked at */
    bool disarmed; /* reported once, as EPOLL_ONESHOT wants */
    struct epoll_event wanted;
};

struct epoll {
    struct epoll *next;
    struct entry *entries; /* whoever was reported goes to the end */
};

static struct epoll *epolls;

/* --- entries --- */

static struct entry **find(struct epoll *e, const struct file *f, int fd)
{
    struct entry **at = &e->entries;

    while (*at && ((*at)->file != f || (*at)->fd != fd))
        at = &(*at)->next;
    return at;
}

static void append(struct epoll *e, struct entry *entry)
{
    struct entry **at = &e->entries;

    while (*at)
        at = &(*at)->next;
    entry->next = NULL;
    *at = entry;
}

static void drop(struct entry **at)
{
    struct entry *entry = *at;

    *at = entry->next;
    kfree(entry);
}

void epoll_note(const struct wait_queue *q, u32 events)
{
    for (struct epoll *e = epolls; e; e = e->next) {
        for (struct entry *entry = e->entries; entry; entry = entry->next) {
            if (entry->file->wait == q && (entry->wanted.events | ALWAYS) & events)
                entry->changed = true;
        }
    }
}

void epoll_forget(const struct file *f)
{
    for (struct epoll *e = epolls; e; e = e->next) {
        for (struct entry **at = &e->entries; *at;) {
            if ((*at)->file == f)
                drop(at);
            else
                at = &(*at)->next;
        }
    }
}

/* --- as a file --- */

/* What an entry has to report now; 0: nothing. */
static u32 look_at(const struct entry *entry)
{
    u32 wanted = entry->wanted.events;

    if (entry->disarmed || (wanted & EPOLL_EDGE && !entry->changed))
        return 0;
    return file_poll(entry->file) & (wanted | ALWAYS);
}

static bool any_ready(const struct epoll *e)
{
    for (const struct entry *entry = e->entries; entry; entry = entry->next) {
        if (look_at(entry))
            return true;
    }
    return false;
}

/* Sets that were put into each other from the outside in may be deeper than may_nest can see. */
static u32 epoll_poll(struct file *f)
{
    static unsigned depth;
    u32 mask = 0;

    if (depth == NESTED_MOST)
        return 0;
    depth++;
    if (any_ready(f->private))
        mask = POLLIN | POLLRDNORM;
    depth--;
    return mask;
}

static void epoll_release(struct file *f)
{
    struct epoll *e = f->private;
    struct epoll **at = &epolls;

    while (e->entries)
        drop(&e->entries);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    kfree(e);
}

static const struct file_ops epoll_ops = {.poll = epoll_poll, .release = epoll_release};

static long epoll_new(u32 flags)
{
    struct epoll *e = kzalloc(sizeof(*e));
    struct file *f = e ? file_new(&epoll_ops, e) : NULL;

    if (!f) {
        kfree(e);
        return -ENOMEM;
    }
    f->flags = O_RDWR;
    e->next = epolls;
    epolls = e;
    return sys_new_fd(f, flags);
}

long sys_epoll_create(const u64 a[6])
{
    return (int)a[0] > 0 ? epoll_new(0) : -EINVAL;
}

long sys_epoll_create1(const u64 a[6])
{
    return a[0] & ~(u64)O_CLOEXEC ? -EINVAL : epoll_new((u32)a[0]);
}

/* --- changing the set --- */

/* Sets within sets: `inner` must not lead to `outer`, nor be deep. */
static bool may_nest(const struct file *inner, const struct file *outer, unsigned depth)
{
    const struct epoll *e = inner->private;

    if (inner->ops != &epoll_ops)
        return true;
    if (inner == outer || depth == NESTED_MOST)
        return false;
    for (const struct entry *entry = e->entries; entry; entry = entry->next) {
        if (!may_nest(entry->file, outer, depth + 1))
            return false;
    }
    return true;
}

static long add(struct file *set, struct file *f, int fd, const struct epoll_event *wanted)
{
    struct entry *entry;

    if (*find(set->private, f, fd))
        return -EEXIST;
    if (!may_nest(f, set, 0))
        return -ELOOP;
    entry = kzalloc(sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    *entry = (struct entry){.file = f, .fd = fd, .changed = true, .wanted = *wanted};
    append(set->private, entry);
    f->watched = true;
    return 0;
}

static long change(struct file *set, int op, struct file *f, int fd, u64 event)
{
    struct epoll_event wanted = {0};
    struct entry **at;

    if (op != CTL_DEL && copy_from_user(&wanted, event, sizeof(wanted)) != 0)
        return -EFAULT;
    if (!f->ops->poll)
        return -EPERM;
    if (set->ops != &epoll_ops || f == set)
        return -EINVAL;
    if (op == CTL_ADD)
        return add(set, f, fd, &wanted);
    at = find(set->private, f, fd);
    if (op != CTL_DEL && op != CTL_MOD)
        return -EINVAL;
    if (!*at)
        return -ENOENT;
    if (op == CTL_DEL) {
        drop(at);
        return 0;
    }
    (*at)->wanted = wanted;
    (*at)->changed = true;
    (*at)->disarmed = false;
    return 0;
}

long sys_epoll_ctl(const u64 a[6])
{
    struct file *set = sys_file(a[0]), *f = sys_file(a[2]);
    long err = -EBADF;

    if (set && f)
        err = change(set, (int)a[1], f, (int)a[2], a[3]);
    if (err == 0)
        file_wake(&poll_waiters); /* who waits on the set looks again */
    file_put(set);
    file_put(f);
    return err;
}

/* --- waiting --- */

struct harvest {
    struct epoll *epoll;
    u64 to;
    int most;
};

static long report(const struct harvest *h, struct entry *entry, u32 mask, long count)
{
    const struct epoll_event event = {mask, entry->wanted.data};

    if (copy_to_user(h->to + (u64)count * sizeof(event), &event, sizeof(event)) != 0)
        return count ? count : -EFAULT;
    entry->disarmed = entry->wanted.events & EPOLL_ONESHOT;
    return count + 1;
}

/* Entries that were reported go behind the others, so that each gets its turn. */
static long scan(void *arg)
{
    const struct harvest *h = arg;
    struct entry *done = NULL, **done_end = &done, **at = &h->epoll->entries;
    long count = 0;

    while (*at && count >= 0 && count < h->most) {
        struct entry *entry = *at;
        u32 mask = look_at(entry);

        entry->changed = false;
        if (!mask) {
            at = &entry->next;
            continue;
        }
        count = report(h, entry, mask, count);
        *at = entry->next;
        *done_end = entry;
        done_end = &entry->next;
    }
    *done_end = NULL;
    while (*at)
        at = &(*at)->next;
    *at = done;
    return count;
}

static long wait_for_events(const u64 a[6], u64 timeout)
{
    struct file *f;
    struct harvest h = {.to = a[1], .most = (int)a[2]};
    long n = -EINVAL;

    if (h.most <= 0 || h.most > INT32_MAX / (int)sizeof(struct epoll_event))
        return -EINVAL;
    f = sys_file(a[0]);
    if (!f)
        return -EBADF;
    h.epoll = f->private;
    if (f->ops == &epoll_ops)
        n = poll_until_ready(scan, &h, timeout);
    file_put(f);
    return n;
}

long sys_epoll_wait(const u64 a[6])
{
    return wait_for_events(a, poll_timeout_ms((int)a[3]));
}

static long wait_masked(const u64 a[6], u64 timeout)
{
    long n = poll_mask_begin(a[4], a[5]);

    if (n)
        return n;
    n = wait_for_events(a, timeout);
    poll_mask_end(a[4], n);
    return n;
}

long sys_epoll_pwait(const u64 a[6])
{
    return wait_masked(a, poll_timeout_ms((int)a[3]));
}

long sys_epoll_pwait2(const u64 a[6])
{
    u64 timeout;
    long n = poll_timeout_timespec(a[3], &timeout);

    return n ? n : wait_masked(a, timeout);
}
