/* See tcp_recovery.h. RFC 6582's "recover" is pcb->rto_end, which lwIP uses after time-outs alone;
 * TF_INFR says that it is recovering. */
#include "guest-kernel/net/tcp_recovery.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_SACK = 5 };

static const struct tcp_pcb *recovering; /* as the segment that is looked at arrived */

static bool has_sack(const struct tcp_hdr *header)
{
    const u8 *at = (const u8 *)(header + 1);
    size_t left = TCPH_HDRLEN_BYTES(header) - TCP_HLEN;

    while (left > 0 && *at != OPTION_END && *at != OPTION_SACK) {
        const size_t size = *at == OPTION_NOP ? 1 : left > 1 ? at[1] : 0;

        if (size == 0 || size > left || (size < 2 && *at != OPTION_NOP))
            return false;
        at += size;
        left -= size;
    }
    return left > 0 && *at == OPTION_SACK;
}

/* The wider window counts from before it on, and the acknowledgement has nothing else to tell. */
static void widen_window(struct tcp_pcb *pcb, u16 told)
{
    const tcpwnd_size_t window = SND_WND_SCALE(pcb, told);

    if (window <= pcb->snd_wnd || pcb->persist_backoff > 0)
        return;
    pcb->snd_wnd = window;
    pcb->snd_wnd_max = LWIP_MAX(pcb->snd_wnd_max, window);
}

void tcp_recovery_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header, bool whole)
{
    recovering = pcb->flags & TF_INFR ? pcb : NULL;
    if (!(pcb->flags & (TF_INFR | TF_RTO)))
        pcb->rto_end = pcb->snd_nxt;
    if (whole && TCPH_FLAGS(header) & TCP_ACK && header->ackno == pcb->lastack &&
        header->ackno == pcb->snd_wl2 && has_sack(header))
        widen_window(pcb, header->wnd);
}

void tcp_recovery_acked(struct tcp_pcb *pcb)
{
    if (recovering != pcb || pcb->flags & TF_RTO || !pcb->unacked ||
        !TCP_SEQ_LT(pcb->lastack, pcb->rto_end))
        return;
    if (tcp_rexmit(pcb) == ERR_OK)
        tcp_set_flags(pcb, TF_INFR);
}
