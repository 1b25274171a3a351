/*
 * Frames from the port to the guest: see net_state.h.
 *
 * All is read into a buffer of our own, and copied from there. A stream gives many small frames
 * with one call that way. From a tap each is a call of its own, and could be read right into the
 * guest's buffers; but nobody knows beforehand how many it takes, so that room for 64 KiB would
 * have to be popped and put back for every small one, and a frame would be in the guest's memory
 * before its header was checked, without a place to wait in if the buffers do not suffice.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include "devices/net_state.h"

struct frame {
    struct virtio_net_header header;
    const uint8_t *data;
    size_t len;
    size_t taken; /* of the buffer */
};

/* --- from the port --- */

enum arrival {
    ARRIVED,
    NOT_YET,
    NO_FRAME, /* bytes that are none: what there was is dropped */
};

static ssize_t read_port(struct net *net)
{
    struct net_rx *rx = &net->rx;
    struct iovec iov = {rx->buffer + rx->end, NET_BUFFER_BYTES - rx->end};
    ssize_t got = stream_readv(&net->port, &iov, 1);

    if (got > 0)
        rx->end += (size_t)got;
    else if (got != -EAGAIN)
        net_link_down(net, got == 0 ? "its peer has gone" : strerror((int)-got));
    return got;
}

/* What is in the buffer is one packet. */
static enum arrival next_of_tap(struct net *net, struct frame *frame)
{
    struct net_rx *rx = &net->rx;

    if (rx->end == 0 && read_port(net) <= 0)
        return NOT_YET;
    frame->taken = rx->end;
    if (rx->end < sizeof(frame->header) + NET_FRAME_MIN ||
        rx->end > sizeof(frame->header) + NET_FRAME_MAX)
        return NO_FRAME;
    memcpy(&frame->header, rx->buffer, sizeof(frame->header));
    frame->data = rx->buffer + sizeof(frame->header);
    frame->len = rx->end - sizeof(frame->header);
    return ARRIVED;
}

/* The length that the stream tells next; 0: not there yet. */
static uint32_t length_told(const struct net_rx *rx)
{
    uint32_t length;

    if (rx->end - rx->start < NET_LENGTH_BYTES)
        return 0;
    memcpy(&length, rx->buffer + rx->start, sizeof(length));
    length = be32toh(length);
    return length >= NET_FRAME_MIN && length <= NET_FRAME_MAX ? length : UINT32_MAX;
}

static bool is_whole(const struct net_rx *rx, uint32_t length)
{
    return length != 0 && rx->end - rx->start - NET_LENGTH_BYTES >= length;
}

/* Behind what is there, the largest frame has a place. */
static void make_room(struct net_rx *rx)
{
    if (rx->start <= NET_BUFFER_BYTES - NET_REST_BYTES && rx->start < rx->end)
        return;
    memmove(rx->buffer, rx->buffer + rx->start, rx->end - rx->start);
    rx->end -= rx->start;
    rx->start = 0;
}

static enum arrival next_of_stream(struct net *net, struct frame *frame)
{
    struct net_rx *rx = &net->rx;
    uint32_t length = length_told(rx);

    if (length != UINT32_MAX && !is_whole(rx, length)) {
        make_room(rx);
        if (read_port(net) <= 0)
            return NOT_YET;
        length = length_told(rx);
    }
    if (length == UINT32_MAX) {
        net_link_down(net, "its peer sends what is no frame");
        return NOT_YET;
    }
    if (!is_whole(rx, length))
        return NOT_YET;
    *frame = (struct frame){.data = rx->buffer + rx->start + NET_LENGTH_BYTES,
                            .len = length,
                            .taken = NET_LENGTH_BYTES + length};
    return ARRIVED;
}

static void consume(struct net_rx *rx, size_t taken)
{
    assert(taken <= rx->end - rx->start);
    rx->start += taken;
    if (rx->start == rx->end)
        rx->start = rx->end = 0;
}

/* --- to the guest --- */

enum delivery {
    DELIVERED,
    TOO_BIG,
    NO_BUFFERS,
    BROKEN,
};

static enum vq_verdict pop_buffer(struct net *net, struct vq_request *req)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_RX];
    enum vq_verdict verdict = vq_pop(vq, req);

    if (verdict == VQ_BROKEN)
        device_fault(&net->device, "rx: %s", vq->broken);
    if (verdict != VQ_REQUEST || vq_writable(req) >= sizeof(struct virtio_net_header))
        return verdict;
    device_fault(&net->device, "rx: a buffer without room for a header");
    return VQ_BROKEN;
}

/* As much as goes into one more buffer, the first of which begins with the header. */
static size_t fill_buffer(struct net_rx *rx, unsigned number, const uint8_t *data, size_t len)
{
    struct vq_request *req = number == 0 ? &rx->first : &rx->next;

    if (number == 0)
        vq_reserve(req, sizeof(struct virtio_net_header));
    len = len < vq_writable(req) ? len : vq_writable(req);
    vq_write(req, data, len);
    if (number > 0)
        rx->done[number] = vq_set_aside(req);
    return len;
}

