/* Where lwIP asks us (LWIP_HOOK_FILENAME). */
#ifndef GUEST_KERNEL_NET_LWIP_HOOKS_H
#define GUEST_KERNEL_NET_LWIP_HOOKS_H

#include "lwip/err.h"
#include "lwip/ip_addr.h"

/* An initial sequence number that nobody off the path can guess (RFC 6528 wants no less). */
u32_t net_random(void);
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port) net_random()

/* A segment arrives for a connection, or for a listener, which is less than a tcp_pcb. */
struct tcp_pcb;
struct tcp_hdr;
err_t net_tcp_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, options, first, second, p)                         \
    net_tcp_arrives(pcb, header)

/* The next hop out of there where no router has advertised itself; NULL: none. */
struct netif;
const ip6_addr_t *net_gateway6(const struct netif *netif);
#define LWIP_HOOK_ND6_GET_GW(netif, to) net_gateway6(netif)

#endif
