/*
 * AF_VSOCK (vsock(7)): streams and SEQPACKET to and from the host, upon drivers/vsock.h. A stream
 * or listener has a wait queue of its own, which it wakes before it goes away.
 */
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/net/vsock_option.h"

#define CONNECT_TIMEOUT (2 * NS_PER_S) /* Linux's default for vsock */

struct sockaddr_vm {
    u16 family, reserved;
    u32 port, cid;
    u8 flags, zero[3];
};
_Static_assert(sizeof(struct sockaddr_vm) == 16, "vm_sockets.h");

struct vsock_socket {
    struct socket socket;
    struct vsock_stream *stream;
    struct vsock_listener *listener;
    u32 port; /* bound to, or VSOCK_PORT_ANY */
    struct vsock_socket *next_bound;
    struct vsock_sizes sizes;
};

static struct vsock_socket *bound;

static struct vsock_socket *of(struct socket *s)
{
    return (struct vsock_socket *)s; /* its first member */
}

static enum vsock_kind kind_of(const struct vsock_socket *v)
{
    return socket_is_stream(&v->socket) ? VSOCK_BYTES : VSOCK_MESSAGES;
}

static void use_stream(struct vsock_socket *v, struct vsock_stream *stream)
{
    v->stream = stream;
    v->socket.file->wait = stream ? vsock_wait_queue(stream) : &v->socket.wait;
}

static void drop_stream(struct vsock_socket *v)
{
    if (v->stream != NULL)
        vsock_close(v->stream);
    use_stream(v, NULL);
}

/* Connected, now or before: there may be something to read. */
static bool has_peer(const struct vsock_socket *v)
{
    return v->stream != NULL && vsock_state(v->stream) != -EAGAIN;
}

/* --- addresses --- */

static int read_address(const struct socket_address *a, struct sockaddr_vm *out)
{
    if (a->length < sizeof(*out))
        return -EINVAL;
    memcpy(out, a->bytes, sizeof(*out));
    return out->family == AF_VSOCK ? 0 : -EAFNOSUPPORT;
}

static int write_address(struct socket_address *out, u32 cid, u32 port)
{
    const struct sockaddr_vm address = {.family = AF_VSOCK, .port = port, .cid = cid};

    out->length = sizeof(address);
    memcpy(out->bytes, &address, sizeof(address));
    return 0;
}

static int own_name(struct socket *s, struct socket_address *out)
{
    const struct vsock_socket *v = of(s);
    u32 port = v->port;

    if (v->stream != NULL)
        port = vsock_local_port(v->stream);
    else if (v->listener != NULL)
        port = vsock_listener_port(v->listener);
    return write_address(out, v->stream ? vsock_cid() : VSOCK_CID_ANY, port);
}

static int peer_name(struct socket *s, struct socket_address *out)
{
    const struct vsock_socket *v = of(s);

    if (v->stream == NULL || (s->connecting && vsock_state(v->stream) != 0))
        return -ENOTCONN;
    return write_address(out, VSOCK_CID_HOST, vsock_peer_port(v->stream));
}

/* --- connections --- */

static int create(struct socket *s)
{
    of(s)->port = VSOCK_PORT_ANY;
    of(s)->sizes = vsock_sizes_first;
    return 0;
}

static bool is_bound(u32 port)
{
    const struct vsock_socket *v = bound;

    while (v != NULL && v->port != port)
        v = v->next_bound;
    return v != NULL;
}

static u32 unbound_port(void)
{
    u32 port;

    do
        port = vsock_free_port();
    while (is_bound(port));
    return port;
}

static void unbind(struct vsock_socket *v)
{
    struct vsock_socket **at = &bound;

    while (*at != NULL && *at != v)
        at = &(*at)->next_bound;
    if (*at == v)
        *at = v->next_bound;
}

static int bind_to(struct socket *s, const struct socket_address *at)
{
    struct vsock_socket *v = of(s);
    struct sockaddr_vm address;
    int err = read_address(at, &address);

    if (err != 0)
        return err;
    if (v->port != VSOCK_PORT_ANY || v->stream || v->listener)
        return -EINVAL;
    if (address.cid != VSOCK_CID_ANY && address.cid != vsock_cid())
        return -EADDRNOTAVAIL;
    if (is_bound(address.port))
        return -EADDRINUSE;
    v->port = address.port != VSOCK_PORT_ANY ? address.port : unbound_port();
    v->next_bound = bound;
    bound = v;
    return 0;
}

static int listen_at(struct socket *s, u32 backlog)
{
    struct vsock_socket *v = of(s);
    int error = 0;

    if (v->stream != NULL)
        return -EINVAL;
    if (v->listener != NULL) {
        vsock_set_backlog(v->listener, backlog);
        return 0;
    }
    v->listener = vsock_listen(v->port, kind_of(v), backlog, &error);
    if (v->listener == NULL)
        return error;
    s->file->wait = vsock_listener_wait_queue(v->listener);
    return 0;
}

