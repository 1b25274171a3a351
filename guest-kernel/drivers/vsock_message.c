/*
 * Messages. A received one waits in the buffers of its packets, of which the last says that it
 * ends; what is small is copied to a buffer of its size. A message is sent when there is credit and
 * room in the ring for all of it: nothing of it is left to be sent later.
 *
 * The credit we give is twice a message's bound and is renewed once half of it is used up, so that
 * after everything was read there is always room for a whole one.
 */
#include "guest-kernel/drivers/vsock_state.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"

enum { EMPTY_MOST = 1 << 10 }; /* which no credit bounds */

/* --- receiving --- */

static struct vsock_buffer *fitting(struct vsock_buffer *b)
{
    struct vsock_buffer *small =
        b->end <= vsockq_buffer_size() / 4 ? vsockq_small_buffer(b->end) : NULL;

    if (small == NULL)
        return b;
    memcpy(small->data, b->data, b->end);
    small->end = b->end;
    vsockq_recycle(b);
    return small;
}

bool message_keep(struct vsock_stream *s, struct vsock_buffer *b, u32 flags)
{
    bool ends = flags & VIRTIO_VSOCK_SEQ_EOM;

    if (b->end == 0 && s->empties == EMPTY_MOST) {
        vsockq_recycle(b);
        return false;
    }
    s->empties += b->end == 0;
    s->waiting += b->end;
    b = fitting(b);
    b->flags = flags;
    stream_append(s, b);
    s->whole += ends;
    if (ends)
        file_wake(&s->wait);
    else if (s->consumed != s->consumed_told)
        stream_owe(s, OWED_CREDIT); /* the sender may wait for some in mid message */
    return true;
}

static int expect_message(struct vsock_stream *s)
{
    if (s->whole == 0)
        vsock_take_packets();
    if (s->whole == 0 && !stream_receive_ended(s))
        vsock_arm();
    if (s->whole > 0)
        return 1;
    return stream_receive_ended(s) ? 0 : -EAGAIN;
}

static bool is_last(const struct vsock_buffer *b)
{
    return b->flags & VIRTIO_VSOCK_SEQ_EOM;
}

static size_t copy_message(const struct vsock_stream *s, u8 *to, size_t len,
                           struct vsock_message *about)
{
    const struct vsock_buffer *b = s->first;
    size_t done = 0;

    for (;; b = b->next) {
        size_t n = MIN(len - done, (size_t)b->end);

        memcpy(to + done, b->data, n);
        done += n;
        about->whole += b->end;
        if (is_last(b))
            break;
    }
    about->record = b->flags & VIRTIO_VSOCK_SEQ_EOR;
    return done;
}

static void drop_message(struct vsock_stream *s)
{
    bool last;

    do {
        u32 len = s->first->end;

        last = is_last(s->first);
        s->empties -= len == 0;
        s->waiting -= len;
        s->consumed += len;
        stream_drop_first(s);
    } while (!last);
    s->whole--;
}

long vsock_receive_message(struct vsock_stream *s, void *to, size_t len, bool stays,
                           struct vsock_message *about)
{
    int there = expect_message(s);
    size_t n;

    *about = (struct vsock_message){.whole = 0};
    if (there <= 0)
        return there;
    n = copy_message(s, to, len, about);
    if (!stays) {
        drop_message(s);
        stream_renew_credit(s);
        vsockq_offer(false);
    }
    return (long)n;
}

/* --- sending --- */

/* 0: there is room for all of it. */
static int check_room(struct vsock_stream *s, size_t len)
{
    if (stream_send_ended(s))
        return -EPIPE;
    if (len > s->peer_credit)
        return -EMSGSIZE;
    s->wanted = (u32)len;
    if (!stream_has_room(s))
        return stream_send_credit(s) >= len && vsockq_all_sent() ? -ENOBUFS : -EAGAIN;
    s->wanted = 0;
    return 0;
}

static void send_parts(struct vsock_stream *s, const u8 *from, size_t len, bool record)
{
    const u32 end = VIRTIO_VSOCK_SEQ_EOM | (record ? VIRTIO_VSOCK_SEQ_EOR : 0u);

    while (len > 0) {
        u32 n = (u32)MIN(len, (size_t)vsockq_buffer_size());

        stream_send_packet(s, VIRTIO_VSOCK_OP_RW, n == len ? end : 0, from, n);
        s->sent += n;
        from += n;
        len -= n;
    }
    vsock_flush();
}

long vsock_send_message(struct vsock_stream *s, const void *from, size_t len, bool record)
{
    int err;

    vsock_take_packets();
    if (len == 0)
        return stream_send_ended(s) ? -EPIPE : 0;
    err = check_room(s, len);
    if (err == -EAGAIN) {
        stream_expect_room(s);
        err = check_room(s, len);
    }
    if (err != 0)
        return err;
    send_parts(s, from, len, record);
    return (long)len;
}
