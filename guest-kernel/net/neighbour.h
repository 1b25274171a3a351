/*
 * Neighbours that do not answer. lwIP asks for a hardware address five times, keeps what is to go
 * there for so long, and says nothing when it drops it; whoever connects would try again until he
 * gives up for another reason.
 */
#ifndef GUEST_KERNEL_NET_NEIGHBOUR_H
#define GUEST_KERNEL_NET_NEIGHBOUR_H

#include "guest-kernel/lib/base.h"

/* In lwIP's ticks, for as long as Linux asks: three requests, a second apart. */
#define NEIGHBOUR_TICKS (3000 / TCP_SLOW_INTERVAL)

/* Tells those connections (unreachable.h) that have waited for one for so long, counted from
 * pcb->tmr, which has no other use before they are open. */
void neighbours_check(void);

#endif
