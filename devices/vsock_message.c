/*
 * Messages of SEQPACKET connections: see vsock_state.h. A message goes to the host in one send and
 * comes from it in one receive, so it is whole before it goes anywhere.
 *
 * From the guest: one that came in a single packet is sent from the guest's memory if nothing is
 * held. Otherwise it waits in the connection's ring, whose bytes have two bits each, the marks: a
 * message ends here, or this byte stands for an empty one. Credit counts bytes and knows nothing of
 * ends, which may be as many as the bytes; lengths beside them would take more than the ring.
 *
 * To the guest: read straight into its buffer if it has room for all, else into the device's stage,
 * of which there is one, and from there into as many buffers as it takes. A message is read once
 * there is credit for all of it, so that the stage waits for buffers alone, as everybody does.
 *
 * Receiving nothing can be an empty message or the end. A socket with SO_PASSCRED has credentials
 * to tell of a message, and says MSG_CTRUNC to who leaves no room for them; of the end it has none.
 */
#include "devices/vsock_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum mark { MARK_NONE, MARK_END, MARK_EMPTY };
enum { MARKS = VSOCK_MARKS, MARK_BITS = 8 / VSOCK_MARKS, MARK_MASK = (1 << MARK_BITS) - 1 };

/* --- marks --- */

static uint8_t *marks_of(const struct vsock_conn *conn)
{
    return conn->vsock->marks + buffer_place(conn) / MARKS;
}

void marks_clear(struct vsock_conn *conn)
{
    if (conn->whole > 0)
        memset(marks_of(conn), 0, buffer_size(conn) / MARKS);
}

void marks_give_back(struct vsock_conn *conn)
{
    if (conn->kind == VSOCK_MESSAGES)
        madvise(marks_of(conn), buffer_size(conn) / MARKS, MADV_DONTNEED);
}

static uint32_t ring_at(const struct vsock_conn *conn, uint32_t offset)
{
    return (conn->head + offset) % buffer_size(conn);
}

static enum mark mark_at(const struct vsock_conn *conn, uint32_t at)
{
    return marks_of(conn)[at / MARKS] >> at % MARKS * MARK_BITS & MARK_MASK;
}

static void set_mark(struct vsock_conn *conn, uint32_t at, enum mark mark)
{
    uint8_t *byte = &marks_of(conn)[at / MARKS];
    unsigned shift = at % MARKS * MARK_BITS;

    *byte = (uint8_t)((*byte & ~((unsigned)MARK_MASK << shift)) | (unsigned)mark << shift);
}

/* The offset of the first mark; there is one. */
static uint32_t first_mark(const struct vsock_conn *conn)
{
    uint32_t i = 0;

    for (;;) {
        uint32_t at = ring_at(conn, i);

        if (at % MARKS == 0 && marks_of(conn)[at / MARKS] == 0)
            i += MARKS;
        else if (mark_at(conn, at) == MARK_NONE)
            i++;
        else
            return i;
        assert(i < conn->held);
    }
}

/* --- from the guest --- */

static int write_message(const struct vsock_conn *conn, const struct iovec *iov, int count)
{
    ssize_t moved = stream_writev(&conn->stream, iov, count);

    return moved < 0 ? (int)moved : 0;
}

int message_flush(struct vsock_conn *conn, uint32_t *written)
{
    *written = 0;
    while (conn->whole > 0) {
        uint32_t last = first_mark(conn), at = ring_at(conn, last);
        bool empty = mark_at(conn, at) == MARK_EMPTY;
        uint32_t len = empty ? 0 : last + 1;
        struct iovec iov[2];
        int result = write_message(conn, iov, buffer_pieces(conn, 0, len, iov));

        if (result != 0)
            return result;
        set_mark(conn, at, MARK_NONE);
        conn->whole--;
        conn->empties -= empty;
        *written += len;
        buffer_consume(conn, last + 1);
    }
    return 0;
}

