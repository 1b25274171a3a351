/* SOCK_STREAM of AF_INET and AF_INET6 (tcp(7)). */
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/net/stack.h"
#include "guest-kernel/net/tcp_conn.h"
#include "guest-kernel/net/tcp_option.h"

enum { BACKLOG_MOST = 255 /* lwIP counts in a byte */ };
enum { IOCTL_SIOCOUTQ = 0x5411 };

struct tcp_socket {
    struct inet_socket inet;
    struct tcp_conn *conn;         /* NULL: fresh, or listening */
    struct tcp_pcb *listener;      /* NULL: does not listen */
    struct tcp_conn *first, *last; /* wait to be accepted */
    struct tcp_options options;
    bool named_ip, named_port; /* by bind: they outlast a connection that is cut */
};

static struct tcp_socket *of(struct socket *s)
{
    return (struct tcp_socket *)s; /* its first member */
}

/* --- options of the control block --- */

static void apply_options(const struct tcp_socket *t)
{
    struct tcp_pcb *pcb = t->conn ? t->conn->pcb : NULL;

    if (t->listener)
        inet_apply(&t->inet, (struct ip_pcb *)t->listener);
    if (!pcb)
        return;
    inet_apply(&t->inet, (struct ip_pcb *)pcb);
    tcp_options_apply(&t->options, pcb);
}

static int need_conn(struct tcp_socket *t)
{
    if (t->conn)
        return 0;
    t->conn = tcp_conn_new(inet_pcb_type(&t->inet), &t->inet.socket);
    if (!t->conn)
        return -ENOBUFS;
    apply_options(t);
    return 0;
}

/* --- names --- */

static int bind_to(struct socket *s, const struct socket_address *at)
{
    struct tcp_socket *t = of(s);
    ip_addr_t ip;
    u16 port;
    int err = inet_take(&t->inet, at, &ip, &port);

    if (err)
        return err;
    if (t->listener || (t->conn && (t->conn->phase != TCP_BOUND || t->conn->local_port)))
        return -EINVAL;
    if (!inet_is_ours(&ip))
        return -EADDRNOTAVAIL;
    err = need_conn(t);
    if (err == 0)
        err = tcp_conn_bind(t->conn, &ip, port);
    t->named_ip = err == 0 && !ip_addr_isany(&ip) && !IP_IS_ANY_TYPE_VAL(ip);
    t->named_port = err == 0 && port != 0;
    return err;
}

static int own_name(struct socket *s, struct socket_address *out)
{
    const struct tcp_socket *t = of(s);
    const ip_addr_t *ip = IP46_ADDR_ANY(s->family == AF_INET ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
    u16 port = 0;

    if (t->listener) {
        ip = &t->listener->local_ip;
        port = t->listener->local_port;
    } else if (t->conn) {
        ip = &t->conn->local_ip;
        port = t->conn->local_port;
    }
    inet_tell(s, ip, port, out);
    return 0;
}

static bool has_peer(const struct tcp_conn *c)
{
    return c && c->remote_port != 0 && (c->phase == TCP_OPEN || c->ended);
}

static int peer_name(struct socket *s, struct socket_address *out)
{
    const struct tcp_conn *c = of(s)->conn;

    if (!has_peer(c))
        return -ENOTCONN;
    inet_tell(s, &c->remote_ip, c->remote_port, out);
    return 0;
}

/* --- listening --- */

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_socket *t = arg;
    struct tcp_conn *c;

    if (err != ERR_OK || !pcb || pcb->listener->accepts_pending == UINT8_MAX)
        return ERR_VAL; /* half-open ones are not counted (tcp_open.c): there may be too many now */
    c = tcp_conn_accepted(pcb);
    if (!c)
        return ERR_MEM;
    tcp_backlog_delayed(pcb);
    if (t->last)
        t->last->behind = c;
    else
        t->first = c;
    t->last = c;
    socket_wake(&t->inet.socket, POLLIN | POLLRDNORM);
    return ERR_OK;
}

static int listen_at(struct socket *s, u32 backlog)
{
    struct tcp_socket *t = of(s);
    u8 most = (u8)MAX(MIN(backlog, (u32)BACKLOG_MOST), 1u);
    struct tcp_pcb *listener;
    err_t error = ERR_OK;
    int err;

    if (t->listener) {
        tcp_backlog_set(t->listener, most);
        return 0;
    }
    if (t->conn && t->conn->phase != TCP_BOUND)
        return -EINVAL;
    err = need_conn(t);
    if (err == 0 && t->conn->local_port == 0)
        err = tcp_conn_bind(t->conn, &t->conn->local_ip, 0);
    if (err)
        return err;
    if (tcp_conn_is_listened_at(&t->conn->local_ip, t->conn->local_port))
        return -EADDRINUSE;
    listener = tcp_listen_with_backlog_and_err(t->conn->pcb, most, &error);
    if (!listener)
        return inet_error(error);
    t->conn->pcb = NULL; /* it is the listener now */
    tcp_conn_close(t->conn, false);
    t->conn = NULL;
    t->listener = listener;
    tcp_arg(listener, t);
    tcp_accept(listener, on_accept);
    return 0;
}

