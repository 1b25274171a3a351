/*
 * Packets from the guest: see vsock_state.h. The header is copied once and checked; data goes from
 * the guest's memory to the host at once as far as the host takes it.
 *
 * A packet that makes no sense for its connection resets that connection; one whose length lies
 * about its chain breaks the device.
 */
#include "devices/vsock_state.h"

#include <errno.h>

#include "abi/platform.h"

enum { PACKETS_PER_TURN = 256 };

static struct virtqueue *tx_queue(struct vsock *vsock)
{
    return &vsock->device.queues[VIRTIO_VSOCK_QUEUE_TX];
}

static bool knows_type(const struct vsock *vsock, uint16_t type)
{
    return type == VIRTIO_VSOCK_TYPE_STREAM ||
           (type == VIRTIO_VSOCK_TYPE_SEQPACKET && vsock_has_messages(vsock));
}

static enum vsock_kind kind_of(const struct virtio_vsock_hdr *hdr)
{
    return hdr->type == VIRTIO_VSOCK_TYPE_SEQPACKET ? VSOCK_MESSAGES : VSOCK_BYTES;
}

/* Answers with RST without a connection. There is room: packets are not taken when there is not. */
static void refuse(struct vsock *vsock, const struct virtio_vsock_hdr *hdr)
{
    unsigned at = (vsock->refusal_head + vsock->refusals) % VSOCK_REFUSALS;

    if (hdr->op == VIRTIO_VSOCK_OP_RST)
        return;
    vsock->refusal[at] = (struct vsock_refusal){
        .cid = hdr->dst_cid,
        .host_port = hdr->dst_port,
        .guest_port = hdr->src_port,
        .type = knows_type(vsock, hdr->type) ? hdr->type : VIRTIO_VSOCK_TYPE_STREAM};
    vsock->refusals++;
}

/* --- connections the guest asks for --- */

static struct vsock_conn *connect_stdio(struct vsock *vsock, uint32_t port, enum vsock_kind kind)
{
    int number = (int)(port - SAMARA_STDIO_PORT);
    bool there = vsock->stdio[number].fd >= 0 && kind == VSOCK_BYTES;

    return there ? conn_new_stdio(vsock, number) : NULL;
}

static bool is_stdio(uint32_t port)
{
    return port - SAMARA_STDIO_PORT < VSOCK_STDIO; /* wraps for those below */
}

static void connect_to_host(struct vsock *vsock, const struct virtio_vsock_hdr *hdr)
{
    enum vsock_kind kind = kind_of(hdr);
    struct vsock_conn *conn = is_stdio(hdr->dst_port) ? connect_stdio(vsock, hdr->dst_port, kind)
                                                      : host_connect(vsock, kind);

    if (conn == NULL) {
        refuse(vsock, hdr);
        return;
    }
    conn->peer_alloc = hdr->buf_alloc;
    conn_name(conn, hdr->dst_port, hdr->src_port);
    if (conn->state == CONN_CONNECTING)
        host_dial(conn);
    else
        conn_respond(conn);
}

/* --- operations on a connection; false resets it --- */

/* As much as possible straight to the host. Returns 0, -EAGAIN, or why no more can be written. */
static int write_directly(struct vsock_conn *conn, struct vq_request *req, uint32_t *len)
{
    ssize_t moved;

    while (*len > 0) {
        moved = vq_read_to_fd(req, &conn->stream, *len);
        if (moved <= 0)
            return moved < 0 ? (int)moved : -EAGAIN;
        *len -= (uint32_t)moved;
        conn_forwarded(conn, (uint32_t)moved);
    }
    return 0;
}

static void take_bytes(struct vsock_conn *conn, struct vq_request *req, uint32_t len)
{
    int result = -EAGAIN;

    if (!conn->writes)
        result = -EPIPE;
    else if (conn->held == 0)
        result = write_directly(conn, req, &len);
    if (result == -EAGAIN && len > 0) {
        buffer_put(conn, req, len);
        result = conn_watch(conn);
        if (result != 0)
            conn_end_write(conn, result);
    } else if (result != 0 && len > 0) {
        conn_forwarded(conn, len);
        conn_end_write(conn, -result);
    }
}

/* False: more empty ones than are kept. A sender may wait for credit in the middle of a message, of
 * which nothing can be forwarded meanwhile: so it hears of what was forwarded before. */
static bool take_part(struct vsock_conn *conn, struct vq_request *req, uint32_t len, bool last)
{
    int result = message_take(conn, req, len, last);

    if (result == -EOVERFLOW)
        return false;
    if (result != 0)
        conn_end_write(conn, -result);
    conn_forwarded(conn, 0);
    return true;
}

static bool op_rw(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
                  struct vq_request *req)
{
    uint32_t len = hdr->len;

    if (conn->state != CONN_OPEN || conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND ||
        len > conn_allowance(conn))
        return false;
    conn->received += len;
    if (conn->kind == VSOCK_MESSAGES)
        return take_part(conn, req, len, hdr->flags & VIRTIO_VSOCK_SEQ_EOM);
    take_bytes(conn, req, len);
    return true;
}

static bool op_request(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
                       struct vq_request *req)
{
    (void)conn;
    (void)hdr;
    (void)req;
    return false; /* there is a connection already */
}

