/*
 * The data of a virtqueue's requests: see virtqueue.h. The segments were checked when the chain was
 * taken; here cursors walk over them and can neither leave them nor go back.
 */
#include "devices/virtqueue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/copy_barrier.h"

size_t vq_readable(const struct vq_request *req)
{
    return vq_live(req) ? req->in.left : 0;
}

size_t vq_writable(const struct vq_request *req)
{
    return vq_live(req) ? req->out.left : 0;
}

/* What is left of the cursor's segment. */
static struct iovec current(const struct vq_request *req, const struct vq_cursor *cursor)
{
    struct iovec iov = req->iov[cursor->segment];

    iov.iov_base = (char *)iov.iov_base + cursor->offset;
    iov.iov_len -= cursor->offset;
    return iov;
}

static void advance(const struct vq_request *req, struct vq_cursor *cursor, size_t len)
{
    assert(len <= cursor->left);
    cursor->left -= (uint32_t)len;
    while (len > 0) {
        size_t here = req->iov[cursor->segment].iov_len - cursor->offset;

        if (len < here) {
            cursor->offset += (uint32_t)len;
            return;
        }
        len -= here;
        cursor->segment++;
        cursor->offset = 0;
    }
}

enum direction { FROM_GUEST, TO_GUEST };

/* Copies len bytes at the cursor, which the caller has compared with what is left, and advances. */
static void copy_data(const struct vq_request *req, struct vq_cursor *cursor, void *host,
                      size_t len, enum direction direction)
{
    while (len > 0) {
        struct iovec here = current(req, cursor);
        size_t part = len < here.iov_len ? len : here.iov_len;

        if (direction == TO_GUEST)
            memcpy(here.iov_base, host, part);
        else
            memcpy(host, here.iov_base, part);
        advance(req, cursor, part);
        host = (char *)host + part;
        len -= part;
    }
    copy_barrier();
}

bool vq_read(struct vq_request *req, void *to, size_t len)
{
    if (len > vq_readable(req))
        return false;
    copy_data(req, &req->in, to, len, FROM_GUEST);
    return true;
}

bool vq_write(struct vq_request *req, const void *from, size_t len)
{
    if (len > vq_writable(req))
        return false;
    copy_data(req, &req->out, (void *)(uintptr_t)from, len, TO_GUEST);
    req->written += (uint32_t)len;
    return true;
}

void vq_write_zeroes(struct vq_request *req, size_t max)
{
    static const char zeroes[512];

    while (max > 0 && vq_writable(req) > 0) {
        size_t part = max < sizeof(zeroes) ? max : sizeof(zeroes);

        part = part < vq_writable(req) ? part : vq_writable(req);
        vq_write(req, zeroes, part);
        max -= part;
    }
}

bool vq_reserve(struct vq_request *req, size_t len)
{
    if (len > vq_writable(req))
        return false;
    advance(req, &req->out, len);
    req->written += (uint32_t)len;
    return true;
}

bool vq_fill(struct vq_request *req, size_t at, const void *from, size_t len)
{
    struct vq_cursor cursor = {
        .segment = req->in.end, .end = req->out.end, .left = req->out.left + req->written};

    if (!vq_live(req) || at > req->written || len > req->written - at)
        return false;
    advance(req, &cursor, at);
    copy_data(req, &cursor, (void *)(uintptr_t)from, len, TO_GUEST);
    return true;
}

/* The next max bytes at the cursor as iovecs. Returns their number, 0 if there is nothing. */
static int list_data(const struct vq_request *req, struct vq_cursor cursor, size_t max,
                     struct iovec *iov)
{
    int count = 0;

    if (!vq_live(req))
        return 0;
    if (max > cursor.left)
        max = cursor.left;
    while (max > 0) {
        struct iovec here = current(req, &cursor);

        if (here.iov_len > max)
            here.iov_len = max;
        iov[count++] = here;
        max -= here.iov_len;
        advance(req, &cursor, here.iov_len);
    }
    return count;
}

static ssize_t passed_in(struct vq_request *req, ssize_t moved)
{
    if (moved > 0)
        advance(req, &req->in, (size_t)moved);
    return moved;
}

static ssize_t passed_out(struct vq_request *req, ssize_t moved)
{
    if (moved > 0) {
        advance(req, &req->out, (size_t)moved);
        req->written += (uint32_t)moved;
    }
    return moved;
}

ssize_t vq_read_to_fd(struct vq_request *req, const struct stream_fd *to, size_t max)
{
    struct iovec iov[VQ_MAX_SEGMENTS];
    int count = list_data(req, req->in, max, iov);

    return passed_in(req, count > 0 ? stream_writev(to, iov, count) : -EINVAL);
}

ssize_t vq_read_to_fd_behind(struct vq_request *req, const struct stream_fd *to, const void *prefix,
                             size_t len)
{
    struct iovec iov[1 + VQ_MAX_SEGMENTS] = {{(void *)(uintptr_t)prefix, len}};
    int count = list_data(req, req->in, req->in.left, iov + 1);
    ssize_t moved = count > 0 ? stream_writev(to, iov, count + 1) : -EINVAL;

    if (moved > (ssize_t)len)
        passed_in(req, moved - (ssize_t)len);
    return moved;
}

ssize_t vq_write_from_fd(struct vq_request *req, const struct stream_fd *from, size_t max)
{
    struct iovec iov[VQ_MAX_SEGMENTS];
    int count = list_data(req, req->out, max, iov);

    return passed_out(req, count > 0 ? stream_readv(from, iov, count) : -EINVAL);
}

/* preadv2 and pwritev2 by number: musl has none. Their offset is one argument, and then 0. */
static ssize_t call_at(long nr, int fd, const struct iovec *iov, int count, uint64_t at, int flags)
{
    ssize_t moved = syscall(nr, fd, iov, (long)count, at, 0L, (long)flags);

    return moved < 0 ? -errno : moved;
}

ssize_t vq_read_to_file(struct vq_request *req, int fd, uint64_t at, size_t max, int flags)
{
    struct iovec iov[VQ_MAX_SEGMENTS];
    int count = list_data(req, req->in, max, iov);

    return passed_in(req, count > 0 ? call_at(SYS_pwritev2, fd, iov, count, at, flags) : -EINVAL);
}

ssize_t vq_write_from_file(struct vq_request *req, int fd, uint64_t at, size_t max, int flags)
{
    struct iovec iov[VQ_MAX_SEGMENTS];
    int count = list_data(req, req->out, max, iov);

    return passed_out(req, count > 0 ? call_at(SYS_preadv2, fd, iov, count, at, flags) : -EINVAL);
}
