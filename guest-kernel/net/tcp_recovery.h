/*
 * Lost segments, beyond what lwIP does about them. It sends one again after three duplicate
 * acknowledgements (RFC 5681), but takes none for a duplicate whose window differs, and Linux
 * widens its window with each: every loss was a time-out. Here those with a selective
 * acknowledgement count as RFC 6675 (2) has it. And where more than one is lost of a window, the
 * next goes as soon as the one before it has arrived (RFC 6582), instead of after another time-out.
 */
#ifndef GUEST_KERNEL_NET_TCP_RECOVERY_H
#define GUEST_KERNEL_NET_TCP_RECOVERY_H

#include "lwip/tcp.h"
#include "guest-kernel/lib/base.h"

struct tcp_hdr;

/* A segment has arrived for an open connection, which lwIP has not looked at yet. whole: the
 * options are behind the header. */
void tcp_recovery_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header, bool whole);

/* Something was acknowledged: from tcp_sent's callback. */
void tcp_recovery_acked(struct tcp_pcb *pcb);

#endif
