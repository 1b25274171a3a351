/*
 * The words ip=, gw= and dns= of --net: what the guest kernel is told of an interface's addresses
 * (SAMARA_PROP_NET), checked, since there nobody is left to complain to. Static addresses are one
 * of IPv4, three of IPv6 and a gateway of each, as many as the guest kernel has room for.
 */
#ifndef SAMARA_MONITOR_NET_ADDRESSES_H
#define SAMARA_MONITOR_NET_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/platform.h"
#include "monitor/err.h"

enum { NET_V4_MOST = 1, NET_V6_MOST = 3, NET_DNS_MOST = 3 };

/* In the network's byte order; of IPv4 the first four bytes. */
struct net_address {
    bool v6;
    uint8_t bytes[16];
    unsigned prefix; /* bits */
};

struct net_addresses {
    char text[SAMARA_NET_MAX]; /* for the guest; "" at first, as all is zero */
    struct net_address own[NET_V4_MOST + NET_V6_MOST], gateway[2]; /* [0]: of IPv4 */
    unsigned count[2], own_count, dns_count;                       /* count of each family */
    bool has_gateway[2];
};

/* One word's value each. -1 with err. */
int net_addresses_take_ip(struct net_addresses *a, const char *value, struct err *err);
int net_addresses_take_gw(struct net_addresses *a, const char *value, struct err *err);
int net_addresses_take_dns(struct net_addresses *a, const char *value, struct err *err);

/* Whether all go together, and with packets of so many bytes; mtu 0: not said. -1 with err. */
int net_addresses_check(const struct net_addresses *a, unsigned mtu, struct err *err);

#endif
