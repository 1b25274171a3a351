/*
 * TCP connections upon lwIP (RFC 9293). One holds what was received until it is read, which is
 * never more than the window: that opens as the program reads. What is sent lies in lwIP, bounded
 * by TCP_SND_BUF.
 *
 *     BOUND ──connect──> CONNECTING ──> OPEN ──(reset, time-out, both ends closed)──> OVER
 *
 * A connection that both ends have closed is lwIP's alone: it frees it without a word.
 */
#ifndef GUEST_KERNEL_NET_TCP_CONN_H
#define GUEST_KERNEL_NET_TCP_CONN_H

#include "guest-kernel/net/byte_queue.h"
#include "guest-kernel/net/inet.h"
#include "lwip/tcp.h"

enum tcp_phase { TCP_BOUND, TCP_CONNECTING, TCP_OPEN, TCP_OVER };

struct tcp_conn {
    struct tcp_conn *next, *prev; /* all there are */
    struct tcp_conn *behind;      /* of those that wait to be accepted */
    struct tcp_pcb *pcb;          /* NULL once OVER */
    struct socket *owner;         /* NULL: not accepted yet */
    enum tcp_phase phase;
    bool ended;     /* nothing more will come */
    bool sent_end;  /* nothing more will go */
    bool deaf;      /* what comes is dropped */
    int error;      /* positive: why it is OVER */
    int soft_error; /* what the network said of it, unless the peer has answered since */
    u32 to_confirm; /* bytes read of which lwIP has not been told */
    ip_addr_t local_ip, remote_ip;
    u16 local_port, remote_port;
    struct byte_queue in;
};

/* BOUND, to nothing yet. NULL: out of memory. */
struct tcp_conn *tcp_conn_new(u8 ip_type, struct socket *owner);

/* Of a new connection of lwIP's, OPEN, without owner. NULL: out of memory. */
struct tcp_conn *tcp_conn_accepted(struct tcp_pcb *pcb);

/* Somebody listens there, or at an address that takes that one in, too. */
bool tcp_conn_is_listened_at(const ip_addr_t *ip, u16 port);

/* 0 or -errno. */
int tcp_conn_bind(struct tcp_conn *c, const ip_addr_t *ip, u16 port);
/* Of a new one, to where a listener was whose connections may still be there. */
void tcp_conn_rebind(struct tcp_conn *c, const ip_addr_t *ip, u16 port);
int tcp_conn_connect(struct tcp_conn *c, const ip_addr_t *ip, u16 port);

/* As socket_ops.send and receive; the error is the owner's. */
long tcp_conn_send(struct tcp_conn *c, const void *from, size_t len, bool more);
long tcp_conn_receive(struct tcp_conn *c, void *to, size_t len, const struct socket_message *m);
u32 tcp_conn_poll(const struct tcp_conn *c);
void tcp_conn_push(struct tcp_conn *c); /* sends what `more` has held back */
void tcp_conn_end(struct tcp_conn *c);  /* nothing more is sent */

/* Closes it as close(2) does: what was sent still goes, what was not read resets it. abort: reset
 * anyway. c is gone afterwards. */
void tcp_conn_close(struct tcp_conn *c, bool abort);

/* The program is over: closes all, and waits, but not for ever, until what was sent has arrived. */
void tcp_finish(void);

#endif
