/* Addresses and errors of IP sockets. */
#include "guest-kernel/net/inet.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/interface.h"
#include "guest-kernel/net/lwip/hooks.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"

int inet_create(struct socket *s)
{
    (void)s;
    return net_start();
}

/* --- addresses --- */

static const u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

static int take_v4(const struct socket_address *a, ip_addr_t *ip, u16 *port)
{
    struct sockaddr_in in;

    if (a->length < sizeof(in))
        return -EINVAL;
    memcpy(&in, a->bytes, sizeof(in));
    if (in.family != AF_INET)
        return -EAFNOSUPPORT;
    *port = lwip_ntohs(in.port);
    ip_addr_set_ip4_u32_val(*ip, in.address);
    return 0;
}

static void take_v6_address(const struct inet_socket *s, const struct sockaddr_in6 *in,
                            ip_addr_t *ip)
{
    ip6_addr_t *v6 = ip_2_ip6(ip);

    ip_addr_set_zero_ip6(ip);
    memcpy(v6->addr, in->address, sizeof(in->address));
    if (ip6_addr_isany(v6) && !s->v6only)
        IP_SET_TYPE(ip, IPADDR_TYPE_ANY);
    else if (ip6_addr_has_scope(v6, IP6_UNKNOWN) && in->scope <= UINT8_MAX)
        ip6_addr_set_zone(v6, (u8)in->scope);
}

static int take_v6(const struct inet_socket *s, const struct socket_address *a, ip_addr_t *ip,
                   u16 *port)
{
    struct sockaddr_in6 in;
    u32 v4;

    if (a->length < sizeof(in) - sizeof(in.scope)) /* the scope was not always there */
        return -EINVAL;
    memcpy(&in, a->bytes, sizeof(in));
    if (in.family != AF_INET6)
        return -EAFNOSUPPORT;
    *port = lwip_ntohs(in.port);
    if (memcmp(in.address, mapped, sizeof(mapped)) != 0) {
        take_v6_address(s, &in, ip);
        return 0;
    }
    memcpy(&v4, in.address + sizeof(mapped), sizeof(v4));
    ip_addr_set_ip4_u32_val(*ip, v4);
    return s->v6only ? -ENETUNREACH : 0;
}

int inet_take(const struct inet_socket *s, const struct socket_address *a, ip_addr_t *ip, u16 *port)
{
    memset(ip, 0, sizeof(*ip));
    return s->socket.family == AF_INET ? take_v4(a, ip, port) : take_v6(s, a, ip, port);
}

static void tell_v4(const ip_addr_t *ip, u16 port, struct socket_address *out)
{
    const struct sockaddr_in in = {.family = AF_INET,
                                   .port = lwip_htons(port),
                                   .address = IP_IS_V4(ip) ? ip4_addr_get_u32(ip_2_ip4(ip)) : 0};

    memcpy(out->bytes, &in, sizeof(in));
    out->length = sizeof(in);
}

static void tell_v6(const ip_addr_t *ip, u16 port, struct socket_address *out)
{
    struct sockaddr_in6 in = {.family = AF_INET6, .port = lwip_htons(port)};

    if (IP_IS_V6(ip)) {
        memcpy(in.address, ip_2_ip6(ip)->addr, sizeof(in.address));
        in.scope = ip6_addr_zone(ip_2_ip6(ip));
    } else if (!IP_IS_ANY_TYPE_VAL(*ip)) {
        u32 v4 = ip4_addr_get_u32(ip_2_ip4(ip));

        memcpy(in.address, mapped, sizeof(mapped));
        memcpy(in.address + sizeof(mapped), &v4, sizeof(v4));
    }
    memcpy(out->bytes, &in, sizeof(in));
    out->length = sizeof(in);
}

void inet_tell(const struct socket *s, const ip_addr_t *ip, u16 port, struct socket_address *out)
{
    *out = (struct socket_address){.length = 0};
    if (s->family == AF_INET)
        tell_v4(ip, port, out);
    else
        tell_v6(ip, port, out);
}

/* --- ways: what lwIP does not know the way to, it takes to be on the first interface's link, where
 * it looks for seconds --- */

