/* What programs ask of interfaces (netdevice(7)); changing them is not for the program. */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/net/inet.h"
#include "guest-kernel/net/interface.h"
#include "lwip/netif.h"

enum {
    SIOCGIFNAME = 0x8910,
    SIOCGIFCONF = 0x8912,
    SIOCGIFFLAGS = 0x8913,
    SIOCGIFADDR = 0x8915,
    SIOCGIFBRDADDR = 0x8919,
    SIOCGIFNETMASK = 0x891b,
    SIOCGIFMTU = 0x8921,
    SIOCGIFHWADDR = 0x8927,
    SIOCGIFINDEX = 0x8933,
    SIOCGIFTXQLEN = 0x8942,
};
enum {
    IFF_UP = 1,
    IFF_BROADCAST = 2,
    IFF_LOOPBACK = 8,
    IFF_RUNNING = 0x40,
    IFF_MULTICAST = 0x1000
};
enum { ARPHRD_ETHER = 1, ARPHRD_LOOPBACK = 772, NAME_BYTES = 16 };

struct ifreq {
    char name[NAME_BYTES];
    union {
        struct sockaddr_in address;
        struct {
            u16 family;
            u8 bytes[14];
        } hardware;
        s16 flags;
        int number;
        u64 room[3];
    };
};
_Static_assert(sizeof(struct ifreq) == 40, "struct ifreq");

struct ifconf {
    int len, pad;
    u64 list;
};

static void name_of(const struct netif *netif, char name[NAME_BYTES])
{
    char text[8];

    net_interface_name(netif, text);
    memset(name, 0, NAME_BYTES);
    memcpy(name, text, strnlen(text, sizeof(text)));
}

static const struct netif *by_name(const char *name)
{
    const struct netif *netif;
    char known[NAME_BYTES];

    NETIF_FOREACH(netif)
    {
        name_of(netif, known);
        if (memcmp(known, name, strnlen(known, NAME_BYTES) + 1) == 0)
            return netif;
    }
    return NULL;
}

static bool is_ethernet(const struct netif *netif)
{
    return netif->flags & NETIF_FLAG_ETHARP;
}

static s16 flags_of(const struct netif *netif)
{
    int flags = is_ethernet(netif) ? IFF_BROADCAST | IFF_MULTICAST : IFF_LOOPBACK;

    if (netif_is_up(netif))
        flags |= IFF_UP;
    if (netif_is_link_up(netif))
        flags |= IFF_RUNNING;
    return (s16)flags;
}

static void give_v4(struct ifreq *r, u32 address)
{
    r->address = (struct sockaddr_in){.family = AF_INET, .address = address};
}

static int answer(const struct netif *netif, u32 request, struct ifreq *r)
{
    u32 ip = ip4_addr_get_u32(netif_ip4_addr(netif));
    u32 mask = ip4_addr_get_u32(netif_ip4_netmask(netif));

    memset(r->room, 0, sizeof(r->room));
    switch (request) {
    case SIOCGIFFLAGS:
        r->flags = flags_of(netif);
        return 0;
    case SIOCGIFADDR:
        give_v4(r, ip);
        return ip ? 0 : -EADDRNOTAVAIL;
    case SIOCGIFBRDADDR:
        give_v4(r, ip | ~mask);
        return ip ? 0 : -EADDRNOTAVAIL;
    case SIOCGIFNETMASK:
        give_v4(r, mask);
        return ip ? 0 : -EADDRNOTAVAIL;
    case SIOCGIFMTU:
        r->number = netif->mtu;
        return 0;
    case SIOCGIFHWADDR:
        r->hardware.family = is_ethernet(netif) ? ARPHRD_ETHER : ARPHRD_LOOPBACK;
        memcpy(r->hardware.bytes, netif->hwaddr, netif->hwaddr_len);
        return 0;
    case SIOCGIFINDEX:
        r->number = netif_get_index(netif);
        return 0;
    case SIOCGIFTXQLEN:
        return 0;
    default:
        return -ENOTTY;
    }
}

static long list_all(u64 arg)
{
    struct ifconf c;
    const struct netif *netif;
    int len = 0;

    if (copy_from_user(&c, arg, sizeof(c)) != 0)
        return -EFAULT;
    NETIF_FOREACH(netif)
    {
        struct ifreq r;

        name_of(netif, r.name);
        if (answer(netif, SIOCGIFADDR, &r) != 0)
            continue;
        if (c.list != 0 && c.len - len < (int)sizeof(r))
            break;
        if (c.list != 0 && copy_to_user(c.list + (u64)len, &r, sizeof(r)) != 0)
            return -EFAULT;
        len += (int)sizeof(r);
    }
    c.len = len;
    return copy_to_user(arg, &c, sizeof(c));
}

static long tell_name(u64 arg, struct ifreq *r)
{
    const struct netif *netif =
        r->number > 0 && r->number <= UINT8_MAX ? netif_get_by_index((u8)r->number) : NULL;

    if (!netif)
        return -ENODEV;
    name_of(netif, r->name);
    return copy_to_user(arg, r, sizeof(*r));
}

long inet_ioctl(u32 request, u64 arg)
{
    const struct netif *netif;
    struct ifreq r;
    int err;

    if (request >> 8 != 0x89)
        return -ENOTTY;
    if (request == SIOCGIFCONF)
        return list_all(arg);
    if (copy_from_user(&r, arg, sizeof(r)) != 0)
        return -EFAULT;
    if (request == SIOCGIFNAME)
        return tell_name(arg, &r);
    r.name[NAME_BYTES - 1] = '\0';
    netif = by_name(r.name);
    if (!netif)
        return -ENODEV;
    err = answer(netif, request, &r);
    return err ? err : copy_to_user(arg, &r, sizeof(r));
}
