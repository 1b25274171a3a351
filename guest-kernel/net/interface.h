/*
 * The interfaces of the program's network: lo, and one for each device, eth0 to eth3. They come up
 * when the program first asks for something of the network, with the addresses that the monitor was
 * given for them or, where there are none, with those that DHCP and routers (SLAAC) have for them.
 */
#ifndef GUEST_KERNEL_NET_INTERFACE_H
#define GUEST_KERNEL_NET_INTERFACE_H

#include "guest-kernel/lib/base.h"
#include "guest-kernel/net/stack.h"

struct netif;

/* Brings everything up, once, and waits for addresses: of IPv4 for five seconds if nobody answers
 * and for eight if somebody does, for one if there is one of IPv6. A signal ends the wait and
 * nothing else. May sleep. 0: a call that finds no way to its peer says so itself. */
int net_start(void);

/* Writes resolv.conf: the name servers known now. Returns the length, less than size. */
size_t net_resolv_conf(char *buf, size_t size);

/* The name that programs know it by, at most 6 characters and NUL. */
void net_interface_name(const struct netif *netif, char name[8]);

#endif
