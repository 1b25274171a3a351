/* Streams of AF_UNIX: two pipes, crosswise. */
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/fs/pipe.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/net/unix.h"

/* --- connecting --- */

/* Two ways, each from one side's out to the other's in. */
static int make_ways(struct file *in[2], struct file *out[2])
{
    if (pipe_new(0, &in[0], &out[1]) != 0)
        return -ENOMEM;
    if (pipe_new(0, &in[1], &out[0]) == 0)
        return 0;
    file_put(in[0]);
    file_put(out[1]);
    return -ENOMEM;
}

/* Takes both ends over. */
static void use_ways(struct unix_socket *u, struct file *in, struct file *out)
{
    u->connected = true;
    u->in = in;
    u->out = out;
    pipe_wait_at(in, &u->socket.wait);
    pipe_wait_at(out, &u->socket.wait);
}

static int stream_pair(struct socket *a, struct socket *b)
{
    struct file *in[2], *out[2];
    int err = make_ways(in, out);

    if (err)
        return err;
    use_ways(unix_of(a), in[0], out[0]);
    use_ways(unix_of(b), in[1], out[1]);
    unix_join(unix_of(a), unix_of(b));
    return 0;
}

static int stream_connect(struct socket *s, const struct socket_address *to)
{
    int err;
    struct unix_socket *listener = unix_listener(unix_of(s), to, &err);
    struct unix_pending *p;
    struct file *in[2], *out[2];

    if (!listener)
        return err;
    p = kzalloc(sizeof(*p));
    if (!p || make_ways(in, out) != 0) {
        kfree(p);
        return -ENOMEM;
    }
    p->in = in[1];
    p->out = out[1];
    use_ways(unix_of(s), in[0], out[0]);
    unix_offer(listener, unix_of(s), p);
    return 0;
}

static int stream_accept(struct socket *s, struct socket *fresh)
{
    int err;
    struct unix_pending *p = unix_accept(unix_of(s), &err);
    struct unix_socket *u = unix_of(fresh);

    if (!p)
        return err;
    use_ways(u, p->in, p->out);
    unix_accepted(u, unix_of(s), p);
    return 0;
}

/* --- data --- */

static long stream_receive(struct socket *s, void *to, size_t len, struct socket_message *m)
{
    const struct unix_socket *u = unix_of(s);
    u64 pos = 0;
    long n;

    if (!u->connected)
        return -EINVAL;
    if (!u->in)
        return 0;
    n = m->peek ? pipe_peek(u->in, m->skip, to, len) : u->in->ops->read(u->in, to, len, &pos);
    return n == 0 ? socket_take_error(s) : n;
}

static long stream_send(struct socket *s, const void *from, size_t len, struct socket_message *m)
{
    const struct unix_socket *u = unix_of(s);

    if (m->address.length > 0)
        return u->connected ? -EISCONN : -EOPNOTSUPP;
    if (!u->connected)
        return -ENOTCONN;
    return u->out ? pipe_send(u->out, from, len) : -EPIPE;
}

static u32 connected_events(const struct unix_socket *u)
{
    u32 in = u->in ? file_poll(u->in) : POLLHUP;
    u32 out = u->out ? file_poll(u->out) : POLLERR;
    u32 events = (in & (POLLIN | POLLRDNORM)) | (out & (POLLOUT | POLLWRNORM));

    if (in & POLLHUP)
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (out & POLLERR)
        events |= POLLOUT | POLLWRNORM;
    if (in & POLLHUP && out & POLLERR)
        events |= POLLHUP;
    return events;
}

static u32 stream_poll(struct socket *s)
{
    const struct unix_socket *u = unix_of(s);

    if (u->connected)
        return connected_events(u);
    if (s->listening)
        return unix_listener_poll(u);
    return POLLOUT | POLLWRNORM | POLLHUP;
}

static int stream_shutdown(struct socket *s, bool receive, bool send)
{
    struct unix_socket *u = unix_of(s);

    if (s->listening)
        return unix_listener_shutdown(u, receive, send);
    if (!u->connected)
        return -ENOTCONN;
    if (receive) {
        file_put(u->in);
        u->in = NULL;
    }
    if (send) {
        file_put(u->out);
        u->out = NULL;
    }
    socket_wake(s, UINT32_MAX);
    return 0;
}

static long stream_ioctl(struct socket *s, u32 request, u64 arg)
{
    const struct unix_socket *u = unix_of(s);

    return u->in ? u->in->ops->ioctl(u->in, request, arg) : -ENOTTY;
}

static void stream_release(struct socket *s)
{
    struct unix_socket *u = unix_of(s);
    struct unix_pending *p;

    s->listening = false;
    unix_forget(u, u->in && file_poll(u->in) & POLLIN);
    while ((p = unix_take(u)) != NULL) {
        file_put(p->in);
        file_put(p->out);
        unix_refuse(p);
    }
    file_put(u->in);
    file_put(u->out);
}

const struct socket_ops unix_stream_ops = {
    .size = sizeof(struct unix_socket),
    .create = unix_create,
    .pair = stream_pair,
    .bind = unix_bind,
    .listen = unix_listen,
    .accept = stream_accept,
    .connect = stream_connect,
    .send = stream_send,
    .receive = stream_receive,
    .poll = stream_poll,
    .shutdown = stream_shutdown,
    .name = unix_own_name,
    .peer = unix_peer_name,
    .get_option = unix_get_option,
    .ioctl = stream_ioctl,
    .release = stream_release,
};
