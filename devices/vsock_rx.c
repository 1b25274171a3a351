/*
 * Packets to the guest: see vsock_state.h. Each turn gives the connections in the ready list one
 * packet each, in order, until the guest's buffers, the list or the turn's budget end. Data is read
 * from the host straight into the guest's buffer behind room left for the header. A message that is
 * under way in several packets goes on before all else.
 */
#include "devices/vsock_state.h"

#include <errno.h>

enum { PACKETS_PER_TURN = 64, BYTES_PER_TURN = 1 << 20 };

static struct virtqueue *rx_queue(struct vsock *vsock)
{
    return &vsock->device.queues[VIRTIO_VSOCK_QUEUE_RX];
}

/* The header of a packet of this connection; telling it is what makes the guest know our counts. */
static struct virtio_vsock_hdr header(struct vsock_conn *conn, uint16_t op, uint32_t len)
{
    conn->told = conn->forwarded;
    return (struct virtio_vsock_hdr){
        .src_cid = VSOCK_HOST_CID,
        .dst_cid = conn->vsock->guest_cid,
        .src_port = conn->host_port,
        .dst_port = conn->guest_port,
        .len = len,
        .type =
            conn->kind == VSOCK_MESSAGES ? VIRTIO_VSOCK_TYPE_SEQPACKET : VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? conn->our_shut : 0,
        .buf_alloc = conn_buf_alloc(conn),
        .fwd_cnt = conn->forwarded,
    };
}

static void send_refusal(struct vsock *vsock, struct vq_request *req)
{
    const struct vsock_refusal *refusal = &vsock->refusal[vsock->refusal_head];
    struct virtio_vsock_hdr hdr = {
        .src_cid = refusal->cid,
        .dst_cid = vsock->guest_cid,
        .src_port = refusal->host_port,
        .dst_port = refusal->guest_port,
        .type = refusal->type,
        .op = VIRTIO_VSOCK_OP_RST,
    };

    vsock->refusal_head = (vsock->refusal_head + 1) % VSOCK_REFUSALS;
    vsock->refusals--;
    vq_fill(req, 0, &hdr, sizeof(hdr));
    vq_complete(req);
}

