/* See disk.h. By raw system calls where the C library lacks them or makes others of its own. */
#include "devices/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/fd_close.h"

enum { ZEROES = 64 << 10 };
enum { RWF_NO_WAITING = 8 }; /* RWF_NOWAIT: musl's headers lack it */

/* --- data --- */

typedef ssize_t (*move_fn)(struct vq_request *req, int fd, uint64_t at, size_t max, int flags);

/* The kernel moves less than it was asked for at the end of a file, and if a later page is not in
 * memory, or cannot be had. */
static ssize_t move(const struct disk *disk, move_fn mover, struct vq_request *req, uint64_t at,
                    size_t max, unsigned flags)
{
    size_t done = 0;

    while (done < max) {
        ssize_t n =
            mover(req, disk->fd, at + done, max - done, flags & DISK_NOWAIT ? RWF_NO_WAITING : 0);

        if (n > 0)
            done += (size_t)n;
        else if (flags & DISK_NOWAIT)
            return done > 0 ? (ssize_t)done : n;
        else if (n != -EINTR)
            return n < 0 ? n : -EIO;
    }
    return (ssize_t)done;
}

ssize_t disk_read(const struct disk *disk, struct vq_request *to, uint64_t at, size_t max,
                  unsigned flags)
{
    return move(disk, vq_write_from_file, to, at, max, flags);
}

ssize_t disk_write(const struct disk *disk, struct vq_request *from, uint64_t at, size_t max,
                   unsigned flags)
{
    return move(disk, vq_read_to_file, from, at, max, flags);
}

/* --- the rest --- */

int disk_flush(const struct disk *disk)
{
    return syscall(SYS_fdatasync, disk->fd) == 0 ? 0 : -errno;
}

static int allocate(const struct disk *disk, int mode, uint64_t at, uint64_t len)
{
    return syscall(SYS_fallocate, disk->fd, mode | FALLOC_FL_KEEP_SIZE, at, len) == 0 ? 0 : -errno;
}

int disk_discard(const struct disk *disk, uint64_t at, uint64_t len)
{
    int r = allocate(disk, FALLOC_FL_PUNCH_HOLE, at, len);

    return r == -EOPNOTSUPP ? 0 : r;
}

static int write_zeroes(const struct disk *disk, uint64_t at, uint64_t len)
{
    static unsigned char zeroes[ZEROES]; /* nobody writes it: no page of memory */

    while (len > 0) {
        struct iovec iov = {zeroes, len < ZEROES ? len : ZEROES};
        long n = syscall(SYS_pwritev2, disk->fd, &iov, 1L, at, 0L, 0L);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

/* On a block device a punched hole reads as zeroes, too. */
int disk_zero(const struct disk *disk, uint64_t at, uint64_t len, bool may_unmap)
{
    int r = allocate(disk, may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, at, len);

    return r == -EOPNOTSUPP ? write_zeroes(disk, at, len) : r;
}

void disk_close(struct disk *disk)
{
    fd_close(&disk->fd);
}
