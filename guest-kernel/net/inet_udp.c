/* SOCK_DGRAM of AF_INET and AF_INET6 (udp(7)). */
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/net/inet.h"
#include "guest-kernel/net/message_queue.h"
#include "guest-kernel/net/ports.h"
#include "guest-kernel/net/stack.h"
#include "guest-kernel/net/unreachable.h"
#include "lwip/udp.h"

/* With the headers behind which lwIP puts it in one buffer of 16 bits' length. */
enum { PAYLOAD_MOST_V4 = 65535 - 8 - 20, PAYLOAD_MOST_V6 = 65535 - 8 - 40 };

struct udp_socket {
    struct inet_socket inet;
    struct udp_pcb *pcb;
    bool connected, deaf, mute; /* shut down for receiving, for sending */
    struct message_queue in;
};

static struct udp_socket *of(struct socket *s)
{
    return (struct udp_socket *)s; /* its first member */
}

/* What there is no room for is lost. */
static void on_receive(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip,
                       u16_t port)
{
    struct udp_socket *u = arg;
    struct message *message = NULL;

    (void)pcb;
    if (!u->deaf && messages_have_room(&u->in, p->tot_len))
        message = message_new(p->tot_len);
    if (message) {
        pbuf_copy_partial(p, message->bytes, p->tot_len, 0);
        inet_tell(&u->inet.socket, ip, port, &message->from);
        messages_add(&u->in, message);
        socket_wake(&u->inet.socket, POLLIN | POLLRDNORM);
    }
    pbuf_free(p);
}

/* What may pass is told to those who have asked for all errors: resolvers then try the next server.
 */
static bool wants_errors(const struct udp_socket *u)
{
    return IP_IS_V6(&u->pcb->remote_ip) ? u->inet.v6.errors : u->inet.v4.errors;
}

/* Who receives or sends next is told. lwIP has blocks of its own, too. */
static void on_unreachable(struct udp_pcb *pcb, const struct unreachable *why)
{
    struct udp_socket *u = pcb->recv == on_receive ? pcb->recv_arg : NULL;

    if (!u || !(why->hard || wants_errors(u)))
        return;
    u->inet.socket.error = why->error;
    socket_wake(&u->inet.socket, UINT32_MAX);
}

static void apply_options(struct socket *s)
{
    inet_apply(&of(s)->inet, (struct ip_pcb *)of(s)->pcb);
}

static int create(struct socket *s)
{
    struct udp_socket *u = of(s);
    int err = inet_create(s);

    if (err)
        return err;
    u->pcb = udp_new_ip_type(inet_pcb_type(&u->inet));
    if (!u->pcb)
        return -ENOBUFS;
    udp_recv(u->pcb, on_receive, u);
    unreachable_watch_datagrams(on_unreachable);
    return 0;
}

/* --- names --- */

static int bind_to(struct socket *s, const struct socket_address *at)
{
    struct udp_socket *u = of(s);
    ip_addr_t ip;
    u16 port;
    int err = inet_take(&u->inet, at, &ip, &port);

    if (err)
        return err;
    if (u->pcb->local_port != 0)
        return -EINVAL;
    if (!inet_is_ours(&ip))
        return -EADDRNOTAVAIL;
    port = port ? port : port_for_datagrams();
    if (!port)
        return -EADDRINUSE;
    return inet_error(udp_bind(u->pcb, &ip, port));
}

static int need_port(const struct udp_socket *u)
{
    u16 port;

    if (u->pcb->local_port)
        return 0;
    port = port_for_datagrams();
    return port ? inet_error(udp_bind(u->pcb, &u->pcb->local_ip, port)) : -EADDRNOTAVAIL;
}

static int connect_to(struct socket *s, const struct socket_address *to)
{
    struct udp_socket *u = of(s);
    ip_addr_t ip;
    u16 port;
    int err;

    if (to->family == AF_UNSPEC) {
        udp_disconnect(u->pcb);
        u->connected = false;
        return 0;
    }
    err = inet_take(&u->inet, to, &ip, &port);
    if (err)
        return err;
    err = inet_destination(&ip);
    if (err == 0)
        err = need_port(u);
    if (err == 0)
        err = inet_error(udp_connect(u->pcb, &ip, port));
    u->connected = err == 0;
    return err;
}

/* A connected one that is bound to no address has that of the way, as getsockname(2) says and
 * resolvers use to sort addresses. */
static int own_name(struct socket *s, struct socket_address *out)
{
    const struct udp_socket *u = of(s);
    const ip_addr_t *ip = &u->pcb->local_ip;

    if (u->connected && (ip_addr_isany(ip) || IP_IS_ANY_TYPE_VAL(*ip))) {
        struct netif *way = ip_route(&u->pcb->local_ip, &u->pcb->remote_ip);
        const ip_addr_t *own = way ? ip_netif_get_local_ip(way, &u->pcb->remote_ip) : NULL;

        ip = own ? own : ip;
    }
    inet_tell(s, ip, u->pcb->local_port, out);
    return 0;
}

static int peer_name(struct socket *s, struct socket_address *out)
{
    const struct udp_socket *u = of(s);

    if (!u->connected)
        return -ENOTCONN;
    inet_tell(s, &u->pcb->remote_ip, u->pcb->remote_port, out);
    return 0;
}

/* --- data --- */

static int choose_destination(const struct udp_socket *u, const struct socket_address *to,
                              ip_addr_t *ip, u16 *port)
{
    int err;

    if (to->length == 0) {
        *ip = u->pcb->remote_ip;
        *port = u->pcb->remote_port;
        return u->connected ? 0 : -EDESTADDRREQ;
    }
    err = inet_take(&u->inet, to, ip, port);
    if (err == 0)
        err = inet_destination(ip);
    return err == 0 && *port == 0 ? -EINVAL : err;
}

