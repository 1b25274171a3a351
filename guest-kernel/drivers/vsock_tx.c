/*
 * Sending. Data goes as far as the peer's credit and the pool of buffers allow; control packets
 * that find no room are remembered in `owed` and sent when there is.
 *
 * What is long is not copied: the device reads the program's own memory while it is kicked. Should
 * it have left some for later, we wait for it, since the program may change what it has sent.
 */
#include "guest-kernel/drivers/vsock_state.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"

enum { IN_PLACE_LEAST = 8 << 10, PRESSES = 1000 /* some ten ms, if nothing else is to be done */ };

static struct virtio_vsock_hdr header_of(const struct vsock_stream *s, u16 op, u32 flags, u32 len)
{
    return (struct virtio_vsock_hdr){
        .src_cid = vsock.cid,
        .dst_cid = VSOCK_CID_HOST,
        .src_port = s->local_port,
        .dst_port = s->peer_port,
        .len = len,
        .type = s->kind == VSOCK_MESSAGES ? VIRTIO_VSOCK_TYPE_SEQPACKET : VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .flags = flags,
        .buf_alloc = s->credit,
        .fwd_cnt = s->consumed,
    };
}

bool stream_send_packet(struct vsock_stream *s, u16 op, u32 flags, const void *data, u32 len)
{
    const struct virtio_vsock_hdr header = header_of(s, op, flags, len);

    if (!vsockq_send(&header, data))
        return false;
    s->consumed_told = s->consumed;
    return true;
}

void vsock_send_reset(u32 local_port, u32 peer_port, enum vsock_kind kind)
{
    struct vsock_stream nobody = {.local_port = local_port, .peer_port = peer_port, .kind = kind};

    stream_send_packet(&nobody, VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
}

static const struct {
    u8 owed;
    u16 op;
} control[] = {
    {OWED_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
    {OWED_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
    {OWED_ASK, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
    {OWED_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
};

static void pay(struct vsock_stream *s)
{
    for (unsigned i = 0; i < ARRAY_LEN(control) && s->owed != 0; i++) {
        u32 flags = control[i].owed == OWED_SHUTDOWN ? s->shut_own : 0;

        if (!(s->owed & control[i].owed))
            continue;
        if (!stream_send_packet(s, control[i].op, flags, NULL, 0)) {
            vsock.owing = true;
            return;
        }
        s->owed &= (u8)~control[i].owed;
    }
}

void stream_owe(struct vsock_stream *s, u8 what)
{
    s->owed |= what;
    pay(s);
}

void vsock_pay_all(void)
{
    if (!vsock.owing)
        return;
    vsock.owing = false;
    for (struct vsock_stream *s = vsock.streams; s != NULL && !vsock.owing; s = s->next)
        pay(s);
}

void vsock_room_came(void)
{
    for (struct vsock_stream *s = vsock.streams; s != NULL && vsock.stalled; s = s->next) {
        if (!s->stalled)
            continue;
        s->stalled = false;
        file_wake(&s->wait);
    }
    vsock.stalled = false;
}

bool stream_send_ended(const struct vsock_stream *s)
{
    return s->state == RESET || (s->shut_own & VSOCK_SHUT_SEND) ||
           (s->shut_peer & VSOCK_SHUT_RECEIVE);
}

u32 stream_send_credit(const struct vsock_stream *s)
{
    u32 under_way = s->sent - s->peer_consumed;

    return under_way < s->peer_credit ? s->peer_credit - under_way : 0;
}

/* What is left over may wait for buffers that we have to give the device first. */
static void await_taken(void)
{
    vsock_flush();
    for (unsigned i = 0; !vsockq_is_taken(); i++) {
        if (i == PRESSES)
            vsockq_give_up();
        vsockq_press();
        vsock_flush();
    }
}

/* Sends the first bytes without a copy, as far as credit goes. How many: 0 if that is not worth it,
 * or cannot be. */
static size_t send_in_place(struct vsock_stream *s, const u8 *from, size_t len)
{
    u32 n = (u32)MIN((size_t)MIN(stream_send_credit(s), vsockq_in_place_most()), len);
    const struct virtio_vsock_hdr header = header_of(s, VIRTIO_VSOCK_OP_RW, 0, n);

    if (n < IN_PLACE_LEAST || vsock.ending || !vsockq_send_in_place(&header, from))
        return 0;
    s->consumed_told = s->consumed;
    s->sent += n;
    await_taken();
    return n;
}

static size_t send_copy(struct vsock_stream *s, const u8 *from, size_t len)
{
    u32 n = (u32)MIN((size_t)MIN(stream_send_credit(s), vsockq_buffer_size()), len);

    if (n == 0 || !stream_send_packet(s, VIRTIO_VSOCK_OP_RW, 0, from, n))
        return 0;
    s->sent += n;
    return n;
}

/* Fills the ring as far as credit and pool go. */
static size_t send_some(struct vsock_stream *s, const u8 *from, size_t len)
{
    size_t done = 0;

    while (done < len && s->state == ESTABLISHED && !stream_send_ended(s)) {
        size_t moved = send_in_place(s, from + done, len - done);

        if (moved == 0)
            moved = send_copy(s, from + done, len - done);
        if (moved == 0)
            break;
        done += moved;
    }
    return done;
}

static bool has_credit(const struct vsock_stream *s)
{
    return stream_send_credit(s) >= MAX(s->wanted, 1u);
}

/* A message takes as many packets as it fills. */
static bool has_slots(const struct vsock_stream *s)
{
    u32 size = vsockq_buffer_size();

    return vsockq_can_send((MAX(s->wanted, 1u) + size - 1) / size);
}

bool stream_has_room(const struct vsock_stream *s)
{
    return s->state == ESTABLISHED && has_credit(s) && has_slots(s);
}

void stream_expect_room(struct vsock_stream *s)
{
    if (s->state == ESTABLISHED && !has_credit(s) && !s->asked) {
        s->asked = true;
        stream_owe(s, OWED_ASK);
    }
    vsock_arm();
    if (!has_slots(s)) {
        s->stalled = vsock.stalled = true;
        if (vsockq_arm_send() && vsockq_reclaim())
            vsock_room_came();
    }
}

long vsock_send(struct vsock_stream *s, const void *from, size_t len)
{
    size_t done = 0, n;

    vsock_take_packets();
    do {
        n = send_some(s, (const u8 *)from + done, len - done);
        done += n;
        vsock_flush();
    } while (n > 0 && done < len);
    if (done == 0 && !stream_send_ended(s)) {
        stream_expect_room(s);
        done = send_some(s, from, len);
        if (done > 0)
            vsock_flush();
    }
    if (done > 0)
        return (long)done;
    return stream_send_ended(s) ? -EPIPE : -EAGAIN;
}
