/* read, write and their relatives with offsets and vectors. */
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/mm/heap.h"

enum direction { READING, WRITING };

static struct file *io_file(u64 fd, enum direction direction)
{
    struct file *f = sys_file(fd);
    bool allowed = f && (direction == WRITING ? file_writable(f) : file_readable(f));

    if (allowed)
        return f;
    file_put(f);
    return NULL;
}

static long io_bytes(struct file *f, u64 buf, u64 len, u64 *pos, enum direction direction)
{
    len = MIN(len, FS_IO_MAX);
    if (direction == WRITING)
        return file_write(f, user_pointer(buf), len, pos, MEMORY_USER);
    return file_read(f, user_pointer(buf), len, pos, MEMORY_USER);
}

static long plain(const u64 a[6], enum direction direction)
{
    struct file *f = io_file(a[0], direction);
    long n;

    if (!f)
        return -EBADF;
    n = io_bytes(f, a[1], a[2], NULL, direction);
    file_put(f);
    return n;
}

long sys_read(const u64 a[6])
{
    return plain(a, READING);
}

long sys_write(const u64 a[6])
{
    return plain(a, WRITING);
}

/* A copy, because the call must leave the file's own offset alone. */
static long positioned_check(const struct file *f, u64 at)
{
    if ((i64)at < 0)
        return -EINVAL;
    return f->ops->lseek ? 0 : -ESPIPE;
}

static long positioned(const u64 a[6], enum direction direction)
{
    struct file *f = io_file(a[0], direction);
    u64 at = a[3];
    long n;

    if (!f)
        return -EBADF;
    n = positioned_check(f, at);
    if (n == 0)
        n = io_bytes(f, a[1], a[2], &at, direction);
    file_put(f);
    return n;
}

long sys_pread64(const u64 a[6])
{
    return positioned(a, READING);
}

long sys_pwrite64(const u64 a[6])
{
    return positioned(a, WRITING);
}

/* --- vectors --- */

int sys_check_segment(const struct linux_iovec *part)
{
    const u64 end = (1ull << 47) - 4096;

    if ((i64)part->len < 0)
        return -EINVAL;
    return part->len > end || part->base > end - part->len ? -EFAULT : 0;
}

/* As on Linux all are looked at before anything is moved. The total is capped. */
static int check_segments(struct linux_iovec *iov, u64 count)
{
    u64 room = FS_IO_MAX;

    for (u64 i = 0; i < count; i++) {
        int err = sys_check_segment(&iov[i]);

        if (err)
            return err;
        iov[i].len = MIN(iov[i].len, room);
        room -= iov[i].len;
    }
    return 0;
}

/* After something was read, the next segment must not make the call wait. */
static bool would_wait(struct file *f, bool write)
{
    return !write && f->wait && !(file_poll(f) & POLLIN);
}

static long move_segments(struct file *f, const struct linux_iovec *iov, u64 count, u64 *pos,
                          bool write)
{
    long done = 0;

    for (u64 i = 0; i < count; i++) {
        long n;

        if (iov[i].len == 0)
            continue;
        if (done > 0 && would_wait(f, write))
            break;
        n = io_bytes(f, iov[i].base, iov[i].len, pos, write ? WRITING : READING);
        if (n < 0)
            return done ? done : n;
        done += n;
        if ((u64)n < iov[i].len)
            break;
    }
    return done;
}

enum { GATHER_MOST = 4096 }; /* PIPE_BUF */

static size_t total_length(const struct linux_iovec *iov, u64 count)
{
    size_t total = 0;

    for (u64 i = 0; i < count; i++)
        total += iov[i].len;
    return total;
}

static long write_gathered(struct file *f, const struct linux_iovec *iov, u64 count, u8 *buf)
{
    size_t at = 0;
    long n = 0;

    for (u64 i = 0; i < count && n == 0; i++) {
        n = copy_from_user(buf + at, iov[i].base, iov[i].len);
        at += iov[i].len;
    }
    return n ? n : file_write(f, buf, at, NULL, MEMORY_KERNEL);
}

static long write_segments(struct file *f, const struct linux_iovec *iov, u64 count, u64 *pos)
{
    size_t total = total_length(iov, count);
    u8 *buf = NULL;
    long n;

    /* A buffered writer's first segment is often empty, its second all there is. */
    if (f->ops->gathers && count > 1 && iov[0].len > 0 && total <= GATHER_MOST)
        buf = kmalloc(total);
    if (!buf) /* or no memory is left for it: rather torn than lost */
        return move_segments(f, iov, count, pos, true);
    n = write_gathered(f, iov, count, buf);
    kfree(buf);
    return n;
}

static long io_segments(struct file *f, u64 iov, u64 count, u64 *pos, bool write)
{
    struct linux_iovec few[8];
    struct linux_iovec *copy = few;
    long n;

    if (count > FS_IOV_MAX)
        return -EINVAL;
    if (count > ARRAY_LEN(few))
        copy = kmalloc(count * sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    n = copy_from_user(copy, iov, count * sizeof(*copy));
    if (n == 0)
        n = check_segments(copy, count);
    if (n == 0)
        n = write ? write_segments(f, copy, count, pos) : move_segments(f, copy, count, pos, false);
    if (copy != few)
        kfree(copy);
    return n;
}

static long vector(const u64 a[6], bool write)
{
    struct file *f = io_file(a[0], write ? WRITING : READING);
    long n;

    if (!f)
        return -EBADF;
    if (f->ops->vector)
        n = f->ops->vector(f, a[1], a[2], write);
    else
        n = io_segments(f, a[1], a[2], NULL, write);
    file_put(f);
    return n;
}

static long vector_at(const u64 a[6], bool write)
{
    struct file *f = io_file(a[0], write ? WRITING : READING);
    u64 at = a[3]; /* a[4], the high half, is unused with 64-bit registers */
    long n;

    if (!f)
        return -EBADF;
    n = positioned_check(f, at);
    if (n == 0)
        n = io_segments(f, a[1], a[2], &at, write);
    file_put(f);
    return n;
}

enum { RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4, RWF_NOWAIT = 8, RWF_APPEND = 16 };

/* Offset -1 means the file's own. Data is always as durable as it gets; NOWAIT and APPEND would
 * need per-call flags and are refused, as a file system may. */
static long vector_flags(const u64 a[6], bool write)
{
    if (a[5] & ~(u64)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
        return -EOPNOTSUPP;
    return a[3] == UINT64_MAX ? vector(a, write) : vector_at(a, write);
}

long sys_readv(const u64 a[6])
{
    return vector(a, false);
}

long sys_writev(const u64 a[6])
{
    return vector(a, true);
}

long sys_preadv(const u64 a[6])
{
    return vector_at(a, false);
}

long sys_pwritev(const u64 a[6])
{
    return vector_at(a, true);
}

long sys_preadv2(const u64 a[6])
{
    return vector_flags(a, false);
}

long sys_pwritev2(const u64 a[6])
{
    return vector_flags(a, true);
}
