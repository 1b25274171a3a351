/*
 * Streams as their users see them, and the device's interrupt.
 *
 * Interrupts are wanted only while somebody may be waiting: whoever returns -EAGAIN arms them, the
 * handler arms them again while there are waiters or listeners. A program that reads as fast as
 * data comes is never interrupted.
 */
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/drivers/vsock_state.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"

struct vsock_core vsock;

bool vsock_present(void)
{
    return vsock.present;
}

u32 vsock_cid(void)
{
    return vsock.cid;
}

void vsock_flush(void)
{
    if (!vsock.present || (vsock.ending && !vsock.owing))
        return;
    /* An answer may ask for an answer; the device works while it is kicked, so this ends. */
    do {
        vsock_pay_all();
        if (vsockq_kick_send())
            vsock_room_came();
    } while (vsock_take_packets());
    vsockq_offer(true);
}

void vsock_arm(void)
{
    do
        vsock_flush();
    while (vsockq_arm_receive());
}

static bool anybody_waits(void)
{
    if (vsock.listeners != NULL || !wait_queue_empty(&poll_waiters))
        return true;
    for (struct vsock_stream *s = vsock.streams; s != NULL; s = s->next) {
        if (!wait_queue_empty(&s->wait))
            return true;
    }
    return false;
}

static void on_interrupt(void *arg)
{
    (void)arg;
    vsockq_acknowledge();
    if (vsockq_reclaim())
        vsock_room_came();
    vsock_flush();
    if (anybody_waits())
        vsock_arm();
}

bool vsock_init(const struct boot_info *info)
{
    vsock.present = vsockq_init(info, on_interrupt);
    if (vsock.present)
        vsock.cid = vsockq_cid();
    return vsock.present;
}

struct vsock_stream *vsock_request(u32 local_port, u32 port, enum vsock_kind kind, bool paused,
                                   int *error)
{
    struct vsock_stream *s;

    *error = -ENODEV;
    if (!vsock.present)
        return NULL;
    *error = -ESOCKTNOSUPPORT;
    if (kind == VSOCK_MESSAGES && !vsockq_has_messages())
        return NULL;
    if (local_port == VSOCK_PORT_ANY)
        local_port = vsock_free_port();
    *error = -EADDRINUSE;
    if (stream_find(local_port, port) != NULL)
        return NULL;
    *error = -ENOMEM;
    s = stream_new(local_port, port, kind, CONNECTING);
    if (s == NULL)
        return NULL;
    if (paused)
        s->credit = 0;
    if (!stream_send_packet(s, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0)) {
        stream_free(s);
        *error = -EAGAIN;
        return NULL;
    }
    return s;
}

int vsock_state(struct vsock_stream *s)
{
    if (s->state == CONNECTING)
        vsock_arm();
    if (s->state == CONNECTING)
        return -EAGAIN;
    return s->state == RESET ? -ECONNRESET : 0;
}

void vsock_resume(struct vsock_stream *s)
{
    if (s->credit > 0 || s->state != ESTABLISHED)
        return;
    s->credit = CREDIT_FIRST;
    stream_owe(s, OWED_CREDIT);
}

bool vsock_resumed(const struct vsock_stream *s)
{
    return s->credit > 0;
}

int vsock_shutdown(struct vsock_stream *s, unsigned how)
{
    u8 add = (u8)(how & ~(unsigned)s->shut_own);

    if (s->state != ESTABLISHED)
        return -ENOTCONN;
    if (add == 0)
        return 0;
    s->shut_own |= add;
    stream_owe(s, OWED_SHUTDOWN);
    vsock_flush();
    file_wake(&s->wait);
    return 0;
}

void vsock_close(struct vsock_stream *s)
{
    s->orphan = true;
    file_wake(&s->wait); /* nobody may be left in a queue that goes away */
    if (s->state == CONNECTING)
        vsock_send_reset(s->local_port, s->peer_port, s->kind);
    if (s->state != ESTABLISHED) {
        stream_free(s);
    } else {
        stream_drop_buffers(s);
        s->shut_own = VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND;
        stream_owe(s, OWED_SHUTDOWN);
    }
    vsock_flush();
}

u32 vsock_poll(struct vsock_stream *s)
{
    u32 events = 0;

    vsock_arm();
    if (stream_has_data(s) || stream_receive_ended(s))
        events |= POLLIN | POLLRDNORM;
    if (stream_send_ended(s) || stream_has_room(s))
        events |= POLLOUT | POLLWRNORM;
    if (s->shut_peer & VSOCK_SHUT_SEND)
        events |= POLLRDHUP;
    if (s->state == RESET || (stream_receive_ended(s) && stream_send_ended(s)))
        events |= POLLHUP | POLLRDHUP;
    return events;
}

struct wait_queue *vsock_wait_queue(struct vsock_stream *s)
{
    return &s->wait;
}

u32 vsock_peer_port(const struct vsock_stream *s)
{
    return s->peer_port;
}

u32 vsock_local_port(const struct vsock_stream *s)
{
    return s->local_port;
}

void vsock_end(void)
{
    vsock.ending = true;
}
