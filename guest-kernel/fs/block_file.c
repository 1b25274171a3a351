/*
 * See block_file.h. Every write goes to the device at once; durable it is after fsync or with
 * O_DSYNC. Reads of a few bytes are served from what was read ahead.
 *
 * Whoever sleeps in the driver has to prepare the program's memory anew: another thread may have
 * unmapped it. So data is copied by copy_to_user and copy_from_user, unless it is the kernel's own.
 */
#include "guest-kernel/fs/block_file.h"
#include "abi/memory_map.h"
#include "guest-kernel/drivers/block.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/fs/tree.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/wait.h"

enum { MAJOR = 254, MINORS = 16 };

/* Whoever changes a disk, one after the other: a part of a sector is written by reading the sector
 * first, and nobody else's bytes of it may change in between. */
struct write_lock {
    u32 next,
        serving; /* in the order in which they came: who goes on at once may not be first again */
    struct wait_queue wait;
};

static struct write_lock locks[BLOCK_MOST];

static void lock(struct write_lock *l)
{
    u32 number = l->next++;

    while (l->serving != number)
        wait_on_uninterrupted(&l->wait, WAIT_FOREVER);
}

static void unlock(struct write_lock *l)
{
    l->serving++;
    wake_all(&l->wait);
}

/* --- pieces --- */

/* What one request moves: sectors [at, at + span), of them `len` bytes from `skip` on. */
struct piece {
    u64 at;
    u32 span, skip, len;
};

static struct piece piece_of(u64 pos, size_t len)
{
    struct piece p = {.at = pos / BLOCK_SECTOR * BLOCK_SECTOR, .skip = (u32)(pos % BLOCK_SECTOR)};

    p.len = (u32)MIN(len, (size_t)(BLOCK_PIECE - p.skip));
    p.span = (p.skip + p.len + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    return p;
}

static bool is_kernels(const void *at)
{
    return (u64)(uintptr_t)at >= SAMARA_WINDOW;
}

static int give(void *to, const void *from, size_t len)
{
    if (!is_kernels(to))
        return copy_to_user((u64)(uintptr_t)to, from, len);
    memcpy(to, from, len);
    return 0;
}

static int take(void *to, const void *from, size_t len)
{
    if (!is_kernels(from))
        return copy_from_user(to, (u64)(uintptr_t)from, len);
    memcpy(to, from, len);
    return 0;
}

/* --- reading and writing --- */

static struct block_disk *disk_of(const struct file *f)
{
    return f->private;
}

static unsigned number_of(const struct inode *inode)
{
    return (unsigned)(inode->rdev & 0xff) / MINORS;
}

static int read_piece(struct block_disk *d, const struct piece *p, u8 *buffer, void *to)
{
    int err = block_read(d, p->at, buffer, p->span);

    return err ? err : give(to, buffer + p->skip, p->len);
}

/* The sectors at both ends keep what is not written. */
static int write_piece(struct block_disk *d, const struct piece *p, u8 *buffer, const void *from)
{
    u32 end = p->skip + p->len, last = p->span - BLOCK_SECTOR;
    int err = 0;

    if (p->skip > 0 || (last == 0 && end < p->span))
        err = block_read(d, p->at, buffer, BLOCK_SECTOR);
    if (!err && last > 0 && end < p->span)
        err = block_read(d, p->at + last, buffer + last, BLOCK_SECTOR);
    if (!err)
        err = take(buffer + p->skip, from, p->len);
    return err ? err : block_write(d, p->at, buffer, p->span);
}

/* What is left of the disk from pos on, at most len. */
static size_t within(const struct block_disk *d, u64 pos, size_t len)
{
    u64 size = block_bytes(d);

    return pos < size ? (size_t)MIN((u64)len, size - pos) : 0;
}

static long disk_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    u8 *buffer = block_buffer();
    size_t done = 0;
    int err = buffer ? 0 : -ENOMEM;

    len = within(disk_of(f), *pos, len);
    while (done < len && !err) {
        struct piece p = piece_of(*pos, len - done);

        err = read_piece(disk_of(f), &p, buffer, (u8 *)buf + done);
        if (!err) {
            done += p.len;
            *pos += p.len;
        }
    }
    if (buffer)
        block_buffer_free(buffer);
    return done > 0 || !err ? (long)done : err;
}

static long write_pieces(struct file *f, u8 *buffer, const void *buf, size_t len, u64 *pos)
{
    size_t done = 0;
    int err = 0;

    while (done < len && !err) {
        struct piece p = piece_of(*pos, len - done);

        err = write_piece(disk_of(f), &p, buffer, (const u8 *)buf + done);
        if (!err) {
            done += p.len;
            *pos += p.len;
        }
    }
    if (done > 0 && f->flags & O_DSYNC && (err = block_flush(disk_of(f))) != 0)
        return err;
    return done > 0 || !err ? (long)done : err;
}

