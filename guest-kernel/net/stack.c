#include "guest-kernel/net/stack.h"
#include "guest-kernel/arch/panic.h"
#include "guest-kernel/drivers/net.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/net/listing.h"
#include "guest-kernel/net/timers.h"
#include "guest-kernel/net/lwip/hooks.h"
#include "lwip/init.h"
#include "lwip/ip4.h"
#include "lwip/netif.h"

enum { LO_MTU = 65535 };

static bool inside; /* lwIP, or on the way out of it */

void stack_init(void)
{
    struct netif *lo;

    lwip_init();
    lo = netif_get_by_index(1);
    lo->mtu = LO_MTU;
    lo->mtu6 = LO_MTU;
}

void net_enter(void)
{
    if (inside)
        return;
    inside = true;
    net_timers_run();
    inside = false;
}

/* What goes to ourselves is taken in first: the answer may be for others. */
void net_flush(void)
{
    if (inside)
        return;
    inside = true;
    netif_poll_all();
    net_counters_gather();
    net_notify();
    net_timers_set();
    inside = false;
}

void stack_run(void (*work)(void *arg), void *arg)
{
    bool outside = !inside;

    net_enter();
    inside = true;
    work(arg);
    inside = !outside;
    net_flush();
}

/* --- what lwIP asks of us (net/lwip/arch/cc.h) --- */

u32 net_random(void)
{
    u32 value;

    random_bytes(&value, sizeof(value));
    return value;
}

/*
 * All of 127.0.0.0/8 is ours (RFC 1122, 3.2.1.3), but lwIP takes in what is for an interface's one
 * address: lo has that of the packet while it is looked at. Nothing sleeps meanwhile, and answers
 * find their way by lo's network, which stays the same. 1: taken in.
 */
int net_ip4_arrives(struct pbuf *p, struct netif *netif)
{
    const ip_addr_t own = netif->ip_addr;
    ip4_addr_t to;

    if (netif->name[0] != 'l' || p->len < IP_HLEN)
        return 0;
    ip4_addr_copy(to, ((const struct ip_hdr *)p->payload)->dest);
    if (!ip4_addr_isloopback(&to) || ip4_addr_cmp(&to, netif_ip4_addr(netif)))
        return 0;
    ip_addr_copy_from_ip4(netif->ip_addr, to);
    ip4_input(p, netif);
    netif->ip_addr = own;
    return 1;
}

_Noreturn void net_assertion_failed(const char *text)
{
    panic(NULL, "lwIP: %s", text);
}
