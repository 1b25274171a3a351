/* See stream_fd.h. */
#include "devices/stream_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Not more: an unprivileged user's pipes share 64 MiB, beyond which new ones get two pages. */
enum { PIPE_BYTES = 1 << 18 };
enum { FIRST_PRIVATE_FD = 3, MEMORY_MAJOR = 1, TTYAUX_MAJOR = 5, PTMX_MINOR = 2 };
enum { NOWAIT = 8 }; /* RWF_NOWAIT: musl's headers lack it, and preadv2 */

/* Opening again would give a right that the descriptor does not have: the write end of a pipe would
 * become a second reader of it. Without, every call says EBADF, as it does to any process. */
static bool has_right(int fd, enum stream_use use)
{
    int flags = fcntl(fd, F_GETFL);
    int mode = flags & O_ACCMODE;

    return flags >= 0 && !(flags & O_PATH) &&
           (mode == O_RDWR || mode == (use == STREAM_READS ? O_RDONLY : O_WRONLY));
}

/* Opening a device can have effects: the master of a pseudo-terminal would be a new terminal. So
 * only terminals proper and the likes of /dev/null. */
static bool may_reopen(int fd, const struct stat *st, enum stream_use use)
{
    if (!has_right(fd, use))
        return false;
    if (S_ISFIFO(st->st_mode))
        return true;
    if (!S_ISCHR(st->st_mode))
        return false;
    if (major(st->st_rdev) == MEMORY_MAJOR)
        return true;
    return st->st_rdev != makedev(TTYAUX_MAJOR, PTMX_MINOR) && isatty(fd);
}

static int reopen(int fd, enum stream_use use)
{
    char path[32];
    int mode = use == STREAM_READS ? O_RDONLY : O_WRONLY;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, mode | (flags & O_APPEND) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static enum stream_kind shared_kind(const struct stat *st)
{
    if (S_ISSOCK(st->st_mode))
        return STREAM_SOCKET;
    if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode) || S_ISDIR(st->st_mode))
        return STREAM_FILE;
    return STREAM_CAREFUL;
}

/* Never smaller: the pipe may be large because its owner wants it so. */
static void enlarge_pipe(int fd)
{
    int now = fcntl(fd, F_GETPIPE_SZ);

    if (now >= 0 && now < PIPE_BYTES)
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

int stream_open(struct stream_fd *stream, int fd, enum stream_use use, struct err *err)
{
    struct stat st;

    *stream = STREAM_CLOSED;
    if (fstat(fd, &st) != 0)
        return err_sys(err, "file descriptor %d", fd);
    if (may_reopen(fd, &st, use))
        stream->fd = reopen(fd, use);
    if (stream->fd < 0) {
        stream->kind = shared_kind(&st);
        stream->fd = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_PRIVATE_FD);
    }
    if (stream->fd < 0)
        return err_sys(err, "file descriptor %d: duplicate", fd);
    if (S_ISFIFO(st.st_mode))
        enlarge_pipe(stream->fd);
    return 0;
}

void stream_close(struct stream_fd *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    *stream = STREAM_CLOSED;
}

void stream_unread(const struct stream_fd *stream, uint32_t bytes)
{
    if (stream->kind == STREAM_FILE && bytes > 0)
        (void)lseek(stream->fd, -(off_t)bytes, SEEK_CUR);
}

/* The first piece of a transfer, cut to what a ready but blocking file takes without blocking. */
static struct iovec careful_piece(const struct iovec *iov, int count)
{
    while (count > 1 && iov->iov_len == 0) {
        iov++;
        count--;
    }
    return (struct iovec){.iov_base = iov->iov_base,
                          .iov_len = iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF};
}

static bool is_ready(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};

    return poll(&ready, 1, 0) > 0;
}

static ssize_t result(ssize_t moved)
{
    return moved >= 0 ? moved : -errno;
}

/* Poll alone does not tell: another reader or writer may be there before us, and we would wait for
 * it under the device lock. Pipes know RWF_NOWAIT; of what does not (terminals, old kernels), poll
 * and a small piece are all there is. */
static bool knows_nowait(ssize_t moved)
{
    return moved >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS);
}

static ssize_t read_carefully(int fd, const struct iovec *iov, int count)
{
    ssize_t moved = syscall(SYS_preadv2, fd, iov, count, -1L, -1L, NOWAIT);
    struct iovec piece = careful_piece(iov, count);

    if (knows_nowait(moved))
        return result(moved);
    return is_ready(fd, POLLIN) ? result(readv(fd, &piece, 1)) : -EAGAIN;
}

static ssize_t write_carefully(int fd, const struct iovec *iov, int count)
{
    ssize_t moved = syscall(SYS_pwritev2, fd, iov, count, -1L, -1L, NOWAIT);
    struct iovec piece = careful_piece(iov, count);

    if (knows_nowait(moved))
        return result(moved);
    return is_ready(fd, POLLOUT) ? result(writev(fd, &piece, 1)) : -EAGAIN;
}

ssize_t stream_readv(const struct stream_fd *stream, const struct iovec *iov, int count)
{
    if (stream->kind == STREAM_SOCKET) {
        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov};

        msg.msg_iovlen = (__typeof__(msg.msg_iovlen))count;
        return result(recvmsg(stream->fd, &msg, MSG_DONTWAIT));
    }
    if (stream->kind == STREAM_CAREFUL)
        return read_carefully(stream->fd, iov, count);
    return result(readv(stream->fd, iov, count));
}

ssize_t stream_writev(const struct stream_fd *stream, const struct iovec *iov, int count)
{
    if (stream->kind == STREAM_SOCKET) {
        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov};

        msg.msg_iovlen = (__typeof__(msg.msg_iovlen))count;
        return result(sendmsg(stream->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
    }
    if (stream->kind == STREAM_CAREFUL)
        return write_carefully(stream->fd, iov, count);
    return result(writev(stream->fd, iov, count));
}
