/* Frames from the guest to the port: see net_state.h. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "devices/net_state.h"

/* The port keeps no frame: a network card without memory for it would do the same. */
static bool is_passing(const struct net *net, ssize_t result)
{
    if (net->kind == NET_STREAM)
        return result == -ENOBUFS || result == -ENOMEM;
    return result != -EBADFD && result != -EBADF; /* a tap that was deleted */
}

/* A stream took a part of it. The peer has to get the rest whatever becomes of the guest, so that
 * is no longer the guest's memory. */
static void keep_rest(struct net_tx *tx, const uint8_t *length, size_t sent)
{
    const size_t left = sent < NET_LENGTH_BYTES ? NET_LENGTH_BYTES - sent : 0;
    const size_t data = vq_readable(&tx->req);

    memcpy(tx->rest, length + NET_LENGTH_BYTES - left, left);
    vq_read(&tx->req, tx->rest + left, data);
    tx->rest_at = 0;
    tx->rest_end = left + data;
    tx->blocked = tx->rest_end > 0;
}

static void failed(struct net *net, ssize_t result)
{
    if (is_passing(net, result))
        net_drop(net, &net->tx.flow, (int)result);
    else
        net_link_down(net, strerror((int)-result));
}

/* Both give the header, or length, and the frame to the port in one write, and return what that
 * did. */
static ssize_t to_tap(struct net *net, const struct virtio_net_header *header)
{
    return vq_read_to_fd_behind(&net->tx.req, &net->port, header, sizeof(*header));
}

static ssize_t to_stream(struct net *net)
{
    const uint32_t length = htobe32((uint32_t)vq_readable(&net->tx.req));
    ssize_t sent = vq_read_to_fd_behind(&net->tx.req, &net->port, &length, sizeof(length));

    if (sent > 0)
        keep_rest(&net->tx, (const uint8_t *)&length, (size_t)sent);
    return sent;
}

/* True for a frame that may go out. What is not agreed upon is never passed on. */
static bool understand(struct net *net, struct virtio_net_header *header)
{
    struct vq_request *req = &net->tx.req;
    size_t frame;

    vq_read(req, header, sizeof(*header));
    frame = vq_readable(req);
    header->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM; /* 5.1.6.2.1: the other is the device's */
    return frame >= NET_FRAME_MIN && frame <= NET_FRAME_MAX &&
           net_header_check(header, frame, net->tx.flow.offloads);
}

static void send_one(struct net *net, struct net_turn *turn)
{
    struct virtio_net_header header;
    ssize_t sent;

    if (!understand(net, &header) || net->port.fd < 0) {
        net_moved(&net->tx.flow, turn, 0);
        net_drop(net, &net->tx.flow, 0);
    } else {
        const size_t frame = vq_readable(&net->tx.req);

        sent = net->kind == NET_TAP ? to_tap(net, &header) : to_stream(net);
        net->tx.blocked |= sent == -EAGAIN;
        if (sent == -EAGAIN) {
            vq_unpop(&net->tx.req);
            return;
        }
        net_moved(&net->tx.flow, turn, frame);
        if (sent < 0)
            failed(net, sent);
    }
    vq_complete(&net->tx.req);
}

/* --- turns --- */

static bool may_take(struct net *net, struct virtqueue *vq, const struct net_turn *turn)
{
    if (net->tx.blocked || !virtio_active(&net->device))
        return false;
    if (!vq_pending(vq) && !vq_want_kick(vq, true))
        return false;
    return !net_turn_is_over(net, turn) && !net_has_to_wait(net, &net->tx.flow);
}

void net_tx_work(struct net *net)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_TX];
    struct net_turn turn = {0};

    while (may_take(net, vq, &turn)) {
        if (vq_pop(vq, &net->tx.req) != VQ_REQUEST)
            device_fault(&net->device, "tx: %s", vq->broken);
        else if (vq_readable(&net->tx.req) < sizeof(struct virtio_net_header))
            device_fault(&net->device, "tx: a frame without room for its header");
        else
            send_one(net, &turn);
    }
    virtio_signal(&net->device, 1u << VIRTIO_NET_QUEUE_TX);
    net_port_watch(net);
}

static void send_rest(struct net *net)
{
    struct net_tx *tx = &net->tx;
    struct iovec iov = {tx->rest + tx->rest_at, tx->rest_end - tx->rest_at};
    ssize_t sent = stream_writev(&net->port, &iov, 1);

    if (sent > 0)
        tx->rest_at += (size_t)sent;
    else if (sent != -EAGAIN)
        net_link_down(net, strerror((int)-sent));
}

void net_tx_port_ready(struct net *net)
{
    struct net_tx *tx = &net->tx;

    if (tx->rest_at < tx->rest_end)
        send_rest(net);
    tx->blocked = tx->rest_at < tx->rest_end;
    net_tx_work(net);
}

/* The rest of a frame stays: without it the peer would take the next one for it. */
void net_tx_reset(struct net *net)
{
    loop_timer_cancel(net->loop, &net->tx.flow.due);
    net->tx.blocked = net->tx.rest_at < net->tx.rest_end;
    net->tx.flow.offloads = 0;
}
