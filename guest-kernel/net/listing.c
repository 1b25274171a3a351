/* See listing.h. */
#include "guest-kernel/net/listing.h"
#include "guest-kernel/drivers/net.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/net/interface.h"
#include "lwip/netif.h"
#include "lwip/snmp.h"

enum { ROUTE_UP = 1, ROUTE_GATEWAY = 2, PREFIX6 = 64, SCOPE_HOST = 0x10, SCOPE_LINK = 0x20 };
enum { FLAG_PERMANENT = 0x80, FLAG_TENTATIVE = 0x40 };

/* --- counters --- */

struct counter {
    u64 total;
    u32 seen;
};

static struct counters {
    struct counter in_bytes, in_packets, out_bytes, out_packets;
} counters[1 + NET_MOST]; /* by number, lo's first */

static void count(struct counter *c, u32 now)
{
    c->total += now - c->seen;
    c->seen = now;
}

static struct counters *counters_of(const struct netif *netif)
{
    return &counters[(netif_get_index(netif) - 1u) % ARRAY_LEN(counters)];
}

void net_counters_gather(void)
{
    const struct netif *netif;

    NETIF_FOREACH(netif)
    {
        struct counters *c = counters_of(netif);

        count(&c->in_bytes, netif->mib2_counters.ifinoctets);
        count(&c->in_packets, netif->mib2_counters.ifinucastpkts);
        count(&c->out_bytes, netif->mib2_counters.ifoutoctets);
        count(&c->out_packets, netif->mib2_counters.ifoutucastpkts);
    }
}

/* --- lines --- */

static size_t put_device(char *buf, size_t size, const struct netif *netif)
{
    const struct counters *c = counters_of(netif);
    char name[8];

    net_interface_name(netif, name);
    return kprint_to(buf, size,
                     "%6s: %7lu %7lu    0    0    0     0          0         0 %8lu %7lu    0    "
                     "0    0     0       0          0\n",
                     name, c->in_bytes.total, c->in_packets.total, c->out_bytes.total,
                     c->out_packets.total);
}

static size_t put_address6(char *buf, size_t size, const struct netif *netif, s8_t number)
{
    const ip6_addr_t *ip = netif_ip6_addr(netif, number);
    unsigned prefix = ip6_addr_isloopback(ip) ? 128 : PREFIX6;
    unsigned scope = ip6_addr_isloopback(ip)    ? SCOPE_HOST
                     : ip6_addr_islinklocal(ip) ? SCOPE_LINK
                                                : 0;
    char name[8];

    net_interface_name(netif, name);
    return kprint_to(buf, size, "%08x%08x%08x%08x %02x %02x %02x %02x %8s\n",
                     lwip_ntohl(ip->addr[0]), lwip_ntohl(ip->addr[1]), lwip_ntohl(ip->addr[2]),
                     lwip_ntohl(ip->addr[3]), (unsigned)netif_get_index(netif), prefix, scope,
                     (unsigned)(ip6_addr_istentative(netif_ip6_addr_state(netif, number))
                                    ? FLAG_TENTATIVE
                                    : FLAG_PERMANENT),
                     name);
}

static size_t put_addresses6(char *buf, size_t size, const struct netif *netif)
{
    size_t at = 0;

    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (!ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)))
            at += put_address6(buf + at, size - at, netif, i);
    }
    return at;
}

/* Addresses as they lie in memory. */
static size_t put_route(char *buf, size_t size, const struct netif *netif, u32 to, u32 gateway,
                        u32 mask)
{
    char name[8];

    net_interface_name(netif, name);
    return kprint_to(buf, size, "%s\t%08x\t%08x\t%04x\t0\t0\t0\t%08x\t0\t0\t0\n", name, to, gateway,
                     (unsigned)(gateway ? ROUTE_UP | ROUTE_GATEWAY : ROUTE_UP), mask);
}

/* lo's is not in Linux's table either. */
static size_t put_routes(char *buf, size_t size, const struct netif *netif)
{
    u32 ip = ip4_addr_get_u32(netif_ip4_addr(netif));
    u32 mask = ip4_addr_get_u32(netif_ip4_netmask(netif));
    u32 gateway = ip4_addr_get_u32(netif_ip4_gw(netif));
    size_t at = 0;

    if (!(netif->flags & NETIF_FLAG_ETHARP) || !netif_is_up(netif) || ip == 0)
        return 0;
    if (gateway)
        at += put_route(buf, size, netif, 0, gateway, 0);
    return at + put_route(buf + at, size - at, netif, ip & mask, 0, mask);
}

/* --- lists --- */

static size_t list(char *buf, size_t size, const char *head,
                   size_t (*put)(char *buf, size_t size, const struct netif *netif))
{
    const struct netif *netif;
    size_t at = kprint_to(buf, size, "%s", head);

    NETIF_FOREACH(netif)
    at += put(buf + at, size - at, netif);
    return at;
}

size_t net_list_devices(char *buf, size_t size)
{
    return list(
        buf, size,
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets "
        "errs drop fifo colls carrier compressed\n",
        put_device);
}

size_t net_list_addresses6(char *buf, size_t size)
{
    return list(buf, size, "", put_addresses6);
}

size_t net_list_routes(char *buf, size_t size)
{
    return list(
        buf, size,
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n",
        put_routes);
}
