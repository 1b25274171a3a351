/* Addresses, errors and options of IP sockets. */
#include "guest-kernel/net/inet.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/interface.h"
#include "guest-kernel/net/lwip/hooks.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"

enum { IP_TOS = 1, IP_TTL = 2, IP_MTU_DISCOVER = 10, IP_RECVERR = 11, IP_FREEBIND = 15 };
enum {
    IPV6_UNICAST_HOPS = 16,
    IPV6_MTU_DISCOVER = 23,
    IPV6_RECVERR = 25,
    IPV6_V6ONLY = 26,
    IPV6_TCLASS = 67,
};

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

/* --- options --- */

int option_number(const void *value, u32 len, int *out)
{
    if (len < sizeof(*out))
        return -EINVAL;
    memcpy(out, value, sizeof(*out));
    return 0;
}

int give_number(void *value, u32 *len, int number)
{
    memcpy(value, &number, sizeof(number));
    *len = sizeof(number);
    return 0;
}

void inet_apply(const struct inet_socket *s, struct ip_pcb *pcb)
{
    static const struct {
        unsigned option;
        u8 flag;
    } flags[] = {{SO_REUSEADDR, SOF_REUSEADDR},
                 {SO_REUSEPORT, SOF_REUSEADDR},
                 {SO_KEEPALIVE, SOF_KEEPALIVE},
                 {SO_BROADCAST, SOF_BROADCAST}};
    u8 set = 0;

    for (unsigned i = 0; i < ARRAY_LEN(flags); i++)
        set |= socket_switch(&s->socket, flags[i].option) ? flags[i].flag : 0;
    pcb->so_options =
        (u8)((pcb->so_options & ~(SOF_REUSEADDR | SOF_KEEPALIVE | SOF_BROADCAST)) | set);
    pcb->tos = s->tos;
    if (s->ttl)
        pcb->ttl = s->ttl;
}

static int set_byte(u8 *to, const void *value, u32 len, int least)
{
    int number, err = len == 1 ? 0 : option_number(value, len, &number);

    if (len == 1)
        number = *(const u8 *)value;
    if (err == 0 && number == -1)
        number = 0; /* the default again */
    else if (err == 0 && (number < least || number > UINT8_MAX))
        err = -EINVAL;
    if (err == 0)
        *to = (u8)number;
    return err;
}

/* Once bound it stays as it is: lwIP's control block is of one kind. */
static int set_v6only(struct inet_socket *s, const void *value, u32 len)
{
    int number, err = option_number(value, len, &number);

    if (err == 0)
        s->v6only = number != 0;
    return err;
}

static int set_v4_option(struct inet_socket *s, u64 name, const void *value, u32 len)
{
    switch (name) {
    case IP_TOS:
        return set_byte(&s->tos, value, len, 0);
    case IP_TTL:
        return set_byte(&s->ttl, value, len, 1);
    case IP_RECVERR: /* none come */
    case IP_MTU_DISCOVER:
    case IP_FREEBIND:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_v6_option(struct inet_socket *s, u64 name, const void *value, u32 len)
{
    if (s->socket.family != AF_INET6)
        return -ENOPROTOOPT;
    switch (name) {
    case IPV6_V6ONLY:
        return set_v6only(s, value, len);
    case IPV6_UNICAST_HOPS:
        return set_byte(&s->ttl, value, len, 0);
    case IPV6_TCLASS:
        return set_byte(&s->tos, value, len, 0);
    case IPV6_RECVERR:
    case IPV6_MTU_DISCOVER:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int inet_set_option(struct inet_socket *s, u64 level, u64 name, const void *value, u32 len)
{
    if (level == IPPROTO_IP)
        return set_v4_option(s, name, value, len);
    return level == IPPROTO_IPV6 ? set_v6_option(s, name, value, len) : -ENOPROTOOPT;
}

int inet_get_option(const struct inet_socket *s, u64 level, u64 name, void *value, u32 *len)
{
    bool v6 = level == IPPROTO_IPV6 && s->socket.family == AF_INET6;

    if ((level == IPPROTO_IP && name == IP_TTL) || (v6 && name == IPV6_UNICAST_HOPS))
        return give_number(value, len, s->ttl ? s->ttl : 64);
    if ((level == IPPROTO_IP && name == IP_TOS) || (v6 && name == IPV6_TCLASS))
        return give_number(value, len, s->tos);
    if (v6 && name == IPV6_V6ONLY)
        return give_number(value, len, s->v6only);
    return -ENOPROTOOPT;
}