/* What is held of it ends here. */
static void end_message(struct vsock_conn *conn)
{
    set_mark(conn, ring_at(conn, conn->held - 1), MARK_END);
    conn->part = 0;
    conn->whole++;
}

static int hold_empty(struct vsock_conn *conn)
{
    if (conn->empties == VSOCK_EMPTY_MOST)
        return -EOVERFLOW;
    set_mark(conn, ring_at(conn, conn->held), MARK_EMPTY);
    conn->held++;
    conn->empties++;
    conn->whole++;
    return 0;
}

static int hold(struct vsock_conn *conn, struct vq_request *req, uint32_t len, bool last)
{
    if (last && len == 0 && conn->part == 0)
        return hold_empty(conn);
    if (len > 0)
        buffer_put(conn, req, len);
    conn->part += len;
    if (last)
        end_message(conn);
    return 0;
}

static int send_at_once(struct vsock_conn *conn, struct vq_request *req, uint32_t len)
{
    struct iovec nothing = {.iov_base = req};
    ssize_t moved = len > 0 ? vq_read_to_fd(req, &conn->stream, len)
                            : stream_writev(&conn->stream, &nothing, 1);

    return moved < 0 ? (int)moved : 0;
}

/* What has waited for its end only, not for the host. */
static int flush_waiting(struct vsock_conn *conn)
{
    uint32_t written;
    int result = message_flush(conn, &written);

    conn_forwarded(conn, written);
    return result == -EAGAIN ? 0 : result;
}

int message_take(struct vsock_conn *conn, struct vq_request *req, uint32_t len, bool last)
{
    bool at_once = last && conn->held == 0;
    bool waited = last && conn->held > 0 && conn->whole == 0;
    int result = -EAGAIN;

    if (!conn->writes)
        result = -EPIPE;
    else if (at_once)
        result = send_at_once(conn, req, len);
    if (result != -EAGAIN) {
        conn_forwarded(conn, len);
        return result;
    }
    result = hold(conn, req, len, last);
    if (result == 0 && waited)
        result = flush_waiting(conn);
    return result != 0 ? result : -conn_watch(conn);
}

void message_drop_part(struct vsock_conn *conn)
{
    uint32_t part = conn->part;

    conn->part = 0;
    if (part == 0)
        return;
    if (part == conn->held)
        buffer_drop(conn);
    else
        conn->held -= part;
    conn_forwarded(conn, part);
}

/* --- to the guest --- */

static ssize_t receive(const struct vsock_conn *conn, struct iovec *iov, int flags)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = iov != NULL};
    ssize_t got = recvmsg(conn->stream.fd, &msg, flags | MSG_TRUNC | MSG_DONTWAIT);

    if (got < 0)
        return -errno;
    return got > 0 || msg.msg_flags & MSG_CTRUNC ? got : -ENODATA;
}

ssize_t message_next(const struct vsock_conn *conn)
{
    return receive(conn, NULL, MSG_PEEK);
}

ssize_t message_read(const struct vsock_conn *conn, struct vq_request *req, uint32_t len)
{
    return len > 0 ? vq_write_from_fd(req, &conn->stream, len) : receive(conn, NULL, 0);
}

ssize_t message_stage(struct vsock_conn *conn, uint32_t len)
{
    struct vsock_stage *stage = &conn->vsock->stage;
    struct iovec iov = {.iov_base = stage->bytes, .iov_len = len};
    ssize_t got;

    assert(stage->conn == NULL && len <= VSOCK_MESSAGE_MOST);
    got = receive(conn, &iov, 0);
    if (got < 0)
        return got;
    stage->conn = conn;
    stage->at = 0;
    stage->len = (uint32_t)got < len ? (uint32_t)got : len;
    return got;
}

void message_unstage(const struct vsock_conn *conn)
{
    if (conn->vsock->stage.conn == conn)
        conn->vsock->stage.conn = NULL;
}
