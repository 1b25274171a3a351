/*
 * Reading and writing as system calls mean it: user memory is prepared piece by piece (so that a
 * read of a gigabyte into fresh memory does not back it all for a short file), operations that
 * cannot proceed are waited for, and what was moved is reported rather than a later error.
 */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"

enum { PIECE = 1 << 20 };

struct transfer {
    struct file *file;
    u64 *pos;
    enum memory_kind kind;
    bool write;
    u64 deadline;
};

static u64 deadline_of(const struct file *f, bool write)
{
    u64 timeout = f->ops->timeout ? f->ops->timeout(f, write) : 0;

    return timeout ? clock_monotonic_ns() + timeout : WAIT_FOREVER;
}

/* How much of the range, from its start, the program may access; it is prepared. */
static size_t accessible(u64 addr, size_t len, bool write)
{
    size_t done = 0;

    while (done < len) {
        size_t part = MIN(len - done, PAGE_SIZE - (addr + done) % PAGE_SIZE);

        if (user_prepare(addr + done, part, write) != 0)
            break;
        done += part;
    }
    return done;
}

/* A file moves what lies before a bad address, as on Linux; a pipe moves all or nothing. */
static size_t prepare(const struct transfer *t, const void *buf, size_t len)
{
    u64 addr = (u64)(uintptr_t)buf;

    if (t->kind == MEMORY_KERNEL || user_prepare(addr, len, !t->write) == 0)
        return len;
    return t->file->ops->lseek ? accessible(addr, len, !t->write) : 0;
}

static long move_once(const struct transfer *t, void *buf, size_t len)
{
    const struct file_ops *ops = t->file->ops;

    const size_t ready = prepare(t, buf, len);

    if (ready == 0 && len > 0)
        return -EFAULT;
    len = ready;
    if (t->write)
        return ops->write(t->file, buf, len, t->pos);
    return ops->read(t->file, buf, len, t->pos);
}

static long move_piece(const struct transfer *t, void *buf, size_t len)
{
    for (;;) {
        long n = move_once(t, buf, len);
        int err;

        if (n != -EAGAIN || t->file->flags & O_NONBLOCK || !t->file->wait)
            return n;
        err = wait_on(t->file->wait, t->deadline);
        if (err)
            return err == -ETIMEDOUT ? -EAGAIN : err;
    }
}

/* How much of len a read can possibly fill. */
static size_t readable_length(const struct transfer *t, size_t len)
{
    const struct inode *inode = file_inode(t->file);

    if (!inode || inode->ops->file_ops != &regular_file_ops)
        return len;
    return *t->pos < inode->size ? MIN(len, inode->size - *t->pos) : 0;
}

long file_read(struct file *f, void *buf, size_t len, u64 *pos, enum memory_kind kind)
{
    const struct transfer t = {f, pos ? pos : &f->offset, kind, false, deadline_of(f, false)};
    size_t done = 0;

    if (!f->ops->read)
        return -EINVAL;
    len = readable_length(&t, len);
    while (done < len) {
        size_t piece = MIN(len - done, (size_t)PIECE);
        long n = move_piece(&t, (u8 *)buf + done, piece);

        if (n < 0)
            return done ? (long)done : n;
        done += (size_t)n;
        if ((size_t)n < piece || !f->ops->lseek)
            break; /* end of file, or a stream: what is there now is the answer */
    }
    return (long)done;
}

long file_write(struct file *f, const void *buf, size_t len, u64 *pos, enum memory_kind kind)
{
    const struct transfer t = {f, pos ? pos : &f->offset, kind, true, deadline_of(f, true)};
    size_t done = 0;

    if (!f->ops->write)
        return -EINVAL;
    if (len == 0 && f->ops->vector)
        return move_piece(&t, NULL, 0);
    while (done < len) {
        size_t piece = MIN(len - done, (size_t)PIECE);
        void *from = (void *)((uintptr_t)buf + done);
        long n = move_piece(&t, from, piece);

        if (n <= 0)
            return done ? (long)done : n;
        done += (size_t)n;
    }
    return (long)done;
}
