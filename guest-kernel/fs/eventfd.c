/* eventfd: a counter that is waited for. */
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/fs/pipe.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct counter {
    u64 count;
    bool semaphore; /* a read takes 1, not all */
    struct wait_queue wait;
};

static long counter_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    struct counter *c = f->private;
    u64 taken = c->semaphore ? 1 : c->count;

    (void)pos;
    if (len < sizeof(taken))
        return -EINVAL;
    if (c->count == 0)
        return -EAGAIN;
    c->count -= taken;
    memcpy(buf, &taken, sizeof(taken));
    file_wake_for(&c->wait, POLLOUT | POLLWRNORM);
    return sizeof(taken);
}

static long counter_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    struct counter *c = f->private;
    u64 added;

    (void)pos;
    if (len != sizeof(added))
        return -EINVAL;
    memcpy(&added, buf, sizeof(added));
    if (added > COUNT_MAX)
        return -EINVAL;
    if (added > COUNT_MAX - c->count)
        return -EAGAIN;
    c->count += added;
    file_wake_for(&c->wait, POLLIN | POLLRDNORM);
    return sizeof(added);
}

static u32 counter_poll(struct file *f)
{
    const struct counter *c = f->private;
    u32 mask = 0;

    if (c->count > 0)
        mask |= POLLIN | POLLRDNORM;
    if (c->count < COUNT_MAX)
        mask |= POLLOUT | POLLWRNORM;
    return mask;
}

static void counter_release(struct file *f)
{
    kfree(f->private);
}

static const struct file_ops counter_ops = {
    .read = counter_read,
    .write = counter_write,
    .poll = counter_poll,
    .release = counter_release,
};

struct file *eventfd_new(u64 count, bool semaphore, u32 flags)
{
    struct counter *c = kzalloc(sizeof(*c));
    struct file *f = c ? file_new(&counter_ops, c) : NULL;

    if (!f) {
        kfree(c);
        return NULL;
    }
    c->count = count;
    c->semaphore = semaphore;
    wait_init(&c->wait);
    f->flags = O_RDWR | (flags & O_NONBLOCK);
    f->wait = &c->wait;
    return f;
}
