/* See net_config.h. */
#include "monitor/net_config.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/net_addresses.h"
#include "monitor/option_list.h"
#include "monitor/unix_socket.h"

enum { FD_MOST = 1 << 20 };

struct parse {
    struct net_interface *out;
    struct net_addresses addresses;
};

/* --- numbers --- */

/* Digits alone, at most max; or -1. */
static long whole_number(const char *text, long max)
{
    long n = 0;

    if (!text[0])
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        n = n * 10 + (*text - '0');
        if (n > max)
            return -1;
    }
    return n;
}

static int take_mtu(void *arg, const char *value, struct err *err)
{
    struct parse *p = arg;
    long mtu = whole_number(value, UINT16_MAX);

    if (mtu < VIRTIO_NET_MTU_MIN)
        return err_set(err, "mtu: '%.32s' is not a number from %u to %u", value, VIRTIO_NET_MTU_MIN,
                       UINT16_MAX);
    p->out->mtu = (uint16_t)mtu;
    return 0;
}

/* --- the interface's own address --- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    int digit = at ? (int)(at - digits) : -1;

    return digit < 16 ? digit : digit - 6;
}

/* Six times two digits with colons between them. */
static bool parse_mac(const char *text, uint8_t mac[VIRTIO_NET_MAC_BYTES])
{
    if (strlen(text) != 3 * VIRTIO_NET_MAC_BYTES - 1)
        return false;
    for (unsigned i = 0; i < VIRTIO_NET_MAC_BYTES; i++, text += 3) {
        int high = hex_digit(text[0]), low = hex_digit(text[1]);

        if (high < 0 || low < 0 || (text[2] && text[2] != ':'))
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int take_mac(void *arg, const char *value, struct err *err)
{
    static const uint8_t none[VIRTIO_NET_MAC_BYTES];
    struct net_interface *c = ((struct parse *)arg)->out;

    if (!parse_mac(value, c->mac))
        return err_set(err, "mac: '%.32s' is not an address as 02:00:00:00:00:01", value);
    if ((c->mac[0] & 1) || memcmp(c->mac, none, sizeof(none)) == 0)
        return err_set(err,
                       "mac: %s is not an interface's own address (the first byte is even, as in "
                       "02:00:00:00:00:01)",
                       value);
    c->has_mac = true;
    return 0;
}

/* --- Internet addresses --- */

static int take_ip(void *arg, const char *value, struct err *err)
{
    return net_addresses_take_ip(&((struct parse *)arg)->addresses, value, err);
}

static int take_gw(void *arg, const char *value, struct err *err)
{
    return net_addresses_take_gw(&((struct parse *)arg)->addresses, value, err);
}

static int take_dns(void *arg, const char *value, struct err *err)
{
    return net_addresses_take_dns(&((struct parse *)arg)->addresses, value, err);
}

/* --- limits --- */

static int take_rate(void *arg, const char *value, struct err *err)
{
    return list_take_rate(&((struct parse *)arg)->out->rate, value, err);
}

static int take_iops(void *arg, const char *value, struct err *err)
{
    return list_take_iops(&((struct parse *)arg)->out->rate, value, err);
}

static int take_burst(void *arg, const char *value, struct err *err)
{
    return list_take_burst(&((struct parse *)arg)->out->rate, value, err);
}

static const struct list_word words[] = {
    {"mac", LIST_VALUE, take_mac},     {"mtu", LIST_VALUE, take_mtu},
    {"rate", LIST_VALUE, take_rate},   {"iops", LIST_VALUE, take_iops},
    {"burst", LIST_VALUE, take_burst}, {"ip", LIST_VALUES, take_ip},
    {"gw", LIST_VALUES, take_gw},      {"dns", LIST_VALUES, take_dns},
};
static const struct list_words all_words = {
    words, sizeof(words) / sizeof(words[0]),
    "mac=, mtu=, rate=, iops=, burst=, ip=, gw= and dns= (a comma in a name is written twice)"};

/* --- what is behind it --- */

static int take_tap(struct net_interface *c, const char *name, struct err *err)
{
    size_t len = strlen(name);

    c->backend = NET_CONFIG_TAP;
    c->name = name;
    if (len == 0 || len >= IFNAMSIZ || strpbrk(name, "/ \t\n"))
        return err_set(err, "tap: '%.64s' is not an interface's name, which has 1 to %d characters",
                       name, IFNAMSIZ - 1);
    return 0;
}

static int take_fd(struct net_interface *c, const char *value, struct err *err)
{
    c->backend = NET_CONFIG_FD;
    c->fd = (int)whole_number(value, FD_MOST - 1);
    if (c->fd < 3)
        return err_set(err, "fd: '%.32s' is not the number of an inherited descriptor, from 3 on",
                       value);
    return 0;
}

static int take_passt(struct net_interface *c, const char *path, struct err *err)
{
    c->backend = path ? NET_CONFIG_PASST_SOCKET : NET_CONFIG_PASST;
    c->name = path;
    if (path && (!path[0] || strlen(path) > UNIX_PATH_MAX))
        return err_set(err, "passt: the path of a socket has 1 to %d characters", UNIX_PATH_MAX);
    return 0;
}

static int take_backend(struct net_interface *c, char *part, struct err *err)
{
    const char *value = list_value(part);

    if (strcmp(part, "passt") == 0)
        return take_passt(c, value, err);
    if (value && strcmp(part, "tap") == 0)
        return take_tap(c, value, err);
    if (value && strcmp(part, "fd") == 0)
        return take_fd(c, value, err);
    return err_set(err,
                   "'%.64s' is none of tap=NAME, fd=N, passt and passt=SOCKET, one of which comes "
                   "first",
                   part);
}

int net_config_parse(struct net_interface *c, const char *text, struct err *err)
{
    struct parse p = {.out = c};
    char *rest = strdup(text);

    if (!rest)
        return err_sys(err, "options");
    *c = (struct net_interface){.fd = -1};
    if (take_backend(c, list_next(&rest), err) != 0 || list_take(rest, &all_words, &p, err) != 0 ||
        net_addresses_check(&p.addresses, c->mtu, err) != 0 || list_check_rate(&c->rate, err) != 0)
        return -1;
    c->addresses = strdup(p.addresses.text);
    return c->addresses ? 0 : err_sys(err, "options");
}
