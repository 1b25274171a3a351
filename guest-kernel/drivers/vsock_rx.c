/*
 * Receiving. A packet stays in the buffer it came in until it is read; a small one is copied behind
 * the one before, so that a stream's memory stays within a few times its credit.
 */
#include "guest-kernel/drivers/vsock_state.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"

enum { SMALL_PAYLOAD = 512, SMALL_BUFFER = 960 }; /* with its header a size of the heap's */

/* What waits in many streams shall not take a whole buffer in each. */
static struct vsock_buffer *in_small(struct vsock_buffer *b)
{
    struct vsock_buffer *small = vsockq_small_buffer(SMALL_BUFFER);

    if (small == NULL)
        return b;
    memcpy(small->data, b->data, b->end);
    small->end = b->end;
    vsockq_recycle(b);
    return small;
}

void stream_append(struct vsock_stream *s, struct vsock_buffer *b)
{
    if (s->last != NULL)
        s->last->next = b;
    else
        s->first = b;
    s->last = b;
}

/* Keeps the payload: copied behind what waits already if it is small, in a small buffer if it is
 * the first, else by keeping the buffer. */
static void keep(struct vsock_stream *s, struct vsock_buffer *b)
{
    u32 len = b->end;

    s->waiting += len;
    if (s->last != NULL && len <= vsockq_buffer_size() / 4 && len <= s->last->room - s->last->end) {
        memcpy(s->last->data + s->last->end, b->data, len);
        s->last->end += len;
        vsockq_recycle(b);
        return;
    }
    if (s->last == NULL && len <= SMALL_PAYLOAD)
        b = in_small(b);
    stream_append(s, b);
}

/* Takes the buffer. False: the peer broke the rules. */
static bool take_data(struct vsock_stream *s, struct vsock_buffer *b, u32 flags)
{
    u32 len = b->end;
    bool ends = s->kind == VSOCK_MESSAGES && flags & VIRTIO_VSOCK_SEQ_EOM;
    bool allowed = s->state == ESTABLISHED && !(s->shut_peer & VSOCK_SHUT_SEND) &&
                   len <= s->credit - s->waiting;

    if (!allowed || (len == 0 && !ends) || (s->shut_own & VSOCK_SHUT_RECEIVE)) {
        vsockq_recycle(b);
        if (allowed)
            s->consumed += len;
        return allowed;
    }
    if (s->kind == VSOCK_MESSAGES)
        return message_keep(s, b, flags);
    keep(s, b);
    file_wake(&s->wait);
    return true;
}

static void take_request(u32 local_port, u32 peer_port, enum vsock_kind kind)
{
    struct vsock_listener *l = listener_find(local_port);
    struct vsock_stream *s = NULL;

    if (l != NULL && l->kind == kind && l->count <= l->backlog)
        s = stream_new(local_port, peer_port, kind, ESTABLISHED);
    if (s == NULL) {
        vsock_send_reset(local_port, peer_port, kind);
        return;
    }
    s->listener = l;
    if (l->last != NULL)
        l->last->accept_next = s;
    else
        l->first = s;
    l->last = s;
    l->count++;
    stream_owe(s, OWED_RESPONSE);
    file_wake(&l->wait);
}

static void take_credit(struct vsock_stream *s, const struct virtio_vsock_hdr *h)
{
    /* Credit that is not enough for a message is not asked for again until it has changed. */
    if (s->kind == VSOCK_BYTES || h->buf_alloc != s->peer_credit || h->fwd_cnt != s->peer_consumed)
        s->asked = false;
    s->peer_credit = h->buf_alloc;
    s->peer_consumed = h->fwd_cnt;
}

static void take_shutdown(struct vsock_stream *s, u32 flags)
{
    s->shut_peer |= flags & (VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND);
    if (s->shut_peer == (VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND)) {
        vsock_send_reset(s->local_port, s->peer_port, s->kind);
        stream_reset(s);
        return;
    }
    file_wake(&s->wait);
}

static bool take_response(struct vsock_stream *s)
{
    if (s->state != CONNECTING)
        return false;
    s->state = ESTABLISHED;
    file_wake(&s->wait);
    return true;
}

/* A packet for a stream. Takes the buffer. False: reset the stream. */
static bool take_for_stream(struct vsock_stream *s, const struct virtio_vsock_hdr *h,
                            struct vsock_buffer *b)
{
    take_credit(s, h);
    if (h->op == VIRTIO_VSOCK_OP_RW)
        return take_data(s, b, h->flags);
    vsockq_recycle(b);
    switch (h->op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        return take_response(s);
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        take_shutdown(s, h->flags);
        return true;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        file_wake(&s->wait);
        return true;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        stream_owe(s, OWED_CREDIT);
        return true;
    default:
        return false;
    }
}

static bool knows_type(u16 type)
{
    return type == VIRTIO_VSOCK_TYPE_STREAM ||
           (type == VIRTIO_VSOCK_TYPE_SEQPACKET && vsockq_has_messages());
}