static long disk_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    struct write_lock *l = &locks[number_of(file_inode(f))];
    u8 *buffer;
    long moved;

    if (len > 0 && within(disk_of(f), *pos, len) == 0)
        return -ENOSPC;
    buffer = block_buffer();
    if (!buffer)
        return -ENOMEM;
    lock(l);
    moved = write_pieces(f, buffer, buf, within(disk_of(f), *pos, len), pos);
    unlock(l);
    block_buffer_free(buffer);
    return moved;
}

/* --- the rest --- */

static long disk_lseek(struct file *f, long offset, int whence)
{
    u64 size = block_bytes(disk_of(f));
    long from = 0;

    if (whence == WHENCE_CUR)
        from = (long)f->offset;
    else if (whence == WHENCE_END)
        from = (long)size;
    else if (whence != WHENCE_SET)
        return -EINVAL;
    if (__builtin_add_overflow(from, offset, &offset) || offset < 0 || (u64)offset > size)
        return -EINVAL;
    f->offset = (u64)offset;
    return offset;
}

static int disk_sync(struct file *f)
{
    return block_flush(disk_of(f));
}

/* BLK*: linux/fs.h. */
enum {
    BLKROGET = 0x125e,
    BLKGETSIZE = 0x1260,
    BLKFLSBUF = 0x1261,
    BLKSSZGET = 0x1268,
    BLKDISCARD = 0x1277,
    BLKIOMIN = 0x1278,
    BLKIOOPT = 0x1279,
    BLKPBSZGET = 0x127b,
    BLKZEROOUT = 0x127f,
};
#define BLKBSZGET    0x80081270u
#define BLKGETSIZE64 0x80081272u

static long answer(u64 to, u64 value, size_t size)
{
    return copy_to_user(to, &value, size); /* little-endian: the low bytes come first */
}

static long clear_range(struct file *f, u32 request, u64 arg)
{
    struct block_disk *d = disk_of(f);
    struct write_lock *l = &locks[number_of(file_inode(f))];
    u64 range[2];
    int err = copy_from_user(range, arg, sizeof(range));

    if (err)
        return err;
    if (!file_writable(f))
        return -EBADF;
    if (range[0] % BLOCK_SECTOR || range[1] % BLOCK_SECTOR || range[0] > block_bytes(d) ||
        range[1] > block_bytes(d) - range[0])
        return -EINVAL;
    lock(l);
    err = request == BLKDISCARD ? block_discard(d, range[0], range[1])
                                : block_zero(d, range[0], range[1]);
    unlock(l);
    return err;
}

static long disk_ioctl(struct file *f, u32 request, u64 arg)
{
    struct block_disk *d = disk_of(f);

    switch (request) {
    case BLKROGET:
        return answer(arg, block_read_only(d), sizeof(u32));
    case BLKGETSIZE:
        return answer(arg, block_bytes(d) / BLOCK_SECTOR, sizeof(u64));
    case BLKGETSIZE64:
        return answer(arg, block_bytes(d), sizeof(u64));
    case BLKSSZGET:
    case BLKPBSZGET:
    case BLKIOMIN:
    case BLKIOOPT:
        return answer(arg, request == BLKIOOPT ? 0 : BLOCK_SECTOR, sizeof(u32));
    case BLKBSZGET:
        return answer(arg, PAGE_SIZE, sizeof(u64));
    case BLKFLSBUF:
        return disk_sync(f);
    case BLKDISCARD:
    case BLKZEROOUT:
        return clear_range(f, request, arg);
    default:
        return -ENOTTY;
    }
}

static int disk_open(struct inode *inode, struct file *f)
{
    struct block_disk *d = block_disk(number_of(inode));

    if (!d)
        return -ENXIO;
    if (block_read_only(d) && file_writable(f))
        return -EACCES;
    f->private = d;
    return 0;
}

static const struct file_ops disk_file_ops = {
    .read = disk_read,
    .write = disk_write,
    .lseek = disk_lseek,
    .ioctl = disk_ioctl,
    .sync = disk_sync,
};
static const struct inode_ops disk_inode_ops = {.file_ops = &disk_file_ops, .open = disk_open};

void block_files_populate(struct dentry *dev, int *error)
{
    char name[] = "vda";

    for (unsigned i = 0; i < block_count(); i++) {
        struct inode *inode = inode_new(&disk_inode_ops, MODE_BLOCK | 0660);

        if (inode)
            inode->rdev = device_number(MAJOR, i * MINORS);
        name[2] = (char)('a' + i);
        tree_add(dev, name, inode, error);
    }
}
