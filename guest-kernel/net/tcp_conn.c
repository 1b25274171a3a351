/* See tcp_conn.h. */
#include "guest-kernel/net/tcp_conn.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/net/ports.h"
#include "guest-kernel/net/stack.h"
#include "guest-kernel/net/tcp_recovery.h"
#include "guest-kernel/net/timers.h"
#include "guest-kernel/net/unreachable.h"
#include "lwip/priv/tcp_priv.h"

enum {
    WRITE_MOST = 0xffff,    /* tcp_write takes 16 bits */
    CONFIRM_AT = 16 << 10,  /* bytes read before lwIP is told */
    ROOM = TCP_SND_BUF / 3, /* of which poll speaks */
    FINISH_MS = 2000,
    FINISH_STEP_MS = 2,
};

static struct tcp_conn *all;

static void wake(struct tcp_conn *c, u32 events)
{
    if (c->owner)
        socket_wake(c->owner, events);
}

/* --- what lwIP tells --- */

static void detach(struct tcp_conn *c)
{
    struct tcp_pcb *pcb = c->pcb;

    c->pcb = NULL;
    c->phase = TCP_OVER;
    if (!pcb)
        return;
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
}

/* Both ends have closed: from here on lwIP may free it at any time. */
static void note_end(struct tcp_conn *c)
{
    if (c->ended && c->sent_end && c->pcb)
        detach(c);
}

static err_t on_end(struct tcp_conn *c)
{
    c->ended = true;
    note_end(c);
    wake(c, POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP);
    return ERR_OK;
}

/* Refused for want of memory, lwIP keeps it and comes again. */
static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct tcp_conn *c = arg;

    (void)err;
    if (!p)
        return on_end(c);
    if (c->deaf) {
        tcp_recved(pcb, p->tot_len);
    } else {
        if (!bytes_reserve(&c->in, p->tot_len))
            return ERR_MEM;
        for (const struct pbuf *q = p; q; q = q->next)
            bytes_append(&c->in, q->payload, q->len);
        wake(c, POLLIN | POLLRDNORM);
    }
    pbuf_free(p);
    return ERR_OK;
}

static bool has_room(const struct tcp_conn *c)
{
    return c->pcb->snd_buf >= ROOM && c->pcb->snd_queuelen < TCP_SND_QUEUELEN / 2;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    struct tcp_conn *c = arg;

    (void)len;
    tcp_recovery_acked(pcb);
    c->soft_error = 0;
    if (has_room(c))
        wake(c, POLLOUT | POLLWRNORM);
    return ERR_OK;
}

static int error_of(const struct tcp_conn *c, err_t err)
{
    if (c->phase == TCP_CONNECTING && err == ERR_RST)
        return ECONNREFUSED;
    if (err == ERR_ABRT && c->soft_error)
        return c->soft_error;
    return err == ERR_CLSD ? 0 : -inet_error(err);
}

/* lwIP has freed the control block. */
static void on_error(void *arg, err_t err)
{
    struct tcp_conn *c = arg;
    int error = error_of(c, err);

    if (c->owner)
        c->owner->error = error;
    if (c->phase == TCP_CONNECTING)
        c->remote_port = 0; /* there was no peer */
    c->error = error;
    c->pcb = NULL;
    c->phase = TCP_OVER;
    c->ended = true;
    wake(c, UINT32_MAX);
}

static bool wants_errors(const struct tcp_conn *c)
{
    const struct inet_socket *s = c->owner ? inet_of(c->owner) : NULL;

    return s && (IP_IS_V6_VAL(c->remote_ip) ? s->v6.errors : s->v4.errors);
}

/* It ends an attempt at once, as Linux has it; what was open may be so again (RFC 1122, 4.2.3.9,
 * and RFC 5461), and only who has asked for all errors is told. */
static void on_unreachable(struct tcp_pcb *pcb, int error)
{
    struct tcp_conn *c = pcb->errf == on_error ? pcb->callback_arg : NULL;

    if (!c)
        return;
    c->soft_error = error;
    if (pcb->state == SYN_SENT) {
        tcp_abandon(pcb, 0);
    } else if (wants_errors(c)) {
        c->owner->error = error;
        wake(c, UINT32_MAX);
    }
}

static void note_names(struct tcp_conn *c)
{
    c->local_ip = c->pcb->local_ip;
    c->local_port = c->pcb->local_port;
    c->remote_ip = c->pcb->remote_ip;
    c->remote_port = c->pcb->remote_port;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_conn *c = arg;

    (void)pcb;
    (void)err;
    c->phase = TCP_OPEN;
    note_names(c);
    wake(c, POLLOUT | POLLWRNORM);
    return ERR_OK;
}

