/*
 * lwIP's periodic work on one timer of the kernel. lwIP would tick for ever, every 50 ms to 60 s,
 * for each protocol; here each says when a tick will matter next, and an idle machine sleeps. Ticks
 * that nobody needed are made up for before lwIP is called again.
 */
#ifndef GUEST_KERNEL_NET_TIMERS_H
#define GUEST_KERNEL_NET_TIMERS_H

#include "guest-kernel/lib/base.h"

/* A connection's first time-out, before a round trip was measured: RFC 6298's second (lwIP has
 * three built in), in lwIP's ticks. */
#define NET_FIRST_RTO (1000 / TCP_SLOW_INTERVAL)

/* Does the ticks that are due, and those left out. */
void net_timers_run(void);

/* Sees to it that the kernel calls when the next one is needed. */
void net_timers_set(void);

/* An ARP request went out: for some seconds there are others to follow. */
void net_timers_arp(void);

/* DHCP and routers are asked again ten times as fast: somebody waits for the address. Lifetimes
 * lose some seconds by it. */
void net_timers_hurry(bool hurry);

#endif