static const struct {
    unsigned pending;
    uint16_t op;
} control_packets[] = {
    {PENDING_RST, VIRTIO_VSOCK_OP_RST},
    {PENDING_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
    {PENDING_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
    {PENDING_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
    {PENDING_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
};

/* Sends the first of the pending control packets. May free the connection. */
static void send_control(struct vsock_conn *conn, struct vq_request *req)
{
    struct virtio_vsock_hdr hdr;
    unsigned i = 0;

    while (!(conn->pending & control_packets[i].pending))
        i++;
    conn->pending &= ~control_packets[i].pending;
    conn->pending &= ~(unsigned)PENDING_CREDIT; /* every packet tells the credit */
    hdr = header(conn, control_packets[i].op, 0);
    vq_fill(req, 0, &hdr, sizeof(hdr));
    vq_complete(req);
    if (conn->state == CONN_RESETTING)
        conn_free(conn);
}

/* The request has len bytes of data. */
static void complete_data(struct vsock_conn *conn, struct vq_request *req, uint32_t len,
                          uint32_t flags, size_t *budget)
{
    struct virtio_vsock_hdr hdr;

    conn->sent += len;
    conn->pending &= ~(unsigned)PENDING_CREDIT;
    *budget -= len < *budget ? len : *budget;
    hdr = header(conn, VIRTIO_VSOCK_OP_RW, len);
    hdr.flags = flags;
    vq_fill(req, 0, &hdr, sizeof(hdr));
    vq_complete(req);
}

/* There is nothing to read: result is -EAGAIN, 0 or another error, which ends the stream as well.
 */
static void stop_reading(struct vsock_conn *conn, ssize_t result)
{
    if (result == -EAGAIN) {
        conn->readable = false;
        return;
    }
    if (result < 0)
        conn_stdio_failed(conn, (int)-result);
    conn_end_read(conn);
}

/* Reads data from the host into the request and sends it. False if there was none after all. */
static bool send_bytes(struct vsock_conn *conn, struct vq_request *req, size_t *budget)
{
    ssize_t len = vq_write_from_fd(req, &conn->stream, conn_credit(conn));

    if (len > 0)
        complete_data(conn, req, (uint32_t)len, 0, budget);
    else
        stop_reading(conn, len);
    return len > 0;
}

/* --- messages --- */

/* Sends what fits of the one that is staged. */
static void send_part(struct vsock *vsock, struct vq_request *req, size_t *budget)
{
    struct vsock_stage *stage = &vsock->stage;
    struct vsock_conn *conn = stage->conn;
    uint32_t left = stage->len - stage->at;
    uint32_t len = left < vq_writable(req) ? left : (uint32_t)vq_writable(req);

    (void)vq_write(req, stage->bytes + stage->at, len);
    stage->at += len;
    if (len == left)
        stage->conn = NULL;
    complete_data(conn, req, len, len == left ? VIRTIO_VSOCK_SEQ_EOM : 0, budget);
    conn_schedule(conn);
}

/* The guest has room for the next message. False if it was not there after all. */
static bool move_message(struct vsock_conn *conn, struct vq_request *req, uint32_t len,
                         size_t *budget)
{
    bool fits = len <= vq_writable(req);
    ssize_t got = fits ? message_read(conn, req, len) : message_stage(conn, len);

    conn->next = 0;
    if (got < 0)
        stop_reading(conn, got);
    else if (fits)
        complete_data(conn, req, (uint32_t)got, VIRTIO_VSOCK_SEQ_EOM, budget);
    else
        send_part(conn->vsock, req, budget);
    return got >= 0;
}

static bool send_message(struct vsock_conn *conn, struct vq_request *req, size_t *budget)
{
    ssize_t len = message_next(conn);

    if (len < 0) {
        stop_reading(conn, len);
        return false;
    }
    if (len > VSOCK_MESSAGE_MOST || len > conn->peer_alloc) {
        device_log(&conn->vsock->device, "a message of %zd bytes is more than the guest takes",
                   len);
        conn_reset(conn);
        return false;
    }
    conn->next = (uint32_t)len;
    return conn_has_data(conn) && move_message(conn, req, (uint32_t)len, budget);
}

static bool send_data(struct vsock_conn *conn, struct vq_request *req, size_t *budget)
{
    return conn->kind == VSOCK_MESSAGES ? send_message(conn, req, budget)
                                        : send_bytes(conn, req, budget);
}

/* Sends one packet of whoever is first. The request is completed or put back. */
static void send_one(struct vsock *vsock, struct vq_request *req, size_t *budget)
{
    struct vsock_conn *conn = vsock->ready;

    if (vsock->stage.conn != NULL) {
        send_part(vsock, req, budget);
        return;
    }
    if (vsock->refusals > 0) {
        send_refusal(vsock, req);
        return;
    }
    conn_unschedule(conn);
    if (conn->pending != 0) {
        send_control(conn, req);
        if (conn->state == CONN_FREE)
            return;
    } else if (!conn_has_data(conn) || !send_data(conn, req, budget)) {
        vq_unpop(req);
    }
    conn_schedule(conn);
}

static bool is_idle(const struct vsock *vsock)
{
    return vsock->ready == NULL && vsock->refusals == 0 && vsock->stage.conn == NULL;
}

/* Takes a buffer of the guest and leaves room for the header in it. False: none, or a bad one. */
static bool take_buffer(struct vsock *vsock, struct vq_request *req)
{
    struct virtqueue *vq = rx_queue(vsock);
    enum vq_verdict verdict = vq_pop(vq, req);

    if (verdict == VQ_EMPTY && vq_want_kick(vq, true))
        verdict = vq_pop(vq, req);
    if (verdict == VQ_EMPTY)
        return false;
    if (verdict == VQ_BROKEN) {
        device_fault(&vsock->device, "rx queue: %s", vq->broken);
        return false;
    }
    if (vq_readable(req) > 0 || vq_writable(req) <= sizeof(struct virtio_vsock_hdr)) {
        device_fault(&vsock->device, "rx queue: buffer too small or readable");
        return false;
    }
    return vq_reserve(req, sizeof(struct virtio_vsock_hdr));
}

bool vsock_send_packets(struct vsock *vsock)
{
    struct vq_request req;
    size_t bytes = BYTES_PER_TURN;

    if (vsock->guest_gone || is_idle(vsock))
        return false;
    if (rx_queue(vsock)->want_kick)
        vq_want_kick(rx_queue(vsock), false);
    for (unsigned i = 0; i < PACKETS_PER_TURN && bytes > 0; i++) {
        if (is_idle(vsock) || !virtio_active(&vsock->device) || !take_buffer(vsock, &req))
            return false;
        send_one(vsock, &req, &bytes);
    }
    return !is_idle(vsock);
}
