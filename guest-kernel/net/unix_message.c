/*
 * Datagrams and SEQPACKET of AF_UNIX. Each socket has a mailbox that it reads; who sends to it
 * holds a reference to that. A mailbox takes messages up to a number of bytes; then senders wait.
 */
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/net/message_queue.h"
#include "guest-kernel/net/unix.h"

struct mailbox {
    u32 refs;
    bool closed;                /* nobody reads it any more */
    bool ended;                 /* nobody will write to it any more (SEQPACKET) */
    struct unix_socket *reader; /* NULL: none yet, or none any more */
    struct message_queue messages;
};

/* --- mailboxes --- */

static struct mailbox *mailbox_new(struct unix_socket *reader)
{
    struct mailbox *box = kzalloc(sizeof(*box));

    if (box) {
        box->refs = 1;
        box->reader = reader;
    }
    return box;
}

static struct mailbox *mailbox_get(struct mailbox *box)
{
    box->refs++;
    return box;
}

static void mailbox_put(struct mailbox *box)
{
    if (!box || --box->refs > 0)
        return;
    messages_discard(&box->messages);
    kfree(box);
}

static void wake_reader(const struct mailbox *box, u32 events)
{
    if (box->reader)
        socket_wake(&box->reader->socket, events);
}

/* Its reader goes. */
static void mailbox_close(struct mailbox *box)
{
    if (!box)
        return;
    box->closed = true;
    box->reader = NULL;
    messages_discard(&box->messages);
    mailbox_put(box);
    unix_unblock();
}

/* Its writer goes, of which there is one. */
static void mailbox_end(struct mailbox *box)
{
    box->ended = true;
    wake_reader(box, POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP);
}

static long post(struct mailbox *box, const struct unix_name *from, const void *bytes, size_t len)
{
    struct message *message = message_new(len);

    if (!message)
        return -ENOBUFS;
    if (from)
        message->from = from->address;
    memcpy(message->bytes, bytes, len);
    messages_add(&box->messages, message);
    wake_reader(box, POLLIN | POLLRDNORM);
    return (long)len;
}

/* --- connecting --- */

static bool is_sequence(const struct socket *s)
{
    return s->type == SOCK_SEQPACKET;
}

/* Both may be there already, and are taken over. */
static void use_boxes(struct unix_socket *u, struct mailbox *inbox, struct mailbox *outbox)
{
    u->connected = true;
    u->inbox = inbox;
    u->outbox = outbox;
    inbox->reader = u;
}

static int own_inbox(struct unix_socket *u)
{
    if (!u->inbox)
        u->inbox = mailbox_new(u);
    return u->inbox ? 0 : -ENOMEM;
}

static int message_pair(struct socket *first, struct socket *second)
{
    struct unix_socket *a = unix_of(first), *b = unix_of(second);

    if (own_inbox(a) != 0 || own_inbox(b) != 0)
        return -ENOMEM;
    use_boxes(a, a->inbox, mailbox_get(b->inbox));
    use_boxes(b, b->inbox, mailbox_get(a->inbox));
    if (is_sequence(first))
        unix_join(a, b);
    return 0;
}

/* A datagram socket's peer is whom it sends to. */
static int choose_peer(struct unix_socket *u, const struct socket_address *to)
{
    struct unix_socket *peer = NULL;
    int err;

    if (to->family != AF_UNSPEC) {
        peer = unix_find(to, SOCK_DGRAM, &err);
        if (!peer)
            return err;
        if (peer->socket.type != SOCK_DGRAM)
            return -EPROTOTYPE;
        err = own_inbox(peer);
        if (err)
            return err;
    }
    mailbox_put(u->outbox);
    unix_name_put(u->peer);
    u->connected = peer != NULL;
    u->outbox = peer ? mailbox_get(peer->inbox) : NULL;
    u->peer = peer ? unix_name_get(peer->name) : NULL;
    return 0;
}

static int join_sequence(struct unix_socket *u, const struct socket_address *to)
{
    int err;
    struct unix_socket *listener = unix_listener(u, to, &err);
    struct unix_pending *p;

    if (!listener)
        return err;
    p = kzalloc(sizeof(*p));
    if (p)
        p->inbox = mailbox_new(NULL);
    if (!p || !p->inbox || own_inbox(u) != 0) {
        if (p)
            mailbox_put(p->inbox);
        kfree(p);
        return -ENOMEM;
    }
    p->outbox = mailbox_get(u->inbox);
    use_boxes(u, u->inbox, mailbox_get(p->inbox));
    unix_offer(listener, u, p);
    return 0;
}

static int message_connect(struct socket *s, const struct socket_address *to)
{
    return is_sequence(s) ? join_sequence(unix_of(s), to) : choose_peer(unix_of(s), to);
}

static int message_accept(struct socket *s, struct socket *fresh)
{
    int err;
    struct unix_pending *p = unix_accept(unix_of(s), &err);
    struct unix_socket *u = unix_of(fresh);

    if (!is_sequence(s))
        return -EOPNOTSUPP;
    if (!p)
        return err;
    use_boxes(u, p->inbox, p->outbox);
    unix_accepted(u, unix_of(s), p);
    return 0;
}

