/*
 * "Destination unreachable" and "time exceeded" (RFC 792; RFC 4443, 3.1 and 3.3): a packet of ours
 * did not arrive. lwIP sends such messages and drops those it gets; a raw control block sees them
 * before that.
 */
#ifndef GUEST_KERNEL_NET_UNREACHABLE_H
#define GUEST_KERNEL_NET_UNREACHABLE_H

#include "lwip/tcp.h"
#include "lwip/udp.h"
#include "guest-kernel/lib/base.h"

struct unreachable {
    int error; /* positive */
    bool hard; /* trying again will not help, as far as its sender knows */
};

/* Of the connected control block that sent the datagram. */
typedef void unreachable_datagram(struct udp_pcb *pcb, const struct unreachable *why);
/* Of the connection under way in which the message's segment is: who is not on the way and guesses
 * does not get so far (RFC 5927). It may be ended. */
typedef void unreachable_segment(struct tcp_pcb *pcb, int error);

/* From now on these are called, within lwIP. */
void unreachable_watch_datagrams(unreachable_datagram *told);
void unreachable_watch_segments(unreachable_segment *told);

/* For what is found out without a message. */
void unreachable_tell(struct tcp_pcb *pcb, int error);

#endif
