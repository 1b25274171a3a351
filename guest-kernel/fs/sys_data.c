/* The contents of files: sizes, ranges, durability, copying between files. */
#include "guest-kernel/drivers/block.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/page.h"

/* --- sizes --- */

long sys_truncate(const u64 a[6])
{
    struct inode *inode;
    struct dentry *d;
    int err;

    if ((i64)a[1] < 0)
        return -EINVAL;
    d = path_find_user(AT_FDCWD, a[0], WALK_FOLLOW, &err);
    if (!d)
        return err;
    inode = d->inode;
    if (inode_is(inode, MODE_DIR))
        err = -EISDIR;
    else if (inode->flags & INODE_BUSY_TEXT)
        err = -ETXTBSY;
    else
        err = inode->ops->truncate ? inode->ops->truncate(inode, a[1]) : -EINVAL;
    dentry_put(d);
    return err;
}

long sys_ftruncate(const u64 a[6])
{
    struct file *f;
    long err = -EINVAL;

    if ((i64)a[1] < 0)
        return -EINVAL;
    f = sys_file(a[0]);
    if (!f)
        return -EBADF;
    if (file_writable(f) && f->ops->truncate)
        err = f->ops->truncate(f, a[1]);
    file_put(f);
    return err;
}

/* A promise of space: kept by there being room now, as pages come when written. */
static long reserve_range(struct file *f, u64 end, bool keep_size)
{
    const struct inode *inode = file_inode(f);
    u64 more = end > inode->size ? (end - inode->size + PAGE_SIZE - 1) / PAGE_SIZE : 0;

    if (more > (inode->flags & INODE_MEMORY ? pages_free_count() : regular_pages_left()))
        return -ENOSPC;
    return keep_size || more == 0 ? 0 : f->ops->truncate(f, end);
}

static long allocate(struct file *f, u32 mode, u64 at, u64 len)
{
    struct inode *inode = file_inode(f);
    u64 inside;
    long err;

    if (!file_writable(f))
        return -EBADF;
    if (!inode || !inode_is(inode, MODE_REGULAR))
        return f->ops->lseek ? -ENODEV : -ESPIPE;
    if (!inode->ops->truncate)
        return -EOPNOTSUPP;
    switch (mode) {
    case 0:
    case FALLOC_KEEP_SIZE:
        return reserve_range(f, at + len, mode);
    case FALLOC_ZERO_RANGE:
    case FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE:
        err = reserve_range(f, at + len, mode & FALLOC_KEEP_SIZE);
        if (err)
            return err;
        break;
    case FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE:
        break;
    default:
        return -EOPNOTSUPP;
    }
    inside = at < inode->size ? MIN(len, inode->size - at) : 0;
    return inside ? regular_punch(inode, at, inside) : 0;
}

long sys_fallocate(const u64 a[6])
{
    struct file *f;
    long err;

    if ((i64)a[2] < 0 || (i64)a[3] <= 0)
        return -EINVAL;
    if (a[3] > FS_OFF_MAX - a[2])
        return -EFBIG;
    f = sys_file(a[0]);
    if (!f)
        return -EBADF;
    err = allocate(f, (u32)a[1], a[2], a[3]);
    file_put(f);
    return err;
}

/* --- durability: but for disks memory is all there is --- */

static long sync_fd(u64 fd)
{
    struct file *f = sys_file(fd);
    long err;

    if (!f)
        return -EBADF;
    if (f->ops->sync)
        err = f->ops->sync(f);
    else
        err = f->dentry ? 0 : -EINVAL;
    file_put(f);
    return err;
}

long sys_fsync(const u64 a[6])
{
    return sync_fd(a[0]);
}

long sys_fdatasync(const u64 a[6])
{
    return sync_fd(a[0]);
}

long sys_sync(const u64 a[6])
{
    (void)a;
    block_flush_all(); /* Linux's sync() reports nothing */
    return 0;
}

long sys_syncfs(const u64 a[6])
{
    return fd_slot((int)a[0]) ? 0 : -EBADF;
}

/* Calls that only advise about a range of a file that could be sought in. */
static long advise(u64 fd)
{
    struct file *f = sys_file(fd);
    long err;

    if (!f)
        return -EBADF;
    err = f->ops->lseek ? 0 : -ESPIPE;
    file_put(f);
    return err;
}

long sys_sync_file_range(const u64 a[6])
{
    return advise(a[0]);
}