static enum vsock_kind kind_of(u16 type)
{
    return type != VIRTIO_VSOCK_TYPE_STREAM && knows_type(type) ? VSOCK_MESSAGES : VSOCK_BYTES;
}

/* A packet for nobody there is. */
static void take_for_nobody(const struct virtio_vsock_hdr *h)
{
    enum vsock_kind kind = kind_of(h->type);

    if (h->op == VIRTIO_VSOCK_OP_REQUEST && knows_type(h->type) && h->src_cid == VSOCK_CID_HOST)
        take_request(h->dst_port, h->src_port, kind);
    else if (h->op != VIRTIO_VSOCK_OP_RST)
        vsock_send_reset(h->dst_port, h->src_port, kind);
}

static void take_packet(const struct virtio_vsock_hdr *h, struct vsock_buffer *b)
{
    struct vsock_stream *s = NULL;

    if (h->src_cid == VSOCK_CID_HOST && h->dst_cid == vsock.cid && knows_type(h->type))
        s = stream_find(h->dst_port, h->src_port);
    if (s == NULL) {
        vsockq_recycle(b);
        take_for_nobody(h);
    } else if (h->op == VIRTIO_VSOCK_OP_RST || s->kind != kind_of(h->type)) {
        vsockq_recycle(b);
        if (h->op != VIRTIO_VSOCK_OP_RST)
            vsock_send_reset(h->dst_port, h->src_port, s->kind);
        stream_reset(s);
    } else if (!take_for_stream(s, h, b)) {
        vsock_send_reset(h->dst_port, h->src_port, s->kind);
        stream_reset(s);
    }
}

bool vsock_take_packets(void)
{
    struct virtio_vsock_hdr header;
    struct vsock_buffer *b;
    bool any = false;

    while ((b = vsockq_receive(&header)) != NULL) {
        take_packet(&header, b);
        any = true;
    }
    return any;
}

void stream_drop_first(struct vsock_stream *s)
{
    struct vsock_buffer *b = s->first;

    s->first = b->next;
    if (s->first == NULL)
        s->last = NULL;
    vsockq_recycle(b);
}

static size_t take_out(struct vsock_stream *s, u8 *to, size_t len)
{
    size_t done = 0;

    while (s->first != NULL && done < len) {
        struct vsock_buffer *b = s->first;
        u32 n = (u32)MIN(len - done, (size_t)(b->end - b->start));

        memcpy(to + done, b->data + b->start, n);
        done += n;
        b->start += n;
        s->waiting -= n;
        s->consumed += n;
        if (b->start == b->end)
            stream_drop_first(s);
    }
    return done;
}

static size_t copy_out(const struct vsock_stream *s, size_t skip, u8 *to, size_t len)
{
    size_t done = 0;

    for (const struct vsock_buffer *b = s->first; b != NULL && done < len; b = b->next) {
        size_t there = b->end - b->start;
        size_t n = skip < there ? MIN(len - done, there - skip) : 0;

        memcpy(to + done, b->data + b->start + skip, n);
        done += n;
        skip = n > 0 ? 0 : skip - there;
    }
    return done;
}

/* A stream read that fast gets more; a message is bounded by what there is. */
void stream_renew_credit(struct vsock_stream *s)
{
    if (s->state != ESTABLISHED || s->consumed - s->consumed_told < s->credit / 2)
        return;
    if (s->credit < CREDIT_MOST && s->kind == VSOCK_BYTES)
        s->credit *= 2;
    stream_owe(s, OWED_CREDIT);
    vsockq_kick_send();
}

bool stream_has_data(const struct vsock_stream *s)
{
    return s->kind == VSOCK_MESSAGES ? s->whole > 0 : s->waiting > 0;
}

bool stream_receive_ended(const struct vsock_stream *s)
{
    return s->state == RESET || (s->shut_own & VSOCK_SHUT_RECEIVE) ||
           (s->shut_peer & VSOCK_SHUT_SEND);
}

/* More than `skip` bytes are waiting: 1, or what a receive then answers. */
static int expect_data(struct vsock_stream *s, size_t skip)
{
    if (s->waiting <= skip)
        vsock_take_packets();
    if (s->waiting <= skip && !stream_receive_ended(s))
        vsock_arm();
    if (s->waiting > skip)
        return 1;
    return stream_receive_ended(s) ? 0 : -EAGAIN;
}

long vsock_peek(struct vsock_stream *s, size_t skip, void *to, size_t len)
{
    int there = expect_data(s, skip);

    return there <= 0 ? there : (long)copy_out(s, skip, to, len);
}

long vsock_receive(struct vsock_stream *s, void *to, size_t len)
{
    int there = expect_data(s, 0);
    size_t n;

    if (there <= 0)
        return there;
    n = take_out(s, to, len);
    stream_renew_credit(s);
    vsockq_offer(false);
    return (long)n;
}

size_t vsock_readable(struct vsock_stream *s)
{
    vsock_take_packets();
    return s->waiting;
}