static void inherit(struct tcp_socket *to, const struct tcp_socket *from)
{
    to->inet.v6only = from->inet.v6only;
    to->inet.free_bind = from->inet.free_bind;
    to->inet.ttl = from->inet.ttl;
    to->inet.tos = from->inet.tos;
    to->inet.v4 = from->inet.v4;
    to->inet.v6 = from->inet.v6;
    to->options = from->options;
}

static struct tcp_conn *take_first(struct tcp_socket *t)
{
    struct tcp_conn *c = t->first;

    if (!c)
        return NULL;
    t->first = c->behind;
    if (!t->first)
        t->last = NULL;
    if (c->pcb)
        tcp_backlog_accepted(c->pcb);
    return c;
}

static int accept_one(struct socket *s, struct socket *fresh)
{
    struct tcp_socket *t = of(s), *made = of(fresh);
    struct tcp_conn *c;

    if (!t->listener)
        return -EINVAL;
    c = take_first(t);
    if (!c)
        return -EAGAIN;
    c->owner = fresh;
    fresh->error = c->error;
    made->conn = c;
    inherit(made, t);
    apply_options(made);
    return 0;
}

static void drop_waiting(struct tcp_socket *t)
{
    struct tcp_conn *c;

    while ((c = take_first(t)) != NULL)
        tcp_conn_close(c, true);
}

/* It stays bound, and may listen again. */
static int stop_listening(struct tcp_socket *t)
{
    const ip_addr_t ip = t->listener->local_ip;
    const u16 port = t->listener->local_port;
    int err;

    drop_waiting(t);
    tcp_close(t->listener);
    t->listener = NULL;
    t->inet.socket.listening = false;
    err = need_conn(t);
    if (err == 0)
        tcp_conn_rebind(t->conn, &ip, port);
    return err;
}

/* --- connecting --- */

/* The address that bind gave it, for another connection. */
static int name_again(struct tcp_socket *t, const ip_addr_t *ip, u16 port)
{
    int err = t->named_ip || t->named_port ? need_conn(t) : 0;

    if (err || !t->conn)
        return err;
    if (t->named_port)
        tcp_conn_rebind(t->conn, t->named_ip ? ip : &t->conn->local_ip, port);
    else
        err = tcp_conn_bind(t->conn, ip, 0);
    return err;
}

/* connect(2) to AF_UNSPEC: the connection is cut, and the socket is as before it. */
static int disconnect(struct tcp_socket *t)
{
    struct tcp_conn *c = t->conn;
    ip_addr_t ip;
    u16 port;

    if (t->listener)
        return stop_listening(t);
    if (!c || c->phase == TCP_BOUND)
        return 0;
    ip = c->local_ip;
    port = c->local_port;
    if (c->phase != TCP_OVER)
        t->inet.socket.error = ECONNRESET;
    t->inet.socket.connecting = false;
    tcp_conn_close(c, true);
    t->conn = NULL;
    socket_wake(&t->inet.socket, UINT32_MAX);
    return name_again(t, &ip, port);
}

static int connect_to(struct socket *s, const struct socket_address *to)
{
    struct tcp_socket *t = of(s);
    ip_addr_t ip;
    u16 port;
    int err;

    if (to->family == AF_UNSPEC)
        return disconnect(t);
    err = inet_take(&t->inet, to, &ip, &port);
    if (t->listener || (t->conn && t->conn->phase != TCP_BOUND))
        return -EISCONN;
    if (err)
        return err;
    err = inet_destination(&ip);
    if (err)
        return err;
    if (port == 0)
        return -ECONNREFUSED;
    err = need_conn(t);
    if (err)
        return err;
    s->error = 0; /* of the last one */
    err = tcp_conn_connect(t->conn, &ip, port);
    apply_options(t); /* now that it is known where to */
    return err;
}

static void drop_conn(struct tcp_socket *t)
{
    const struct socket_linger *linger = &t->inet.socket.linger;

    if (t->conn)
        tcp_conn_close(t->conn, linger->on && linger->seconds == 0);
    t->conn = NULL;
}

/* Asked by connect(2) alone. Whoever asks SO_ERROR, or reads, has the reason; the socket stays as
 * it failed, with all that poll says of it, until connect is called again. */
