/*
 * Interfaces, their addresses of IPv6 and routes as text, as /proc/net has them (proc(5)). Nothing
 * is listed before the network was started.
 */
#ifndef GUEST_KERNEL_NET_LISTING_H
#define GUEST_KERNEL_NET_LISTING_H

#include "guest-kernel/lib/base.h"

/* As much as fits; the length. */
size_t net_list_devices(char *buf, size_t size);
size_t net_list_addresses6(char *buf, size_t size);
size_t net_list_routes(char *buf, size_t size);

/* lwIP's counters have 32 bits, which lo fills in a second: to be called more often. */
void net_counters_gather(void);

#endif