/* --- data --- */

/* Where a message goes, with a reference; NULL and *error. */
static struct mailbox *destination(struct unix_socket *u, const struct socket_address *to,
                                   int *error)
{
    struct unix_socket *peer;

    if (to->length == 0 || is_sequence(&u->socket)) {
        *error = is_sequence(&u->socket) && u->connected ? -EPIPE : -ENOTCONN;
        return u->outbox ? mailbox_get(u->outbox) : NULL;
    }
    peer = unix_find(to, SOCK_DGRAM, error);
    if (!peer)
        return NULL;
    *error = peer->socket.type != SOCK_DGRAM ? -EPROTOTYPE : own_inbox(peer);
    return *error == 0 ? mailbox_get(peer->inbox) : NULL;
}

static long message_send(struct socket *s, const void *from, size_t len, struct socket_message *m)
{
    struct unix_socket *u = unix_of(s);
    int error;
    struct mailbox *box;
    long n;

    if (s->error)
        return socket_take_error(s);
    box = destination(u, &m->address, &error);
    if (!box)
        return error;
    if (box->closed) {
        n = is_sequence(s) ? -EPIPE : -ECONNREFUSED;
    } else if (!messages_have_room(&box->messages, len)) {
        unix_block(u);
        n = -EAGAIN;
    } else {
        n = post(box, u->name, from, len);
    }
    mailbox_put(box);
    return n;
}

static long message_receive(struct socket *s, void *to, size_t len, struct socket_message *m)
{
    struct unix_socket *u = unix_of(s);
    long n;

    if (is_sequence(s) && !u->connected)
        return -ENOTCONN;
    if (s->error)
        return socket_take_error(s);
    if (!u->inbox) {
        n = own_inbox(u);
        return n ? n : -EAGAIN;
    }
    if (!u->inbox->messages.first)
        return u->inbox->ended || u->inbox->closed ? 0 : -EAGAIN;
    n = messages_receive(&u->inbox->messages, to, len, m);
    unix_unblock();
    return n;
}

static u32 message_poll(struct socket *s)
{
    struct unix_socket *u = unix_of(s);
    u32 events = 0;

    if (s->listening)
        return unix_listener_poll(u);
    if (is_sequence(s) && !u->connected)
        return POLLOUT | POLLWRNORM | POLLHUP;
    if (u->inbox && (u->inbox->messages.first || u->inbox->ended || u->inbox->closed))
        events |= POLLIN | POLLRDNORM;
    if (u->inbox && u->inbox->ended)
        events |= POLLRDHUP | (u->outbox && u->outbox->closed ? POLLHUP : 0);
    if (!u->outbox || u->outbox->closed || messages_are_few(&u->outbox->messages))
        events |= POLLOUT | POLLWRNORM;
    else
        unix_block(u);
    return events;
}

static int message_shutdown(struct socket *s, bool receive, bool send)
{
    struct unix_socket *u = unix_of(s);

    if (s->listening)
        return unix_listener_shutdown(u, receive, send);
    if (!u->connected)
        return -ENOTCONN;
    if (receive && u->inbox) {
        u->inbox->closed = true;
        messages_discard(&u->inbox->messages);
        unix_unblock();
    }
    if (send && u->outbox) {
        if (is_sequence(s))
            mailbox_end(u->outbox);
        mailbox_put(u->outbox);
        u->outbox = NULL;
    }
    socket_wake(s, UINT32_MAX);
    return 0;
}

static long message_ioctl(struct socket *s, u32 request, u64 arg)
{
    const struct mailbox *box = unix_of(s)->inbox;
    int waiting = box && box->messages.first ? (int)box->messages.first->len : 0;

    return request == IOCTL_FIONREAD ? copy_to_user(arg, &waiting, sizeof(waiting)) : -ENOTTY;
}

/* Of a connection, both ways. */
static void leave(bool sequence, struct mailbox *inbox, struct mailbox *outbox)
{
    if (outbox && sequence)
        mailbox_end(outbox);
    mailbox_put(outbox);
    mailbox_close(inbox);
}

static void message_release(struct socket *s)
{
    struct unix_socket *u = unix_of(s);
    struct unix_pending *p;

    s->listening = false;
    unix_forget(u, u->inbox && u->inbox->messages.first);
    while ((p = unix_take(u)) != NULL) {
        leave(true, p->inbox, p->outbox);
        unix_refuse(p);
    }
    leave(is_sequence(s), u->inbox, u->outbox);
}

const struct socket_ops unix_message_ops = {
    .size = sizeof(struct unix_socket),
    .create = unix_create,
    .pair = message_pair,
    .bind = unix_bind,
    .listen = unix_listen,
    .accept = message_accept,
    .connect = message_connect,
    .send = message_send,
    .receive = message_receive,
    .poll = message_poll,
    .shutdown = message_shutdown,
    .name = unix_own_name,
    .peer = unix_peer_name,
    .get_option = unix_get_option,
    .ioctl = message_ioctl,
    .release = message_release,
};