static int connected(struct socket *s)
{
    struct tcp_socket *t = of(s);
    int err;

    if (t->conn->phase == TCP_CONNECTING)
        return -EAGAIN;
    if (t->conn->phase == TCP_OPEN)
        return 0;
    drop_conn(t);
    err = socket_take_error(s);
    return err ? err : -ECONNABORTED;
}

static void give_up(struct socket *s)
{
    drop_conn(of(s));
}

/* --- data --- */

static long send_bytes(struct socket *s, const void *from, size_t len, struct socket_message *m)
{
    struct tcp_socket *t = of(s);

    (void)m; /* an address is ignored once there is a connection */
    if (s->error)
        return socket_take_error(s);
    if (!t->conn || t->conn->phase == TCP_BOUND)
        return -EPIPE;
    if (t->conn->phase == TCP_CONNECTING)
        return -EAGAIN;
    return tcp_conn_send(t->conn, from, len, t->options.corked);
}

static long receive_bytes(struct socket *s, void *to, size_t len, struct socket_message *m)
{
    struct tcp_socket *t = of(s);
    long n;

    if (!t->conn || t->conn->phase == TCP_BOUND)
        return -ENOTCONN;
    n = tcp_conn_receive(t->conn, to, len, m);
    return n == 0 || (n == -EAGAIN && s->error) ? socket_take_error(s) : n;
}

static u32 poll_events(struct socket *s)
{
    const struct tcp_socket *t = of(s);

    if (t->listener)
        return t->first ? POLLIN | POLLRDNORM : 0;
    if (!t->conn)
        return POLLOUT | POLLWRNORM | POLLHUP;
    return tcp_conn_poll(t->conn);
}

static int shut_down(struct socket *s, bool receive, bool send)
{
    struct tcp_conn *c = of(s)->conn;

    if (of(s)->listener) { /* sending from there means nothing */
        int err = receive ? stop_listening(of(s)) : 0;

        socket_wake(s, UINT32_MAX);
        return err;
    }
    if (!has_peer(c))
        return -ENOTCONN;
    if (receive)
        c->deaf = true;
    if (send)
        tcp_conn_end(c);
    socket_wake(s, UINT32_MAX);
    return 0;
}

static long control(struct socket *s, u32 request, u64 arg)
{
    const struct tcp_conn *c = of(s)->conn;
    int number;

    if (request == IOCTL_FIONREAD)
        number = c ? (int)c->in.bytes : 0;
    else if (request == IOCTL_SIOCOUTQ)
        number = c && c->pcb ? (int)(TCP_SND_BUF - c->pcb->snd_buf) : 0;
    else
        return inet_ioctl(request, arg);
    return copy_to_user(arg, &number, sizeof(number));
}

/* --- options --- */

static int set_tcp_option(struct tcp_socket *t, u64 name, const void *value, u32 len)
{
    bool corked = t->options.corked;
    int err = tcp_options_set(&t->options, name, value, len);

    if (corked && !t->options.corked && t->conn)
        tcp_conn_push(t->conn);
    return err;
}

/* SOL_SOCKET's are kept by the caller: its switches count from the next bind on, but those of a
 * living connection at once. */
static int set_option(struct socket *s, u64 level, u64 name, const void *value, u32 len)
{
    struct tcp_socket *t = of(s);
    int err;

    if (level == SOL_SOCKET)
        return -ENOPROTOOPT;
    /* Once bound it stays as it is: lwIP's control block is of one kind. */
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && t->conn && t->conn->local_port)
        return -EINVAL;
    err = level == IPPROTO_TCP ? set_tcp_option(t, name, value, len)
                               : inet_set_option(&t->inet, level, name, value, len);
    if (err == 0)
        apply_options(t);
    return err;
}

static void options_changed(struct socket *s)
{
    apply_options(of(s));
}

static int get_option(struct socket *s, u64 level, u64 name, void *value, u32 *len)
{
    const struct tcp_socket *t = of(s);
    bool open = t->conn && t->conn->phase == TCP_OPEN;

    if (level == SOL_SOCKET && name == SO_ERROR)
        return give_number(value, len, -socket_take_error(s));
    if (level == IPPROTO_TCP)
        return tcp_options_get(&t->options, open ? t->conn->pcb : NULL, name, value, len);
    return inet_get_option(&t->inet, level, name, value, len);
}

static void release(struct socket *s)
{
    struct tcp_socket *t = of(s);

    drop_waiting(t);
    drop_conn(t);
    if (t->listener)
        tcp_close(t->listener);
}

const struct socket_ops inet_tcp_ops = {
    .size = sizeof(struct tcp_socket),
    .create = inet_create,
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
    .switched = options_changed,
    .ioctl = control,
    .release = release,
    .connect_timeout = 130 * NS_PER_S, /* as Linux's, with its six SYNs */
};
