/* See disk_file.h. By raw system calls, where the C library lacks them or makes others of its own.
 */
#include "devices/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ZEROES = 64 << 10 };
enum { RWF_NO_WAITING = 8 }; /* RWF_NOWAIT: musl's headers lack it */

/* --- requests --- */

typedef ssize_t (*move_fn)(struct vq_request *req, int fd, uint64_t at, size_t max, int flags);

/* The kernel moves less than it was asked for at the end of a file, and if a later page is not in
 * memory, or cannot be had. */
static ssize_t move(move_fn mover, int fd, struct vq_request *req, uint64_t at, size_t max,
                    unsigned flags)
{
    size_t done = 0;

    while (done < max) {
        ssize_t n = mover(req, fd, at + done, max - done, flags & DISK_NOWAIT ? RWF_NO_WAITING : 0);

        if (n > 0)
            done += (size_t)n;
        else if (flags & DISK_NOWAIT)
            return done > 0 ? (ssize_t)done : n;
        else if (n != -EINTR)
            return n < 0 ? n : -EIO;
    }
    return (ssize_t)done;
}

ssize_t file_read(int fd, struct vq_request *to, uint64_t at, size_t max, unsigned flags)
{
    return move(vq_write_from_file, fd, to, at, max, flags);
}

ssize_t file_write(int fd, struct vq_request *from, uint64_t at, size_t max, unsigned flags)
{
    return move(vq_read_to_file, fd, from, at, max, flags);
}

/* --- memory --- */

static int transfer(long nr, int fd, char *memory, uint64_t at, size_t len)
{
    while (len > 0) {
        struct iovec iov = {memory, len};
        long n = syscall(nr, fd, &iov, 1L, at, 0L, 0L);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        memory += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

int file_get(int fd, void *to, uint64_t at, size_t len)
{
    return transfer(SYS_preadv2, fd, to, at, len);
}

int file_put(int fd, const void *from, uint64_t at, size_t len)
{
    return transfer(SYS_pwritev2, fd, (char *)(uintptr_t)from, at, len);
}

/* --- the rest --- */

int file_flush(int fd)
{
    return syscall(SYS_fdatasync, fd) == 0 ? 0 : -errno;
}

static int allocate(int fd, int mode, uint64_t at, uint64_t len)
{
    return syscall(SYS_fallocate, fd, mode | FALLOC_FL_KEEP_SIZE, at, len) == 0 ? 0 : -errno;
}

int file_punch(int fd, uint64_t at, uint64_t len)
{
    return allocate(fd, FALLOC_FL_PUNCH_HOLE, at, len);
}

static int put_zeroes(int fd, uint64_t at, uint64_t len)
{
    static unsigned char zeroes[ZEROES]; /* nobody writes it: no page of memory */
    int result = 0;

    while (len > 0 && result == 0) {
        size_t now = len < ZEROES ? (size_t)len : ZEROES;

        result = file_put(fd, zeroes, at, now);
        at += now;
        len -= now;
    }
    return result;
}

/* On a block device a punched hole reads as zeroes, too. */
int file_zero(int fd, uint64_t at, uint64_t len, bool may_unmap)
{
    int r = allocate(fd, may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, at, len);

    return r == -EOPNOTSUPP ? put_zeroes(fd, at, len) : r;
}