/* lwIP knows of one address of lo's alone. */
static err_t send_from(struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, u16 port)
{
    struct netif *way;

    if (!IP_IS_V4(&pcb->local_ip) || !ip_addr_isloopback(&pcb->local_ip) || !ip_addr_isloopback(ip))
        return udp_sendto(pcb, p, ip, port);
    way = ip_route(&pcb->local_ip, ip);
    return way ? udp_sendto_if_src(pcb, p, ip, port, way, &pcb->local_ip) : ERR_RTE;
}

/* Who forbids fragments has none made here. A router may make some: lwIP never sets "don't
 * fragment", and so nobody finds the least MTU of the way. */
static bool may_be_sent(const struct udp_socket *u, const ip_addr_t *ip, size_t len)
{
    const bool v4 = IP_IS_V4(ip);
    const u8 discovery = (v4 ? u->inet.v4 : u->inet.v6).discovery ^ IP_PMTUDISC_WANT;
    const struct netif *way;

    if (len > (v4 ? PAYLOAD_MOST_V4 : PAYLOAD_MOST_V6))
        return false;
    if (discovery < IP_PMTUDISC_DO || discovery == IP_PMTUDISC_OMIT || inet_is_ours(ip))
        return true;
    way = ip_route(&u->pcb->local_ip, ip);
    return !way || len + UDP_HLEN + (v4 ? IP_HLEN : IP6_HLEN) <= way->mtu;
}

static int transmit(const struct udp_socket *u, struct pbuf *p, const ip_addr_t *ip, u16 port)
{
    err_t err;

    net_enter();
    err = send_from(u->pcb, p, ip, port);
    net_flush();
    if (err == ERR_VAL) /* to a broadcast address, without SO_BROADCAST */
        return -EACCES;
    return inet_error(err);
}

static long send_message(struct socket *s, const void *from, size_t len, struct socket_message *m)
{
    struct udp_socket *u = of(s);
    struct pbuf *p;
    ip_addr_t ip;
    u16 port;
    int err = choose_destination(u, &m->address, &ip, &port);

    if (u->mute)
        return -EPIPE;
    if (err)
        return err;
    if (!may_be_sent(u, &ip, len))
        return -EMSGSIZE;
    if (s->error)
        return socket_take_error(s);
    err = need_port(u);
    if (err)
        return err;
    p = pbuf_alloc(PBUF_TRANSPORT, (u16)len, PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    pbuf_take(p, from, (u16)len);
    err = transmit(u, p, &ip, port);
    pbuf_free(p);
    return err ? err : (long)len;
}

static long receive_message(struct socket *s, void *to, size_t len, struct socket_message *m)
{
    struct udp_socket *u = of(s);

    if (s->error)
        return socket_take_error(s);
    if (!u->in.first) /* the end is for who would wait */
        return u->deaf && !m->at_once ? 0 : -EAGAIN;
    return messages_receive(&u->in, to, len, m);
}

static u32 poll_events(struct socket *s)
{
    const struct udp_socket *u = of(s);

    return POLLOUT | POLLWRNORM | (u->in.first || u->deaf ? POLLIN | POLLRDNORM : 0) |
           (u->deaf ? POLLRDHUP : 0) | (u->deaf && u->mute ? POLLHUP : 0);
}

static int shut_down(struct socket *s, bool receive, bool send)
{
    struct udp_socket *u = of(s);

    u->deaf |= receive;
    u->mute |= send;
    socket_wake(s, UINT32_MAX);
    return u->connected ? 0 : -ENOTCONN; /* what was said counts nevertheless */
}

static long control(struct socket *s, u32 request, u64 arg)
{
    const struct message *first = of(s)->in.first;
    int number = first ? (int)first->len : 0;

    return request == IOCTL_FIONREAD ? copy_to_user(arg, &number, sizeof(number))
                                     : inet_ioctl(request, arg);
}

/* Which versions of IP it speaks is decided before it is bound: lwIP then has another block. */
static int change_kind(struct udp_socket *u)
{
    struct udp_pcb *pcb;

    if (u->pcb->local_port || u->connected)
        return -EINVAL;
    pcb = udp_new_ip_type(inet_pcb_type(&u->inet));
    if (!pcb)
        return -ENOBUFS;
    udp_remove(u->pcb);
    u->pcb = pcb;
    udp_recv(pcb, on_receive, u);
    return 0;
}

static int set_option(struct socket *s, u64 level, u64 name, const void *value, u32 len)
{
    struct udp_socket *u = of(s);
    bool v6only = u->inet.v6only;
    int err = inet_set_option(&u->inet, level, name, value, len);

    if (err == 0 && v6only != u->inet.v6only) {
        err = change_kind(u);
        u->inet.v6only = err ? v6only : u->inet.v6only;
    }
    if (err == 0)
        apply_options(s);
    return err;
}

static int get_option(struct socket *s, u64 level, u64 name, void *value, u32 *len)
{
    return inet_get_option(&of(s)->inet, level, name, value, len);
}

static void release(struct socket *s)
{
    struct udp_socket *u = of(s);

    if (u->pcb)
        udp_remove(u->pcb);
    messages_discard(&u->in);
}

const struct socket_ops inet_udp_ops = {
    .size = sizeof(struct udp_socket),
    .create = create,
    .bind = bind_to,
    .connect = connect_to,
    .send = send_message,
    .receive = receive_message,
    .poll = poll_events,
    .shutdown = shut_down,
    .name = own_name,
    .peer = peer_name,
    .set_option = set_option,
    .get_option = get_option,
    .switched = apply_options,
    .ioctl = control,
    .release = release,
};