/* lo's gateway is itself. */
static bool leads_to4(const struct netif *interface, const ip4_addr_t *ip)
{
    const ip4_addr_t *own = netif_ip4_addr(interface), *gateway = netif_ip4_gw(interface);

    if (!ip4_addr_isany(gateway) && !ip4_addr_cmp(gateway, own))
        return true;
    return !ip4_addr_isany(own) && ip4_addr_netcmp(ip, own, netif_ip4_netmask(interface));
}

static bool leads_to6(const struct netif *interface, const ip6_addr_t *ip)
{
    if (net_gateway6(interface))
        return true;
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (ip6_addr_isvalid(netif_ip6_addr_state(interface, i)) &&
            ip6_addr_netcmp(ip, netif_ip6_addr(interface, i)) &&
            (netif_ip6_addr_isstatic(interface, i) ||
             ip6_addr_nethostcmp(ip, netif_ip6_addr(interface, i))))
            return true;
    }
    return false;
}

/* Whether a link or a gateway is in question at all. */
static bool is_routed(const ip_addr_t *ip)
{
    if (IP_IS_V4(ip))
        return !ip4_addr_ismulticast(ip_2_ip4(ip)) &&
               ip4_addr_get_u32(ip_2_ip4(ip)) != IPADDR_BROADCAST;
    return !ip6_addr_has_scope(ip_2_ip6(ip), IP6_UNKNOWN);
}

static bool has_way(const ip_addr_t *ip)
{
    const struct netif *interface;

    if (!is_routed(ip) || (!IP_IS_V4(ip) && nd6_find_route(ip_2_ip6(ip))))
        return true;
    NETIF_FOREACH(interface)
    {
        if (netif_is_up(interface) && netif_is_link_up(interface) &&
            (IP_IS_V4(ip) ? leads_to4(interface, ip_2_ip4(ip))
                          : leads_to6(interface, ip_2_ip6(ip))))
            return true;
    }
    return false;
}

int inet_destination(ip_addr_t *ip)
{
    if (IP_IS_V4(ip) && ip4_addr_isany(ip_2_ip4(ip)))
        ip_addr_set_loopback_val(false, *ip);
    else if (!IP_IS_V4(ip) && ip6_addr_isany(ip_2_ip6(ip)))
        ip_addr_set_loopback_val(true, *ip);
    return has_way(ip) ? 0 : -ENETUNREACH;
}

static bool has_address(const struct netif *interface, const ip_addr_t *ip)
{
    if (IP_IS_V4(ip))
        return ip4_addr_cmp(netif_ip4_addr(interface), ip_2_ip4(ip));
    for (unsigned i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (ip6_addr_isvalid(netif_ip6_addr_state(interface, i)) &&
            ip6_addr_cmp_zoneless(netif_ip6_addr(interface, i), ip_2_ip6(ip)))
            return true;
    }
    return false;
}

/* All of 127.0.0.0/8 is. */
bool inet_is_ours(const ip_addr_t *ip)
{
    const struct netif *interface;

    if (ip_addr_isany(ip) || IP_IS_ANY_TYPE_VAL(*ip) || ip_addr_isloopback(ip))
        return true;
    NETIF_FOREACH(interface)
    {
        if (has_address(interface, ip))
            return true;
    }
    return false;
}

u8 inet_pcb_type(const struct inet_socket *s)
{
    if (s->socket.family == AF_INET)
        return IPADDR_TYPE_V4;
    return s->v6only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

/* --- errors --- */

int inet_error(err_t err)
{
    static const struct {
        err_t lwip;
        int ours;
    } errors[] = {
        {ERR_OK, 0},
        {ERR_MEM, -ENOBUFS},
        {ERR_BUF, -EADDRNOTAVAIL}, /* no port is left */
        {ERR_TIMEOUT, -ETIMEDOUT},
        {ERR_RTE, -ENETUNREACH},
        {ERR_VAL, -EINVAL},
        {ERR_USE, -EADDRINUSE},
        {ERR_ALREADY, -EALREADY},
        {ERR_ISCONN, -EISCONN},
        {ERR_CONN, -ENOTCONN},
        {ERR_IF, -ENETDOWN},
        {ERR_ABRT, -ETIMEDOUT}, /* lwIP gave up */
        {ERR_RST, -ECONNRESET},
        {ERR_CLSD, -EPIPE},
        {ERR_ARG, -EINVAL},
    };

    for (unsigned i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].lwip == err)
            return errors[i].ours;
    }
    return -EIO;
}
