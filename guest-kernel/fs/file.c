/* Life of an open file, and the answers for operations a type leaves out. */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/epoll.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"

struct wait_queue poll_waiters;

struct file *file_new(const struct file_ops *ops, void *private)
{
    struct file *f = kzalloc(sizeof(*f));

    if (!f)
        return NULL;
    f->refs = 1;
    f->ops = ops;
    f->private = private;
    return f;
}

struct file *file_get(struct file *f)
{
    f->refs++;
    return f;
}

void file_put(struct file *f)
{
    if (!f || --f->refs)
        return;
    if (f->watched)
        epoll_forget(f);
    if (f->ops->release)
        f->ops->release(f);
    dentry_put(f->dentry);
    kfree(f);
}

struct inode *file_inode(const struct file *f)
{
    return f->dentry ? f->dentry->inode : NULL;
}

bool file_readable(const struct file *f)
{
    return (f->flags & O_ACCMODE) != O_WRONLY && !(f->flags & O_PATH);
}

bool file_writable(const struct file *f)
{
    return (f->flags & O_ACCMODE) != O_RDONLY && !(f->flags & O_PATH);
}

u32 file_poll(struct file *f)
{
    if (f->ops->poll)
        return f->ops->poll(f);
    return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

void file_attr(struct file *f, struct file_attr *out)
{
    if (f->dentry)
        inode_attr(f->dentry->inode, out);
    else
        *out = (struct file_attr){.ino = 1, .mode = 0600, .nlink = 1};
    if (f->ops->attr)
        f->ops->attr(f, out);
}

void file_wake(struct wait_queue *q)
{
    file_wake_for(q, UINT32_MAX);
}

void file_wake_for(struct wait_queue *q, u32 events)
{
    epoll_note(q, events);
    wake_all(q);
    wake_all(&poll_waiters);
}

long file_lseek_endless(struct file *f, long offset, int whence)
{
    if (whence == WHENCE_CUR)
        offset += (long)f->offset;
    else if (whence != WHENCE_SET)
        return -EINVAL;
    if (offset < 0)
        return -EINVAL;
    f->offset = (u64)offset;
    return offset;
}
