/* See net_addresses.h. */
#include "monitor/net_addresses.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V4_BITS = 32, V6_BITS = 128, PREFIX_DIGITS = 3, POINT_TO_POINT = 1 };
enum { DHCP_MTU = 576, V6_MTU = 1280 }; /* RFC 2131, 2; RFC 8200, 5 */
enum { WORDS_MOST = NET_V4_MOST + NET_V6_MOST + 2 + NET_DNS_MOST };

_Static_assert(WORDS_MOST *(INET6_ADDRSTRLEN + sizeof(",dns=/128")) <= SAMARA_NET_MAX,
               "all there can be have room");

/* --- one address --- */

static unsigned width(const struct net_address *a)
{
    return a->v6 ? V6_BITS : V4_BITS;
}

static bool parse_v4(const char *text, struct net_address *out)
{
    struct in_addr v4;
    in_addr_t host;

    if (inet_pton(AF_INET, text, &v4) != 1)
        return false;
    host = ntohl(v4.s_addr);
    memcpy(out->bytes, &v4, sizeof(v4));
    return host != INADDR_ANY && host != INADDR_BROADCAST && !IN_MULTICAST(host);
}

static bool parse_v6(const char *text, struct net_address *out)
{
    struct in6_addr v6;

    if (inet_pton(AF_INET6, text, &v6) != 1)
        return false;
    memcpy(out->bytes, &v6, sizeof(v6));
    return !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_MULTICAST(&v6);
}

/* False for what is no host's address. */
static bool parse(const char *text, struct net_address *out)
{
    *out = (struct net_address){.v6 = strchr(text, ':') != NULL};
    out->prefix = width(out);
    return out->v6 ? parse_v6(text, out) : parse_v4(text, out);
}

static int parse_host(const char *name, const char *text, struct net_address *out, struct err *err)
{
    return parse(text, out)
               ? 0
               : err_set(err, "%s: '%.64s' is not a host's address of IPv4 or IPv6", name, text);
}

static bool bit(const struct net_address *a, unsigned number)
{
    return a->bytes[number / 8] >> (7 - number % 8) & 1;
}

static bool same_bits(const struct net_address *a, const struct net_address *b, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++) {
        if (bit(a, i) != bit(b, i))
            return false;
    }
    return true;
}

static bool rest_is(const struct net_address *a, unsigned from, bool value)
{
    for (unsigned i = from; i < width(a); i++) {
        if (bit(a, i) != value)
            return false;
    }
    return true;
}

/* The first in a network stands for the network itself, IPv4's last for all in it; two, or one, are
 * both ends of a link (RFC 3021, RFC 6164). */
static bool is_reserved(const struct net_address *a, unsigned prefix)
{
    return width(a) - prefix > POINT_TO_POINT &&
           (rest_is(a, prefix, false) || (!a->v6 && rest_is(a, prefix, true)));
}

/* --- words --- */

static void add_word(struct net_addresses *a, const char *name, const char *value)
{
    size_t used = strlen(a->text);

    snprintf(a->text + used, sizeof(a->text) - used, "%s%s=%s", used ? "," : "", name, value);
}

static int parse_prefix(const char *digits, struct net_address *out)
{
    char *end;
    unsigned long bits = strtoul(digits, &end, 10);

    if (strlen(digits) > PREFIX_DIGITS || digits[0] < '0' || digits[0] > '9' || *end || bits < 1 ||
        bits > width(out))
        return -1;
    out->prefix = (unsigned)bits;
    return 0;
}

static int parse_ip(const char *value, struct net_address *out, struct err *err)
{
    const char *slash = strchr(value, '/');
    char address[INET6_ADDRSTRLEN];

    if (!slash)
        return err_set(err, "ip: '%.64s' has no length of the prefix (as in 10.0.0.2/24)", value);
    snprintf(address, sizeof(address), "%.*s", (int)(slash - value), value);
    if ((size_t)(slash - value) >= sizeof(address) || !parse(address, out))
        return err_set(err, "ip: '%.64s' is not a host's address of IPv4 or IPv6", value);
    if (parse_prefix(slash + 1, out) != 0)
        return err_set(err, "ip: '%.64s': the prefix has a length of 1 to %u", value, width(out));
    if (is_reserved(out, out->prefix))
        return err_set(err, "ip: '%.64s' is the network, or all in it; a host's is in between",
                       value);
    return 0;
}