/* --- life --- */

static void attach(struct tcp_conn *c, struct tcp_pcb *pcb)
{
    unreachable_watch_segments(on_unreachable);
    c->pcb = pcb;
    pcb->rto = pcb->sv = NET_FIRST_RTO;
    tcp_arg(pcb, c);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    c->next = all;
    if (all)
        all->prev = c;
    all = c;
}

struct tcp_conn *tcp_conn_new(u8 ip_type, struct socket *owner)
{
    struct tcp_conn *c = kzalloc(sizeof(*c));
    struct tcp_pcb *pcb = c ? tcp_new_ip_type(ip_type) : NULL;

    if (!pcb) {
        kfree(c);
        return NULL;
    }
    c->owner = owner;
    attach(c, pcb);
    c->local_ip = pcb->local_ip;
    return c;
}

struct tcp_conn *tcp_conn_accepted(struct tcp_pcb *pcb)
{
    struct tcp_conn *c = kzalloc(sizeof(*c));

    if (!c)
        return NULL;
    attach(c, pcb);
    c->phase = TCP_OPEN;
    note_names(c);
    return c;
}

/* An address may be of both versions: "any" of an IPv6 socket that takes IPv4, too. */
static bool overlap(const ip_addr_t *a, const ip_addr_t *b)
{
    if (IP_IS_ANY_TYPE_VAL(*a) || IP_IS_ANY_TYPE_VAL(*b))
        return true;
    return IP_GET_TYPE(a) == IP_GET_TYPE(b) &&
           (ip_addr_isany(a) || ip_addr_isany(b) || ip_addr_cmp(a, b));
}

bool tcp_conn_is_listened_at(const ip_addr_t *ip, u16 port)
{
    for (const struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l; l = l->next) {
        if (l->local_port == port && overlap(&l->local_ip, ip))
            return true;
    }
    return false;
}

/* With SO_REUSEADDR lwIP would bind beside a listener that has it, too, which Linux does not: two
 * servers would not notice each other. */
int tcp_conn_bind(struct tcp_conn *c, const ip_addr_t *ip, u16 port)
{
    err_t err;

    port = port ? port : port_for_bind();
    if (port == 0 || tcp_conn_is_listened_at(ip, port))
        return -EADDRINUSE;
    err = tcp_bind(c->pcb, ip, port);
    if (err == ERR_OK)
        note_names(c);
    return inet_error(err);
}

/* As tcp_bind, which would find those connections in the way. */
void tcp_conn_rebind(struct tcp_conn *c, const ip_addr_t *ip, u16 port)
{
    c->pcb->local_ip = *ip;
    c->pcb->local_port = port;
    TCP_REG(&tcp_bound_pcbs, c->pcb);
    note_names(c);
}

static err_t connect_from(struct tcp_pcb *pcb, u16 own_port, const ip_addr_t *ip, u16 port)
{
    err_t err;

    if (pcb->local_port)
        return tcp_connect(pcb, ip, port, on_connected);
    pcb->local_port = own_port;
    TCP_REG(&tcp_bound_pcbs, pcb); /* lwIP takes it from there */
    err = tcp_connect(pcb, ip, port, on_connected);
    if (err != ERR_OK) {
        TCP_RMV(&tcp_bound_pcbs, pcb);
        pcb->local_port = 0;
    }
    return err;
}

int tcp_conn_connect(struct tcp_conn *c, const ip_addr_t *ip, u16 port)
{
    const u16 own = c->pcb->local_port ? c->pcb->local_port : port_for_connect(ip, port);
    err_t err;

    if (!own)
        return -EADDRNOTAVAIL;
    net_enter();
    c->phase = TCP_CONNECTING;
    c->pcb->tmr = tcp_ticks;
    err = connect_from(c->pcb, own, ip, port);
    if (err == ERR_OK)
        note_names(c);
    else
        c->phase = TCP_BOUND;
    net_flush();
    return err == ERR_OK ? -EINPROGRESS : inet_error(err);
}

void tcp_conn_close(struct tcp_conn *c, bool abort)
{
    struct tcp_pcb *pcb = c->pcb;

    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        all = c->next;
    net_enter();
    if (pcb)
        detach(c);
    if (pcb && (abort || tcp_close(pcb) != ERR_OK))
        tcp_abort(pcb);
    net_flush();
    bytes_discard(&c->in);
    kfree(c);
}

