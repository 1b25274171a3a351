/*
 * "Port unreachable" (RFC 792; RFC 4443, 3.1): nobody is where a datagram of ours went. lwIP sends
 * such messages and drops those it gets; a raw control block sees them before that.
 */
#ifndef GUEST_KERNEL_NET_UNREACHABLE_H
#define GUEST_KERNEL_NET_UNREACHABLE_H

#include "lwip/udp.h"

/* From now on refused() is called, within lwIP, with the connected control block of whose datagram
 * a message speaks. Again with the same function: nothing. */
void unreachable_watch(void (*refused)(struct udp_pcb *pcb));

#endif
