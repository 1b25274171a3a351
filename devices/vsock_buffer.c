/*
 * Buffers for what the host did not take at once: one for each connection, as large as the credit
 * it gives, so that no other connection can take what was promised. They are pieces of one mapping,
 * reserved at creation and backed as they are touched; memory is given back when all has been
 * written, but for stdio's and that of the last other one, which are likely to be needed again.
 */
#include "devices/vsock_state.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

/* Where the buffer of a connection begins. */
static size_t place_of(size_t slot)
{
    const size_t large = slot < VSOCK_LARGE ? slot : VSOCK_LARGE;
    const size_t medium = (slot < VSOCK_MEDIUM ? slot : VSOCK_MEDIUM) - large;
    const size_t small = slot - large - medium;

    return large * VSOCK_CREDIT_LARGE + medium * VSOCK_CREDIT_MEDIUM + small * VSOCK_CREDIT_SMALL;
}

size_t buffer_places(void)
{
    return place_of(VSOCK_CONNS);
}

/* Behind the last one there are the marks of messages and the stage. */
static size_t pool_bytes(void)
{
    return buffer_places() + buffer_places() / VSOCK_MARKS + VSOCK_MESSAGE_MOST;
}

bool buffer_pool_open(struct vsock *vsock)
{
    void *pool = mmap(NULL, pool_bytes(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pool == MAP_FAILED)
        return false;
    vsock->pool = pool;
    vsock->marks = vsock->pool + buffer_places();
    vsock->stage.bytes = vsock->marks + buffer_places() / VSOCK_MARKS;
    return true;
}

void buffer_pool_close(struct vsock *vsock)
{
    if (vsock->pool != NULL)
        munmap(vsock->pool, pool_bytes());
    vsock->pool = NULL;
}

void buffer_pool_wipe(struct vsock *vsock)
{
    madvise(vsock->pool, pool_bytes(), MADV_DONTNEED);
    vsock->warm = NULL;
}

static size_t slot_of(const struct vsock_conn *conn)
{
    return (size_t)(conn - conn->vsock->conns);
}

size_t buffer_place(const struct vsock_conn *conn)
{
    return place_of(slot_of(conn));
}

uint32_t buffer_size(const struct vsock_conn *conn)
{
    size_t slot = slot_of(conn), size = place_of(slot + 1) - place_of(slot);

    if (conn->kind == VSOCK_MESSAGES && size > VSOCK_MESSAGE_RING)
        size = VSOCK_MESSAGE_RING;
    return (uint32_t)size;
}

uint32_t conn_buf_alloc(const struct vsock_conn *conn)
{
    return buffer_size(conn) - (conn->kind == VSOCK_MESSAGES ? VSOCK_EMPTY_MOST : 0);
}

static uint8_t *buffer_of(const struct vsock_conn *conn)
{
    return conn->vsock->pool + buffer_place(conn);
}

int buffer_pieces(const struct vsock_conn *conn, uint32_t offset, uint32_t len, struct iovec iov[2])
{
    uint32_t size = buffer_size(conn);
    uint32_t at = (conn->head + offset) % size;
    uint32_t first = len < size - at ? len : size - at;

    iov[0] = (struct iovec){.iov_base = buffer_of(conn) + at, .iov_len = first};
    iov[1] = (struct iovec){.iov_base = buffer_of(conn), .iov_len = len - first};
    return len > first ? 2 : 1;
}

void buffer_put(struct vsock_conn *conn, struct vq_request *req, uint32_t len)
{
    struct iovec iov[2];
    int count = buffer_pieces(conn, conn->held, len, iov);

    assert(len <= buffer_size(conn) - conn->held && len <= vq_readable(req));
    for (int i = 0; i < count; i++)
        (void)vq_read(req, iov[i].iov_base, iov[i].iov_len);
    conn->held += len;
}

/* The buffer became empty: whose memory is to go? */
static void give_back(struct vsock_conn *conn)
{
    struct vsock_conn *before = conn->vsock->warm;

    if (conn->stdio >= 0 || before == conn)
        return;
    if (before != NULL && before->held == 0) {
        madvise(buffer_of(before), place_of(slot_of(before) + 1) - buffer_place(before),
                MADV_DONTNEED);
        marks_give_back(before);
    }
    conn->vsock->warm = conn;
}

uint32_t buffer_drop(struct vsock_conn *conn)
{
    uint32_t held = conn->held, bytes = held - conn->empties;

    if (held == 0)
        return 0;
    if (conn->kind == VSOCK_MESSAGES)
        marks_clear(conn);
    conn->head = conn->held = 0;
    conn->whole = conn->empties = conn->part = 0;
    give_back(conn);
    return bytes;
}

void buffer_consume(struct vsock_conn *conn, uint32_t len)
{
    assert(len <= conn->held);
    if (len == conn->held) {
        buffer_drop(conn);
        return;
    }
    conn->held -= len;
    conn->head = (conn->head + len) % buffer_size(conn);
}

int buffer_flush(struct vsock_conn *conn, uint32_t *written)
{
    struct iovec iov[2];
    ssize_t moved;

    *written = 0;
    while (conn->held > 0) {
        moved = stream_writev(&conn->stream, iov, buffer_pieces(conn, 0, conn->held, iov));
        if (moved <= 0)
            return moved < 0 ? (int)moved : -EAGAIN;
        *written += (uint32_t)moved;
        buffer_consume(conn, (uint32_t)moved);
    }
    return 0;
}