enum { FADVISE_LAST = 5 };

long sys_fadvise64(const u64 a[6])
{
    return (u32)a[3] > FADVISE_LAST ? -EINVAL : advise(a[0]);
}

long sys_readahead(const u64 a[6])
{
    return advise(a[0]) == 0 ? 0 : -EINVAL;
}

/* --- copying --- */

enum { COPY_PIECE = 65536 };

struct copy {
    struct file *in, *out;
    u64 *in_at, *out_at; /* the files' own offsets, or these: */
    u64 in_given, out_given;
    u64 left;
    bool apart; /* ranges must not overlap */
};

/* What was read but could not be written is given back by moving the input's offset. */
static long copy_piece(const struct copy *c, void *buf)
{
    long got = file_read(c->in, buf, MIN(c->left, (u64)COPY_PIECE), c->in_at, MEMORY_KERNEL);
    long put;

    if (got <= 0)
        return got;
    put = file_write(c->out, buf, (size_t)got, c->out_at, MEMORY_KERNEL);
    *c->in_at -= (u64)(got - MAX(put, 0));
    return put;
}

/* Linux refuses a range of a file that would be copied into itself. */
static bool overlaps(const struct copy *c)
{
    const struct inode *inode = file_inode(c->in);
    u64 in = *c->in_at, out = *c->out_at;
    u64 len = MIN(c->left, inode->size - MIN(in, inode->size));

    return inode == file_inode(c->out) && in < out + len && out < in + len;
}

static long copy_between(struct copy *c)
{
    void *buf = kmalloc(COPY_PIECE);
    long done = 0;

    if (!buf)
        return -ENOMEM;
    c->left = MIN(c->left, FS_IO_MAX);
    while (c->left > 0) {
        long n = copy_piece(c, buf);

        if (n <= 0) {
            done = done ? done : n;
            break;
        }
        done += n;
        c->left -= (u64)n;
    }
    kfree(buf);
    return done;
}

/* An optional offset argument: read before, written back after. */
static long get_offset(u64 address, struct file *f, u64 *value, u64 **use)
{
    *use = address ? value : &f->offset;
    if (!address)
        return 0;
    if (copy_from_user(value, address, sizeof(*value)) != 0)
        return -EFAULT;
    return (i64)*value < 0 ? -EINVAL : 0;
}

static long put_offset(u64 address, u64 value)
{
    return address ? copy_to_user(address, &value, sizeof(value)) : 0;
}

static long copy_files(struct copy *c, u64 in_offset, u64 out_offset)
{
    long n = get_offset(in_offset, c->in, &c->in_given, &c->in_at);

    if (n == 0)
        n = get_offset(out_offset, c->out, &c->out_given, &c->out_at);
    if (n == 0 && c->apart && overlaps(c))
        n = -EINVAL;
    if (n == 0)
        n = copy_between(c);
    if (n >= 0 && (put_offset(in_offset, *c->in_at) || put_offset(out_offset, *c->out_at)))
        n = -EFAULT;
    return n;
}

static void drop_files(const struct copy *c)
{
    file_put(c->in);
    file_put(c->out);
}

long sys_sendfile(const u64 a[6])
{
    struct copy c = {.in = sys_file(a[1]), .out = sys_file(a[0]), .left = a[3]};
    long n = -EBADF;

    if (c.in && c.out && file_readable(c.in) && file_writable(c.out)) {
        if (!c.in->ops->lseek || c.out->flags & O_APPEND)
            n = -EINVAL;
        else
            n = copy_files(&c, a[2], 0);
    }
    drop_files(&c);
    return n;
}

static bool is_regular(const struct file *f)
{
    const struct inode *inode = file_inode(f);

    return inode && inode->ops->file_ops == &regular_file_ops;
}

static long copy_range(struct copy *c, const u64 a[6])
{
    if (!file_readable(c->in) || !file_writable(c->out) || c->out->flags & O_APPEND)
        return -EBADF;
    if (!is_regular(c->in) || !is_regular(c->out) || a[5])
        return -EINVAL;
    return copy_files(c, a[1], a[3]);
}

long sys_copy_file_range(const u64 a[6])
{
    struct copy c = {.in = sys_file(a[0]), .out = sys_file(a[2]), .left = a[4], .apart = true};
    long n = c.in && c.out ? copy_range(&c, a) : -EBADF;

    drop_files(&c);
    return n;
}
