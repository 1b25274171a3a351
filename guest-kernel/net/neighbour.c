/* See neighbour.h. What it looks at are lwIP's own structures, of the version that
 * cmake/debian-sources names. */
#include "guest-kernel/net/neighbour.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/net/unreachable.h"
#include "lwip/etharp.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"

static bool is_known4(struct netif *way, const ip4_addr_t *to)
{
    const bool on_link = ip4_addr_netcmp(to, netif_ip4_addr(way), netif_ip4_netmask(way)) ||
                         ip4_addr_islinklocal(to);
    const ip4_addr_t *found;
    struct eth_addr *at;

    return ip4_addr_cmp(to, netif_ip4_addr(way)) ||
           etharp_find_addr(way, on_link ? to : netif_ip4_gw(way), &at, &found) >= 0;
}

/* Where lwIP has not looked yet, or not for long, nothing is known against it. */
static const ip6_addr_t *next_hop6(const ip6_addr_t *to)
{
    for (unsigned i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++) {
        if (ip6_addr_cmp(&destination_cache[i].destination_addr, to))
            return &destination_cache[i].next_hop_addr;
    }
    return NULL;
}

static bool is_known6(const ip6_addr_t *to)
{
    const ip6_addr_t *hop = next_hop6(to);

    for (unsigned i = 0; hop && i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        if (neighbor_cache[i].state > ND6_INCOMPLETE &&
            ip6_addr_cmp(&neighbor_cache[i].next_hop_address, hop))
            return true;
    }
    return !hop;
}

static bool is_silent(const struct tcp_pcb *pcb)
{
    struct netif *way = ip_route(&pcb->local_ip, &pcb->remote_ip);

    if (!way || !(way->flags & NETIF_FLAG_ETHARP))
        return false;
    return IP_IS_V4(&pcb->remote_ip) ? !is_known4(way, ip_2_ip4(&pcb->remote_ip))
                                     : !is_known6(ip_2_ip6(&pcb->remote_ip));
}

void neighbours_check(void)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
        next = pcb->next;
        if (pcb->state == SYN_SENT && tcp_ticks - pcb->tmr >= NEIGHBOUR_TICKS && is_silent(pcb))
            unreachable_tell(pcb, EHOSTUNREACH);
    }
}