/* Fills buffers up to `most`; *count is how many. The first is still a request afterwards. */
static enum delivery fill_buffers(struct net *net, const struct frame *frame, unsigned most,
                                  unsigned *count)
{
    struct net_rx *rx = &net->rx;
    enum vq_verdict verdict;
    size_t done = 0;

    for (*count = 0; done < frame->len; ++*count) {
        if (*count == most)
            return TOO_BIG;
        verdict = pop_buffer(net, *count == 0 ? &rx->first : &rx->next);
        if (verdict != VQ_REQUEST)
            return verdict == VQ_EMPTY ? NO_BUFFERS : BROKEN;
        done += fill_buffer(rx, *count, frame->data + done, frame->len - done);
    }
    return DELIVERED;
}

/* Whole, or nothing of it. If buffers are missing, as many as there are in *there. */
static enum delivery deliver(struct net *net, struct frame *frame, unsigned *there)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_RX];
    struct net_rx *rx = &net->rx;
    const bool mergeable = net_accepted(net, VIRTIO_NET_F_MRG_RXBUF);
    /* All that a queue can have: waiting for more would be for ever. */
    enum delivery result = fill_buffers(net, frame, mergeable ? vq->state.size : 1, there);

    if (result == DELIVERED) {
        frame->header.buffers = (uint16_t)*there;
        vq_fill(&rx->first, 0, &frame->header, sizeof(frame->header));
    }
    if (*there > 0)
        rx->done[0] = vq_set_aside(&rx->first);
    if (result == DELIVERED)
        vq_complete_together(vq, rx->done, *there);
    else
        vq_unpop_together(vq, rx->done, *there);
    return result;
}

/* --- turns --- */

static bool may_receive(struct net *net, const struct net_turn *turn)
{
    if (net->rx.starved || net->port.fd < 0 || !virtio_active(&net->device))
        return false;
    return !net_turn_is_over(net, turn) && !net_has_to_wait(net, &net->rx.flow);
}

static void drop(struct net *net, struct net_turn *turn, const struct frame *frame)
{
    net_moved(&net->rx.flow, turn, frame->taken);
    net_drop(net, &net->rx.flow, 0);
    consume(&net->rx, frame->taken);
}

static void pass_on(struct net *net, struct net_turn *turn, struct frame *frame)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_RX];
    unsigned there = 0;
    enum delivery result = deliver(net, frame, &there);

    if (result == TOO_BIG) {
        drop(net, turn, frame);
    } else if (result == DELIVERED) {
        net_moved(&net->rx.flow, turn, frame->len);
        consume(&net->rx, frame->taken);
    } else if (result == NO_BUFFERS) {
        net->rx.starved = !vq_want_kick_beyond(vq, (uint16_t)there);
    }
}

/* A VLAN's tag is not the packet's, and no other four bytes are a tag. */
static size_t ethernet_bytes(const struct frame *frame)
{
    uint16_t type;

    memcpy(&type, frame->data + 2 * VIRTIO_NET_MAC_BYTES, sizeof(type));
    type = be16toh(type);
    return type == ETH_P_8021Q || type == ETH_P_8021AD ? NET_TAGGED_BYTES : NET_FRAME_MIN;
}

/* 5.1.4.1 */
static bool exceeds_mtu(const struct net *net, const struct frame *frame)
{
    return net_accepted(net, VIRTIO_NET_F_MTU) &&
           frame->header.gso_type == VIRTIO_NET_HDR_GSO_NONE &&
           frame->len > net->mtu + ethernet_bytes(frame);
}

static bool is_for_guest(const struct net *net, struct frame *frame)
{
    return net_header_check(&frame->header, frame->len, net->rx.flow.offloads) &&
           !exceeds_mtu(net, frame);
}

/* False: nothing more for now. */
static bool take_one(struct net *net, struct net_turn *turn)
{
    struct frame frame = {0};
    enum arrival arrival =
        net->kind == NET_TAP ? next_of_tap(net, &frame) : next_of_stream(net, &frame);

    if (arrival == NOT_YET)
        return false;
    if (arrival == NO_FRAME || !is_for_guest(net, &frame))
        drop(net, turn, &frame);
    else
        pass_on(net, turn, &frame);
    return true;
}

void net_rx_work(struct net *net)
{
    struct net_turn turn = {0};

    while (may_receive(net, &turn) && take_one(net, &turn))
        ;
    virtio_signal(&net->device, 1u << VIRTIO_NET_QUEUE_RX);
    net_port_watch(net);
}

void net_rx_buffers_came(struct net *net)
{
    if (!net->rx.starved) /* a hint that was not taken */
        return;
    net->rx.starved = false;
    vq_want_kick(&net->device.queues[VIRTIO_NET_QUEUE_RX], false);
    net_rx_work(net);
}

/* What is in the buffer stays: with the next driver the stream goes on where it is. */
void net_rx_reset(struct net *net)
{
    loop_timer_cancel(net->loop, &net->rx.flow.due);
    net->rx.starved = false;
    net->rx.flow.offloads = 0;
}
