/*
 * What lwIP does not know of connections that begin.
 *
 * Half-open ones. lwIP counts them among those that wait to be accepted, and a listener whose queue
 * is full of them is deaf until they are given up: a flood of SYNs from nowhere shuts it. Here they
 * do not count, there are so many of them at most, and the oldest makes room for the newest (as in
 * BSD's syncache): who answers at once gets in.
 *
 * Simultaneous open (RFC 9293, 3.5), which lwIP
 * does not know: a SYN meets one of ours. It happens to a socket that connects to itself, too.
 * lwIP's SYN_RCVD is for what a listener made; so this connection stays in SYN_SENT, and its SYN
 * goes once more, now with the acknowledgement for which the other side waits, and with which it
 * answers as any that was connected to would.
 */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/lib/base.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/lwip/hooks.h"
#include "guest-kernel/net/tcp_recovery.h"
#include "lwip/priv/tcp_priv.h"

/* Four microseconds, or nearly, are one. */
u32_t net_first_number(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                       u16_t remote_port)
{
    u32 words[9] = {0};

    if (IP_IS_V6(local)) {
        memcpy(words, ip_2_ip6(local)->addr, 16);
        memcpy(words + 4, ip_2_ip6(remote)->addr, 16);
    } else {
        words[0] = ip_2_ip4(local)->addr;
        words[4] = ip_2_ip4(remote)->addr;
    }
    words[8] = (u32)local_port << 16 | remote_port;
    return random_function(words, ARRAY_LEN(words)) + (u32)(kvmclock_ns() >> 12);
}

enum { HALF_OPEN_MOST = 512 };

/* lwIP's list begins with who was heard of last. */
static void make_room(const struct tcp_pcb_listen *listener)
{
    unsigned count = 0;

    for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
        next = pcb->next;
        if (pcb->state != SYN_RCVD || pcb->listener != listener)
            continue;
        if (++count < HALF_OPEN_MOST)
            tcp_backlog_accepted(pcb); /* counts no longer; on_accept counts it again */
        else
            tcp_abandon(pcb, 0);
    }
}

static bool is_first_syn(const struct tcp_hdr *header)
{
    return (TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* lwIP has turned the numbers into our byte order. */
static void turn_back(struct tcp_hdr *h)
{
    h->src = lwip_htons(h->src);
    h->dest = lwip_htons(h->dest);
    h->seqno = lwip_htonl(h->seqno);
    h->ackno = lwip_htonl(h->ackno);
    h->wnd = lwip_htons(h->wnd);
}

/*
 * The other side uses its port again while we still remember the last connection from there (RFC
 * 9293, 3.6.1, and 6191): a number beyond all of that one's cannot be an old segment. We forget it,
 * and the segment arrives once more, for the listener. lwIP does nothing more with this one.
 */
static void begin_again(struct tcp_pcb *pcb, const struct tcp_hdr *header, struct pbuf *p)
{
    const u16 size = TCPH_HDRLEN_BYTES(header);
    struct pbuf *copy = NULL;

    if (pbuf_add_header(p, size) != 0)
        return;
    copy = pbuf_clone(PBUF_IP, PBUF_RAM, p);
    pbuf_remove_header(p, size);
    if (copy == NULL)
        return;
    turn_back(copy->payload);
    tcp_pcb_remove(&tcp_tw_pcbs, pcb);
    tcp_free(pcb);
    tcp_input(copy, ip_current_input_netif());
}

/* Ours is not changed while the device still has it: the other side's comes again. */
err_t net_tcp_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header, struct pbuf *p, bool whole)
{
    if (pcb->state == LISTEN) {
        struct tcp_pcb_listen *listener = (struct tcp_pcb_listen *)pcb;

        if (is_first_syn(header) && listener->accepts_pending >= listener->backlog)
            make_room(listener);
        return ERR_OK;
    }
    if (pcb->state == TIME_WAIT && is_first_syn(header) && whole &&
        TCP_SEQ_GT(header->seqno, pcb->rcv_nxt)) {
        begin_again(pcb, header, p);
        return ERR_ABRT;
    }
    if (pcb->state > SYN_RCVD)
        tcp_recovery_arrives(pcb, header, whole);
    if (pcb->state != SYN_SENT || !is_first_syn(header))
        return ERR_OK;
    if (!pcb->unacked || pcb->unacked->p->ref != 1)
        return ERR_OK;
    pcb->rcv_nxt = pcb->rcv_ann_right_edge = header->seqno + 1; /* already in our byte order */
    TCPH_SET_FLAG(pcb->unacked->tcphdr, TCP_ACK);
    tcp_rexmit(pcb);
    return ERR_OK;
}