static bool op_response(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
                        struct vq_request *req)
{
    (void)hdr;
    (void)req;
    if (conn->state != CONN_REQUESTED || !host_accepted(conn))
        return false;
    conn_open(conn);
    return true;
}

static bool op_rst(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
                   struct vq_request *req)
{
    (void)hdr;
    (void)req;
    conn_abandon(conn);
    return true;
}

static bool op_shutdown(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
                        struct vq_request *req)
{
    (void)req;
    if (conn->state != CONN_OPEN)
        return false;
    conn_guest_shutdown(conn, hdr->flags);
    return true;
}

static bool op_credit_update(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
                             struct vq_request *req)
{
    (void)conn;
    (void)hdr;
    (void)req;
    return true; /* the header says it all */
}

static bool op_credit_request(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
                              struct vq_request *req)
{
    (void)hdr;
    (void)req;
    if (conn->state == CONN_OPEN)
        conn_post(conn, PENDING_CREDIT);
    return conn->state == CONN_OPEN;
}

static bool (*const ops[])(struct vsock_conn *, const struct virtio_vsock_hdr *,
                           struct vq_request *) = {
    [VIRTIO_VSOCK_OP_REQUEST] = op_request,
    [VIRTIO_VSOCK_OP_RESPONSE] = op_response,
    [VIRTIO_VSOCK_OP_RST] = op_rst,
    [VIRTIO_VSOCK_OP_SHUTDOWN] = op_shutdown,
    [VIRTIO_VSOCK_OP_RW] = op_rw,
    [VIRTIO_VSOCK_OP_CREDIT_UPDATE] = op_credit_update,
    [VIRTIO_VSOCK_OP_CREDIT_REQUEST] = op_credit_request,
};

/* --- dispatch --- */

/* Takes the guest's counts from a header. False if it claims to have consumed what was never sent.
 * Going back is no claim: a guest with several CPUs may queue packets out of order. */
static bool take_credit(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr)
{
    uint32_t ahead = hdr->fwd_cnt - conn->peer_forwarded;

    conn->peer_alloc = hdr->buf_alloc;
    if (ahead > UINT32_MAX / 2)
        return true;
    if (ahead > conn->sent - conn->peer_forwarded)
        return false;
    conn->peer_forwarded = hdr->fwd_cnt;
    return true;
}

static void handle_packet(struct vsock *vsock, const struct virtio_vsock_hdr *hdr,
                          struct vq_request *req)
{
    struct vsock_conn *conn;
    bool known_op = hdr->op != 0 && hdr->op < sizeof(ops) / sizeof(ops[0]);

    if (hdr->src_cid != vsock->guest_cid)
        return; /* an answer would have to go to somebody else */
    if (hdr->dst_cid != VSOCK_HOST_CID) {
        refuse(vsock, hdr);
        return;
    }
    conn = conn_find(vsock, hdr->dst_port, hdr->src_port);
    if (conn == NULL) {
        if (knows_type(vsock, hdr->type) && hdr->op == VIRTIO_VSOCK_OP_REQUEST)
            connect_to_host(vsock, hdr);
        else
            refuse(vsock, hdr);
        return;
    }
    if (conn->state == CONN_RESETTING)
        return; /* RST is on its way */
    if (conn->pending & PENDING_REQUEST) {
        refuse(vsock, hdr); /* the ports were a guess: the guest has not been told of them */
        conn_reset(conn);
        return;
    }
    if (!knows_type(vsock, hdr->type) || kind_of(hdr) != conn->kind || !known_op ||
        !take_credit(conn, hdr) || !ops[hdr->op](conn, hdr, req)) {
        conn_reset(conn);
        return;
    }
    if (conn->state == CONN_OPEN)
        conn_schedule(conn); /* there may be credit now */
}

static void say_that_it_spoke(struct vsock *vsock)
{
    void (*spoke)(void *arg) = vsock->spoke;

    vsock->spoke = NULL;
    if (spoke != NULL)
        spoke(vsock->spoke_arg);
}

/* False if the packet broke the device. */
static bool take_packet(struct vsock *vsock, struct vq_request *req)
{
    struct virtio_vsock_hdr hdr;

    if (!vq_read(req, &hdr, sizeof(hdr))) {
        device_fault(&vsock->device, "tx queue: packet shorter than its header");
        return false;
    }
    if (hdr.len > vq_readable(req)) {
        device_fault(&vsock->device, "tx queue: packet longer than its buffers");
        return false;
    }
    handle_packet(vsock, &hdr, req);
    vq_complete(req);
    if (hdr.op == VIRTIO_VSOCK_OP_RW && hdr.len > 0)
        say_that_it_spoke(vsock);
    return true;
}

bool vsock_take_packets(struct vsock *vsock)
{
    struct virtqueue *vq = tx_queue(vsock);
    struct vq_request req;

    for (unsigned i = 0; i < PACKETS_PER_TURN; i++) {
        if (!virtio_active(&vsock->device) || vsock->refusals == VSOCK_REFUSALS)
            return false; /* vsock_work comes back after sending refusals */
        switch (vq_pop(vq, &req)) {
        case VQ_BROKEN:
            device_fault(&vsock->device, "tx queue: %s", vq->broken);
            return false;
        case VQ_EMPTY:
            if (!vq_want_kick(vq, true))
                return false;
            break;
        case VQ_REQUEST:
            if (!take_packet(vsock, &req))
                return false;
        }
    }
    return true;
}
