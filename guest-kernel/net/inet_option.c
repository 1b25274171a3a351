/* Options of IP sockets (ip(7), ipv6(7)). */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/inet.h"

enum { IP_TOS = 1, IP_TTL = 2, IP_MTU_DISCOVER = 10, IP_RECVERR = 11, IP_FREEBIND = 15 };
enum {
    IPV6_UNICAST_HOPS = 16,
    IPV6_MTU_DISCOVER = 23,
    IPV6_RECVERR = 25,
    IPV6_TCLASS = 67,
};

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

/* Of either version, as they have the same meaning. */
static int set_discovery(struct inet_hints *hints, const void *value, u32 len)
{
    int number, err = option_number(value, len, &number);

    if (err == 0 && (number < 0 || number > IP_PMTUDISC_OMIT))
        err = -EINVAL;
    if (err == 0)
        hints->discovery = (u8)(number ^ IP_PMTUDISC_WANT);
    return err;
}

static int set_flag(bool *to, const void *value, u32 len)
{
    int number, err = option_number(value, len, &number);

    if (err == 0)
        *to = number != 0;
    return err;
}

static int set_v4_option(struct inet_socket *s, u64 name, const void *value, u32 len)
{
    switch (name) {
    case IP_TOS:
        return set_byte(&s->tos, value, len, 0);
    case IP_TTL:
        return set_byte(&s->ttl, value, len, 1);
    case IP_RECVERR:
        return set_flag(&s->v4.errors, value, len);
    case IP_MTU_DISCOVER:
        return set_discovery(&s->v4, value, len);
    case IP_FREEBIND:
        return set_flag(&s->free_bind, value, len);
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
        return set_flag(&s->v6only, value, len);
    case IPV6_UNICAST_HOPS:
        return set_byte(&s->ttl, value, len, 0);
    case IPV6_TCLASS:
        return set_byte(&s->tos, value, len, 0);
    case IPV6_RECVERR:
        return set_flag(&s->v6.errors, value, len);
    case IPV6_MTU_DISCOVER:
        return set_discovery(&s->v6, value, len);
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

static int get_v4_option(const struct inet_socket *s, u64 name, void *value, u32 *len)
{
    switch (name) {
    case IP_TTL:
        return give_number(value, len, s->ttl ? s->ttl : 64);
    case IP_TOS:
        return give_number(value, len, s->tos);
    case IP_RECVERR:
        return give_number(value, len, s->v4.errors);
    case IP_MTU_DISCOVER:
        return give_number(value, len, s->v4.discovery ^ IP_PMTUDISC_WANT);
    case IP_FREEBIND:
        return give_number(value, len, s->free_bind);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_v6_option(const struct inet_socket *s, u64 name, void *value, u32 *len)
{
    if (s->socket.family != AF_INET6)
        return -ENOPROTOOPT;
    switch (name) {
    case IPV6_UNICAST_HOPS:
        return give_number(value, len, s->ttl ? s->ttl : 64);
    case IPV6_TCLASS:
        return give_number(value, len, s->tos);
    case IPV6_V6ONLY:
        return give_number(value, len, s->v6only);
    case IPV6_RECVERR:
        return give_number(value, len, s->v6.errors);
    case IPV6_MTU_DISCOVER:
        return give_number(value, len, s->v6.discovery ^ IP_PMTUDISC_WANT);
    default:
        return -ENOPROTOOPT;
    }
}

int inet_get_option(const struct inet_socket *s, u64 level, u64 name, void *value, u32 *len)
{
    if (level == IPPROTO_IP)
        return get_v4_option(s, name, value, len);
    return level == IPPROTO_IPV6 ? get_v6_option(s, name, value, len) : -ENOPROTOOPT;
}