static bool is_loopback(const struct net_address *a)
{
    struct in6_addr v6;

    memcpy(&v6, a->bytes, sizeof(v6));
    return a->v6 ? IN6_IS_ADDR_LOOPBACK(&v6) : a->bytes[0] == IN_LOOPBACKNET;
}

int net_addresses_take_ip(struct net_addresses *a, const char *value, struct err *err)
{
    struct net_address ip = {.v6 = false};

    if (parse_ip(value, &ip, err) != 0)
        return -1;
    if (is_loopback(&ip))
        return err_set(
            err, "ip: '%.64s' is lo's, which every guest has; this is for eth0 and so on", value);
    if (a->count[ip.v6] == (ip.v6 ? NET_V6_MOST : NET_V4_MOST))
        return err_set(err, "ip: not more than %d of IPv4 and %d of IPv6", NET_V4_MOST,
                       NET_V6_MOST);
    a->count[ip.v6]++;
    a->own[a->own_count++] = ip;
    add_word(a, "ip", value);
    return 0;
}

int net_addresses_take_gw(struct net_addresses *a, const char *value, struct err *err)
{
    struct net_address gateway;

    if (parse_host("gw", value, &gateway, err) != 0)
        return -1;
    if (a->has_gateway[gateway.v6])
        return err_set(err, "gw: one of each family");
    a->has_gateway[gateway.v6] = true;
    a->gateway[gateway.v6] = gateway;
    add_word(a, "gw", value);
    return 0;
}

int net_addresses_take_dns(struct net_addresses *a, const char *value, struct err *err)
{
    struct net_address server;

    if (parse_host("dns", value, &server, err) != 0)
        return -1;
    if (a->dns_count == NET_DNS_MOST)
        return err_set(err, "dns: not more than %d", NET_DNS_MOST);
    a->dns_count++;
    add_word(a, "dns", value);
    return 0;
}

/* --- all together --- */

static bool is_link_local(const struct net_address *a)
{
    return a->v6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* From an address that is alone in its network the way there is not a question of the network. */
static bool reaches(const struct net_address *own, const struct net_address *gateway)
{
    if (own->v6 != gateway->v6)
        return false;
    if (own->prefix == width(own) || is_link_local(gateway))
        return true;
    return same_bits(own, gateway, own->prefix) && !is_reserved(gateway, own->prefix);
}

static bool is_own(const struct net_addresses *a, const struct net_address *gateway)
{
    for (unsigned i = 0; i < a->own_count; i++) {
        if (a->own[i].v6 == gateway->v6 && same_bits(&a->own[i], gateway, width(gateway)))
            return true;
    }
    return false;
}

static int check_gateway(const struct net_addresses *a, const struct net_address *gateway,
                         struct err *err)
{
    bool reached = false;

    if (a->count[gateway->v6] == 0)
        return err_set(err,
                       "gw goes with an ip= of its family (without ip= both are asked for: DHCP, "
                       "router advertisements)");
    if (is_own(a, gateway))
        return err_set(err, "gw: the interface's own address (ip=) leads nowhere else");
    for (unsigned i = 0; i < a->own_count; i++)
        reached |= reaches(&a->own[i], gateway);
    if (reached)
        return 0;
    return gateway->v6
               ? err_set(err, "gw: neither of fe80::/10 nor a host in a network of ip= (with "
                              "ip=ADDRESS/128 any will do)")
               : err_set(err, "gw: not a host in a network of ip= (with ip=ADDRESS/32 any "
                              "will do)");
}

static int check_mtu(const struct net_addresses *a, unsigned mtu, struct err *err)
{
    if (a->own_count == 0 && mtu < DHCP_MTU)
        return err_set(err, "mtu: DHCP needs %d, and without ip= it is asked", DHCP_MTU);
    if (a->count[true] > 0 && mtu < V6_MTU)
        return err_set(err, "mtu: IPv6 needs %d, and ip= is of IPv6", V6_MTU);
    return 0;
}

int net_addresses_check(const struct net_addresses *a, unsigned mtu, struct err *err)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        if (a->has_gateway[v6] && check_gateway(a, &a->gateway[v6], err) != 0)
            return -1;
    }
    return mtu ? check_mtu(a, mtu, err) : 0;
}
