#include "guest-kernel/net/address.h"
#include "guest-kernel/lib/string.h"

enum { VALUE_MAX = 64 };

/* An address without a port or zone, of either family, and the prefix's length if there may be one
 * (-1: not given). Overwrites the text. */
static bool take_address(char *text, bool prefixed, ip_addr_t *out, int *prefix)
{
    size_t len = strlen(text), slash = len;
    int bits = 0;

    *prefix = -1;
    for (size_t i = 0; i < len && prefixed; i++)
        slash = text[i] == '/' && slash == len ? i : slash;
    for (size_t i = slash + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || bits > 128)
            return false;
        bits = bits * 10 + (text[i] - '0');
    }
    if (slash + 1 < len)
        *prefix = bits;
    else if (slash != len)
        return false;
    text[slash] = '\0';
    return ipaddr_aton(text, out) && *prefix <= (IP_IS_V4(out) ? 32 : 128);
}

static void add_ip(struct net_addresses *out, const ip_addr_t *ip, int prefix)
{
    if (IP_IS_V6(ip)) {
        if (out->ip6_count < ADDRESS_IP6_MOST)
            out->ip6[out->ip6_count++] = *ip_2_ip6(ip);
    } else if (!out->has_ip4) {
        out->has_ip4 = true;
        out->ip4 = *ip_2_ip4(ip);
        prefix = prefix < 0 ? 32 : prefix;
        out->mask4.addr = prefix == 0 ? 0 : lwip_htonl(UINT32_MAX << (32 - prefix));
    }
}

static void add_gateway(struct net_addresses *out, const ip_addr_t *ip)
{
    if (IP_IS_V6(ip) && !out->has_gw6) {
        out->has_gw6 = true;
        out->gw6 = *ip_2_ip6(ip);
    } else if (IP_IS_V4(ip) && !out->has_gw4) {
        out->has_gw4 = true;
        out->gw4 = *ip_2_ip4(ip);
    }
}

static bool begins(const char *word, const char *key)
{
    return memcmp(word, key, strlen(key)) == 0;
}

static void take_word(struct net_addresses *out, char *word)
{
    ip_addr_t ip;
    int prefix;

    if (begins(word, "ip=") && take_address(word + 3, true, &ip, &prefix))
        add_ip(out, &ip, prefix);
    else if (begins(word, "gw=") && take_address(word + 3, false, &ip, &prefix))
        add_gateway(out, &ip);
    else if (begins(word, "dns=") && take_address(word + 4, false, &ip, &prefix) &&
             out->dns_count < ADDRESS_DNS_MOST)
        out->dns[out->dns_count++] = ip;
}

static bool ends(char c)
{
    return c == '\0' || c == ' ' || c == '\t' || c == '\n';
}

bool net_addresses_parse(const char *text, struct net_addresses *out)
{
    char word[VALUE_MAX];
    size_t len;

    memset(out, 0, sizeof(*out));
    for (; !ends(*text); text += text[len] == ',' ? len + 1 : len) {
        for (len = 0; !ends(text[len]) && text[len] != ','; len++)
            ;
        if (len >= sizeof(word))
            continue;
        memset(word, 0, sizeof(word));
        memcpy(word, text, len);
        take_word(out, word);
    }
    return out->has_ip4 || out->ip6_count > 0;
}