/* --- data --- */

/* As much as lwIP takes of it. */
static size_t write_some(struct tcp_conn *c, const void *from, size_t len, u8 flags)
{
    size_t now = MIN(MIN(len, (size_t)c->pcb->snd_buf), (size_t)WRITE_MOST);

    while (now > 0 && tcp_write(c->pcb, from, (u16)now, flags) != ERR_OK)
        now = now > c->pcb->mss ? now / 2 : 0;
    return now;
}

long tcp_conn_send(struct tcp_conn *c, const void *from, size_t len, bool more)
{
    size_t done = 0;

    if (c->sent_end || c->phase == TCP_OVER)
        return -EPIPE;
    net_enter();
    while (c->pcb && done < len) {
        bool last = len - done <= WRITE_MOST;
        u8 flags = TCP_WRITE_FLAG_COPY | (last && !more ? 0 : TCP_WRITE_FLAG_MORE);
        size_t now = write_some(c, (const u8 *)from + done, len - done, flags);

        if (now == 0)
            break;
        done += now;
    }
    if (c->pcb && (!more || done < len))
        tcp_output(c->pcb);
    net_flush();
    return done > 0 ? (long)done : -EAGAIN; /* who is over meanwhile learns it next time */
}

/* The window opens. Small steps are not worth a packet, unless all has been read. */
static void confirm(struct tcp_conn *c, size_t len)
{
    c->to_confirm += (u32)len;
    if (!c->pcb || (c->to_confirm < CONFIRM_AT && c->in.bytes > 0))
        return;
    net_enter();
    while (c->pcb && c->to_confirm > 0) {
        u16 now = (u16)MIN(c->to_confirm, (u32)WRITE_MOST);

        tcp_recved(c->pcb, now);
        c->to_confirm -= now;
    }
    net_flush();
}

long tcp_conn_receive(struct tcp_conn *c, void *to, size_t len, const struct socket_message *m)
{
    size_t n;

    if (m->peek) {
        n = bytes_peek(&c->in, m->skip, to, len);
    } else {
        n = bytes_read(&c->in, to, len);
        confirm(c, n);
    }
    if (n > 0)
        return (long)n;
    return c->ended || c->deaf ? 0 : -EAGAIN;
}

/* What poll calls readable (SO_RCVLOWAT). More than half of the window might never come. */
static size_t readable_from(const struct tcp_conn *c)
{
    int least = c->owner ? c->owner->receive_least : 1;

    return (size_t)MIN(MAX(least, 1), (int)(TCP_WND / 2));
}

u32 tcp_conn_poll(const struct tcp_conn *c)
{
    u32 events = 0;

    if (c->phase == TCP_CONNECTING)
        return 0;
    if (c->phase == TCP_BOUND)
        return POLLOUT | POLLWRNORM | POLLHUP;
    if (c->in.bytes >= readable_from(c) || c->ended || c->deaf)
        events |= POLLIN | POLLRDNORM;
    if (c->ended || c->deaf)
        events |= POLLRDHUP;
    if (c->phase == TCP_OVER || c->sent_end || has_room(c))
        events |= POLLOUT | POLLWRNORM;
    if (c->phase == TCP_OVER)
        events |= POLLHUP;
    return events;
}

void tcp_conn_push(struct tcp_conn *c)
{
    net_enter();
    if (c->pcb)
        tcp_output(c->pcb);
    net_flush();
}

void tcp_conn_end(struct tcp_conn *c)
{
    if (c->sent_end || !c->pcb)
        return;
    net_enter();
    c->sent_end = c->pcb && tcp_shutdown(c->pcb, 0, 1) == ERR_OK;
    note_end(c);
    net_flush();
}

/* --- the end --- */

static bool under_way(const struct tcp_pcb *pcb)
{
    return pcb->unsent || pcb->unacked || pcb->state == FIN_WAIT_1 || pcb->state == LAST_ACK;
}

static bool any_under_way(void)
{
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        if (under_way(pcb))
            return true;
    }
    return false;
}

void tcp_finish(void)
{
    static struct wait_queue nobody;
    u64 end = clock_monotonic_ns() + FINISH_MS * 1000000ull;

    for (struct tcp_conn *c = all, *next; c; c = next) {
        next = c->next;
        c->owner = NULL;
        tcp_conn_close(c, false);
    }
    while (any_under_way() && clock_monotonic_ns() < end)
        wait_on_uninterrupted(&nobody, clock_monotonic_ns() + FINISH_STEP_MS * 1000000ull);
}
