/*
 * Buffers for what the host did not take at once: chunks of one mapping, reserved at creation and
 * backed as they are touched. A connection has a chunk while it holds data. Free chunks are a
 * stack; the few on top keep their memory for the next connection that blocks, the rest give it
 * back.
 */
#include "devices/vsock_state.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

enum { DIRTY_CHUNKS = 2 };

static const size_t pool_bytes = (size_t)VSOCK_CHUNKS * VSOCK_BUF_ALLOC;

bool buffer_pool_open(struct vsock *vsock)
{
    void *pool = mmap(NULL, pool_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pool == MAP_FAILED)
        return false;
    vsock->pool = pool;
    return true;
}

void buffer_pool_close(struct vsock *vsock)
{
    if (vsock->pool != NULL)
        munmap(vsock->pool, pool_bytes);
    vsock->pool = NULL;
}

static uint8_t *take_chunk(struct vsock *vsock)
{
    unsigned index;

    if (vsock->chunks_free > 0) {
        index = vsock->chunk[--vsock->chunks_free];
        if (vsock->chunks_dirty > 0)
            vsock->chunks_dirty--;
    } else if (vsock->chunks_used < VSOCK_CHUNKS) {
        index = vsock->chunks_used++;
    } else {
        return NULL;
    }
    return vsock->pool + (size_t)index * VSOCK_BUF_ALLOC;
}

static void give_chunk(struct vsock *vsock, uint8_t *at)
{
    unsigned index = (unsigned)((size_t)(at - vsock->pool) / VSOCK_BUF_ALLOC);

    assert(vsock->chunks_free < VSOCK_CHUNKS);
    if (vsock->chunks_dirty < DIRTY_CHUNKS) {
        vsock->chunks_dirty++;
        vsock->chunk[vsock->chunks_free++] = (uint16_t)index;
        return;
    }
    /* A clean chunk goes below the dirty ones, in the place of the lowest of them. */
    madvise(at, VSOCK_BUF_ALLOC, MADV_DONTNEED);
    vsock->chunk[vsock->chunks_free] = vsock->chunk[vsock->chunks_free - DIRTY_CHUNKS];
    vsock->chunk[vsock->chunks_free - DIRTY_CHUNKS] = (uint16_t)index;
    vsock->chunks_free++;
}

/* The ring as at most two pieces of len bytes from `offset` on. */
static int pieces(const struct vsock_conn *conn, uint32_t offset, uint32_t len, struct iovec iov[2])
{
    uint32_t at = (conn->head + offset) % VSOCK_BUF_ALLOC;
    uint32_t first = len < VSOCK_BUF_ALLOC - at ? len : VSOCK_BUF_ALLOC - at;

    iov[0] = (struct iovec){.iov_base = conn->buffer + at, .iov_len = first};
    iov[1] = (struct iovec){.iov_base = conn->buffer, .iov_len = len - first};
    return len > first ? 2 : 1;
}

bool buffer_put(struct vsock_conn *conn, struct vq_request *req, uint32_t len)
{
    struct iovec iov[2];
    int count;

    assert(len <= VSOCK_BUF_ALLOC - conn->held);
    if (conn->buffer == NULL)
        conn->buffer = take_chunk(conn->vsock);
    if (conn->buffer == NULL)
        return false;
    count = pieces(conn, conn->held, len, iov);
    for (int i = 0; i < count; i++)
        if (!vq_read(req, iov[i].iov_base, iov[i].iov_len))
            return false;
    conn->held += len;
    return true;
}

uint32_t buffer_drop(struct vsock_conn *conn)
{
    uint32_t held = conn->held;

    if (conn->buffer != NULL)
        give_chunk(conn->vsock, conn->buffer);
    conn->buffer = NULL;
    conn->head = conn->held = 0;
    return held;
}

int buffer_flush(struct vsock_conn *conn, uint32_t *written)
{
    struct iovec iov[2];
    ssize_t moved;

    *written = 0;
    while (conn->held > 0) {
        moved = stream_writev(&conn->stream, iov, pieces(conn, 0, conn->held, iov));
        if (moved <= 0)
            return moved < 0 ? (int)moved : -EAGAIN;
        conn->head = (conn->head + (uint32_t)moved) % VSOCK_BUF_ALLOC;
        conn->held -= (uint32_t)moved;
        *written += (uint32_t)moved;
    }
    buffer_drop(conn);
    return 0;
}
