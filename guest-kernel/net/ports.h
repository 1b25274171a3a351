/*
 * Ports for who names none: from Linux's range, a free one at random (RFC 6056). lwIP looks through
 * all control blocks once for each port that is taken, which is a second and more where most are;
 * here it is done once.
 */
#ifndef GUEST_KERNEL_NET_PORTS_H
#define GUEST_KERNEL_NET_PORTS_H

#include "guest-kernel/lib/base.h"
#include "lwip/ip_addr.h"

enum { PORT_FIRST = 32768, PORT_LAST = 60999 };

/* 0: none is free. */
u16 port_for_bind(void);
/* For a connection to there: one that a connection to elsewhere has will do. */
u16 port_for_connect(const ip_addr_t *to, u16 to_port);
u16 port_for_datagrams(void);

#endif
