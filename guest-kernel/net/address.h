/*
 * The addresses of an interface as text, from the device tree (SAMARA_PROP_NET) or the kernel
 * command line:
 *
 *     ip=10.0.0.2/24,ip=fd00::2/64,gw=10.0.0.1,gw=fd00::1,dns=10.0.0.1
 *
 * A blank ends it as well. lwIP holds one address of IPv4; the first counts. Prefixes of IPv6 are
 * taken to be of 64 bits.
 */
#ifndef GUEST_KERNEL_NET_ADDRESS_H
#define GUEST_KERNEL_NET_ADDRESS_H

#include "guest-kernel/lib/base.h"
#include "lwip/ip_addr.h"

enum { ADDRESS_IP6_MOST = 3, ADDRESS_DNS_MOST = 3 };

struct net_addresses {
    bool has_ip4, has_gw4, has_gw6;
    ip4_addr_t ip4, mask4, gw4;
    ip6_addr_t ip6[ADDRESS_IP6_MOST], gw6;
    unsigned ip6_count;
    ip_addr_t dns[ADDRESS_DNS_MOST];
    unsigned dns_count;
};

/* Words that are malformed or too many are left out. False if there is no ip= among them: the
 * addresses are to be asked for. */
bool net_addresses_parse(const char *text, struct net_addresses *out);

#endif
