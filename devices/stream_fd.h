/*
 * A host file as one direction of a byte stream, read and written without ever blocking the monitor
 * and without changing the open file description that it shares with other processes.
 *
 * - A pipe, terminal or character device is opened again through /proc/self/fd: a description of
 *   our own that does not block.
 * - A socket gets MSG_DONTWAIT with every call.
 * - A regular file is used as it is, so that the offset stays shared; it never blocks.
 * - What cannot be opened again gets RWF_NOWAIT, or where the kernel knows no such thing poll()
 *   first, then at most PIPE_BUF bytes.
 *
 * A descriptor that was not opened for this direction says EBADF, as it does to any process.
 * Writing to a pipe without reader raises SIGPIPE: the process has to ignore it.
 */
#ifndef SAMARA_DEVICES_STREAM_FD_H
#define SAMARA_DEVICES_STREAM_FD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "monitor/err.h"

enum stream_kind {
    STREAM_NONBLOCKING,
    STREAM_SOCKET,
    STREAM_FILE,    /* always ready; epoll refuses it */
    STREAM_CAREFUL, /* a blocking description shared with others */
};

struct stream_fd {
    int fd; /* -1: none */
    enum stream_kind kind;
};

#define STREAM_CLOSED                                                                              \
    (struct stream_fd)                                                                             \
    {                                                                                              \
        .fd = -1, .kind = STREAM_NONBLOCKING                                                       \
    }

enum stream_use { STREAM_READS, STREAM_WRITES };

/*
 * Makes a stream of an inherited descriptor. The stream has a descriptor of its own, close-on-exec;
 * `fd` stays open and the caller's. End of file is seen at the other end only after both are
 * closed, so the caller should close `fd` or put /dev/null there. Pipes are enlarged where that is
 * allowed.
 */
int stream_open(struct stream_fd *stream, int fd, enum stream_use use, struct err *err);

/* Closes it if it is open. */
void stream_close(struct stream_fd *stream);

/* Of what was read, the last `bytes` were not used: whoever reads the same file next gets them.
 * Does nothing where there is no going back (pipes, terminals, sockets). */
void stream_unread(const struct stream_fd *stream, uint32_t bytes);

/* As readv and writev; return bytes or -errno, -EAGAIN when it would block. */
ssize_t stream_readv(const struct stream_fd *stream, const struct iovec *iov, int count);
ssize_t stream_writev(const struct stream_fd *stream, const struct iovec *iov, int count);

#endif
