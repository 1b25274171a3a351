/* Where lwIP asks us (LWIP_HOOK_FILENAME). */
#ifndef GUEST_KERNEL_NET_LWIP_HOOKS_H
#define GUEST_KERNEL_NET_LWIP_HOOKS_H

#include "lwip/err.h"
#include "lwip/ip_addr.h"

/* An initial sequence number that nobody off the path can guess, and beyond all of the last
 * connection's between the same two (RFC 6528). */
u32_t net_random(void);
u32_t net_first_number(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                       u16_t remote_port);
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port)                                  \
    net_first_number(local, local_port, remote, remote_port)

/* A segment arrives for a connection, or for a listener, which is less than a tcp_pcb. */
struct tcp_pcb;
struct tcp_hdr;
struct pbuf;
err_t net_tcp_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header, struct pbuf *p,
                      bool whole);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, options, first, second, p)                         \
    net_tcp_arrives(pcb, header, p, (options) == (first))

/* A packet of IPv4 arrives. */
struct netif;
int net_ip4_arrives(struct pbuf *p, struct netif *netif);
#define LWIP_HOOK_IP4_INPUT(p, netif) net_ip4_arrives(p, netif)

/* The next hop out of there where no router has advertised itself; NULL: none. */
const ip6_addr_t *net_gateway6(const struct netif *netif);
#define LWIP_HOOK_ND6_GET_GW(netif, to) net_gateway6(netif)

#endif