static int accept_one(struct socket *s, struct socket *fresh)
{
    struct vsock_socket *v = of(s);
    struct vsock_stream *stream = v->listener ? vsock_accept(v->listener) : NULL;

    if (v->listener == NULL)
        return -EINVAL;
    if (stream == NULL)
        return -EAGAIN;
    use_stream(of(fresh), stream);
    of(fresh)->sizes = v->sizes;
    fresh->connect_timeout = s->connect_timeout;
    return 0;
}

static int connect_to(struct socket *s, const struct socket_address *at)
{
    struct vsock_socket *v = of(s);
    struct sockaddr_vm to;
    struct vsock_stream *stream;
    int err = read_address(at, &to);

    if (err != 0)
        return err;
    if (v->listener != NULL)
        return -EINVAL;
    if (v->stream != NULL)
        return -EISCONN;
    if (to.cid != VSOCK_CID_HOST)
        return to.cid == VSOCK_CID_ANY ? -EINVAL : -ENODEV;
    stream = vsock_request(v->port, to.port, kind_of(v), false, &err);
    if (stream == NULL)
        return err;
    use_stream(v, stream);
    vsock_flush();
    return -EINPROGRESS;
}

static int connected(struct socket *s)
{
    struct vsock_socket *v = of(s);
    int state = vsock_state(v->stream);

    if (state != 0 && state != -EAGAIN)
        drop_stream(v);
    return state;
}

static void give_up(struct socket *s)
{
    drop_stream(of(s));
}

static int shut_down(struct socket *s, bool receive, bool send)
{
    struct vsock_socket *v = of(s);
    unsigned how = (receive ? VSOCK_SHUT_RECEIVE : 0u) | (send ? VSOCK_SHUT_SEND : 0u);

    return v->stream ? vsock_shutdown(v->stream, how) : -ENOTCONN;
}

static void release(struct socket *s)
{
    struct vsock_socket *v = of(s);

    drop_stream(v);
    if (v->listener != NULL)
        vsock_unlisten(v->listener);
    unbind(v);
}

/* --- data --- */

static long receive_message(struct vsock_stream *stream, void *to, size_t len,
                            struct socket_message *m)
{
    struct vsock_message about;
    long n = vsock_receive_message(stream, to, len, m->peek, &about);

    m->whole = about.whole;
    if (about.record)
        m->flags |= MSG_EOR;
    return n;
}

static long send_bytes(struct socket *s, const void *from, size_t len, struct socket_message *m)
{
    const struct vsock_socket *v = of(s);

    if (m->address.length > 0)
        return -EISCONN;
    if (!has_peer(v))
        return -ENOTCONN;
    return socket_is_stream(s) ? vsock_send(v->stream, from, len)
                               : vsock_send_message(v->stream, from, len, m->flags & MSG_EOR);
}

static long receive_bytes(struct socket *s, void *to, size_t len, struct socket_message *m)
{
    const struct vsock_socket *v = of(s);

    if (!has_peer(v))
        return -ENOTCONN;
    if (!socket_is_stream(s))
        return receive_message(v->stream, to, len, m);
    return m->peek ? vsock_peek(v->stream, m->skip, to, len) : vsock_receive(v->stream, to, len);
}

static u32 poll_events(struct socket *s)
{
    const struct vsock_socket *v = of(s);

    if (v->listener != NULL)
        return vsock_accept_ready(v->listener) ? POLLIN | POLLRDNORM : 0;
    if (v->stream == NULL)
        return POLLOUT | POLLWRNORM | POLLHUP;
    if (s->connecting && vsock_state(v->stream) == -ECONNRESET)
        return vsock_poll(v->stream) | POLLERR;
    return vsock_poll(v->stream);
}

static long control(struct socket *s, u32 request, u64 arg)
{
    const struct vsock_socket *v = of(s);
    int waiting = v->stream ? (int)vsock_readable(v->stream) : 0;

    return request == IOCTL_FIONREAD ? copy_to_user(arg, &waiting, sizeof(waiting)) : -ENOTTY;
}

static int set_option(struct socket *s, u64 level, u64 name, const void *value, u32 len)
{
    return level == AF_VSOCK ? vsock_set_option(s, &of(s)->sizes, name, value, len) : -ENOPROTOOPT;
}

static int get_option(struct socket *s, u64 level, u64 name, void *value, u32 *len)
{
    return level == AF_VSOCK ? vsock_get_option(s, &of(s)->sizes, name, value, len) : -ENOPROTOOPT;
}

const struct socket_ops vsock_ops = {
    .size = sizeof(struct vsock_socket),
    .create = create,
    .bind = bind_to,
    .listen = listen_at,
    .accept = accept_one,
    .connect = connect_to,
    .connected = connected,
    .give_up = give_up,
    .send = send_bytes,
    .receive = receive_bytes,
    .poll = poll_events,
    .shutdown = shut_down,
    .name = own_name,
    .peer = peer_name,
    .set_option = set_option,
    .get_option = get_option,
    .ioctl = control,
    .release = release,
    .connect_timeout = CONNECT_TIMEOUT,
};
