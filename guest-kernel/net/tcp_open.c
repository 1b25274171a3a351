/*
 * Simultaneous open (RFC 9293, 3.5), which lwIP does not know: a SYN meets one of ours. It happens
 * to a socket that connects to itself, too. lwIP's SYN_RCVD is for what a listener made; so this
 * connection stays in SYN_SENT, and its SYN goes once more, now with the acknowledgement for which
 * the other side waits, and with which it answers as any that was connected to would.
 */
#include "guest-kernel/lib/base.h"
#include "guest-kernel/net/lwip/hooks.h"
#include "lwip/priv/tcp_priv.h"

static bool is_first_syn(const struct tcp_hdr *header)
{
    return (TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Ours is not changed while the device still has it: the other side's comes again. */
err_t net_tcp_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
    if (pcb->state != SYN_SENT || !is_first_syn(header))
        return ERR_OK;
    if (!pcb->unacked || pcb->unacked->p->ref != 1)
        return ERR_OK;
    pcb->rcv_nxt = pcb->rcv_ann_right_edge = header->seqno + 1; /* already in our byte order */
    TCPH_SET_FLAG(pcb->unacked->tcphdr, TCP_ACK);
    tcp_rexmit(pcb);
    return ERR_OK;
}
