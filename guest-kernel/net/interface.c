#include "guest-kernel/net/interface.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/drivers/net.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/address.h"
#include "guest-kernel/net/lwip/hooks.h"
#include "guest-kernel/net/stack.h"
#include "guest-kernel/net/timers.h"
#include "guest-kernel/task/wait.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/prot/dhcp.h"
#include "netif/ethernet.h"

#define SECOND_NS 1000000000ull

/* Servers of DHCP look whether somebody has an address before they offer it: busybox for 2 s,
 * dnsmasq, and so libvirt's networks, for 3. Where a router has been faster, less is at stake. */
enum { SILENCE_S = 5, PATIENCE_S = 8, ROUTER_ONLY_S = 1 };

struct interface {
    struct netif netif;
    struct dhcp dhcp;
    struct net_addresses fixed;
    unsigned device;
    bool is_fixed;
};

static struct interface interfaces[NET_MOST];
static unsigned interface_count;
static struct wait_queue changed; /* an address came, or the link did */

/* What DHCP and routers say; fixed ones are with their interfaces. */
static ip_addr_t told_dns[2][ADDRESS_DNS_MOST];

/* --- coming up --- */

static void on_change(struct netif *netif)
{
    (void)netif;
    wake_all(&changed);
}

static void set_fixed(struct interface *i)
{
    struct netif *n = &i->netif;
    s8_t slot;

    if (i->fixed.has_ip4)
        netif_set_addr(n, &i->fixed.ip4, &i->fixed.mask4,
                       i->fixed.has_gw4 ? &i->fixed.gw4 : IP4_ADDR_ANY4);
    for (unsigned k = 0; k < i->fixed.ip6_count; k++) {
        if (netif_add_ip6_address(n, &i->fixed.ip6[k], &slot) == ERR_OK)
            netif_ip6_addr_set_state(n, slot, IP6_ADDR_PREFERRED); /* whoever chose it knows */
    }
}

/* IPv6 is not spoken where all addresses are given and none is one. */
static void bring_up(struct interface *i)
{
    struct netif *n = &i->netif;

    netif_set_status_callback(n, on_change);
    if (!i->is_fixed || i->fixed.ip6_count > 0)
        netif_create_ip6_linklocal_address(n, 1);
    netif_set_ip6_autoconfig_enabled(n, !i->is_fixed);
    set_fixed(i);
    netif_set_up(n);
    if (i->is_fixed)
        n->rs_count = 0; /* routers are not asked for */
    if (!netif_default)
        netif_set_default(n);
    if (!i->is_fixed) {
        dhcp_set_struct(n, &i->dhcp);
        dhcp_start(n);
    }
}

static err_t attach(struct netif *netif)
{
    const struct interface *i = netif->state;

    return net_attach(i->device, netif) ? ERR_OK : ERR_IF;
}

static void add(unsigned device)
{
    struct interface *i = &interfaces[interface_count];

    i->device = device;
    i->is_fixed = net_addresses_parse(net_addresses(device), &i->fixed);
    if (!netif_add(&i->netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, i, attach,
                   ethernet_input))
        return;
    interface_count++;
    bring_up(i);
}

static void start_all(void)
{
    stack_init();
    net_enter();
    for (unsigned d = 0; d < net_count(); d++)
        add(d);
    nd6_tmr(); /* routers are asked at once: some answer before DHCP does */
    net_flush();
}

/* --- waiting for addresses --- */

static bool has_ip4(const struct netif *n)
{
    return !ip4_addr_isany_val(*netif_ip4_addr(n));
}

static bool has_ip6(const struct netif *n)
{
    for (s8_t k = 1; k < LWIP_IPV6_NUM_ADDRESSES; k++) { /* 0 is the link's own */
        if (ip6_addr_isvalid(netif_ip6_addr_state(n, k)))
            return true;
    }
    return false;
}

static u64 patience_s(const struct interface *i)
{
    if (i->dhcp.state == DHCP_STATE_REQUESTING)
        return PATIENCE_S;
    return has_ip6(&i->netif) ? ROUTER_ONLY_S : SILENCE_S;
}

/* Somebody may still give this interface an address. Routers answer at once or not at all. */
static bool hopeful(const struct interface *i, u64 waited_ns)
{
    return !i->is_fixed && netif_is_link_up(&i->netif) && !has_ip4(&i->netif) &&
           waited_ns < patience_s(i) * SECOND_NS;
}

static bool any_hopeful(u64 waited_ns)
{
    for (unsigned k = 0; k < interface_count; k++) {
        if (hopeful(&interfaces[k], waited_ns))
            return true;
    }
    return false;
}

static void await_addresses(void)
{
    const u64 start = clock_monotonic_ns(), pause = SECOND_NS / 10;
    u64 now = start;

    while (any_hopeful(now - start)) {
        int err = wait_on(&changed, now + pause);

        if (err != 0 && err != -ETIMEDOUT)
            return;
        now = clock_monotonic_ns();
    }
}

int net_start(void)
{
    static bool started;

    if (started)
        return 0;
    started = true;
    net_timers_hurry(true);
    start_all();
    await_addresses();
    net_enter();
    net_timers_hurry(false);
    net_flush();
    return 0;
}

/* --- what lwIP asks of us (net/lwip/hooks.h) --- */

const ip6_addr_t *net_gateway6(const struct netif *netif)
{
    const struct interface *i;

    if (netif->name[0] != 'e')
        return NULL;
    i = (const struct interface *)netif; /* its first member */
    return i->fixed.has_gw6 ? &i->fixed.gw6 : NULL;
}

/* --- names --- */

void net_interface_name(const struct netif *netif, char name[8])
{
    if (netif->name[0] == 'l')
        memcpy(name, "lo", 3);
    else
        kprint_to(name, 8, "eth%u", (unsigned)(netif->num - 1) & 3);
}

void dns_init(void)
{
}

void dns_setserver(u8_t number, const ip_addr_t *server)
{
    ip_addr_t *list;

    if (number >= ADDRESS_DNS_MOST)
        return;
    /* Each family counts from 0; NULL comes from router advertisements only. */
    list = told_dns[!server || IP_IS_V6(server)];
    list[number] = server ? *server : *IP6_ADDR_ANY;
}

const ip_addr_t *dns_getserver(u8_t number)
{
    return number < ADDRESS_DNS_MOST ? &told_dns[1][number] : IP6_ADDR_ANY;
}

/* lwIP writes capitals, others do not (RFC 5952, 4.3). */
static void without_capitals(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'F')
            *text = (char)(*text - 'A' + 'a');
    }
}

static size_t put_server(char *buf, size_t size, const ip_addr_t *server)
{
    char text[IPADDR_STRLEN_MAX];

    if (ip_addr_isany(server) || !ipaddr_ntoa_r(server, text, sizeof(text)))
        return 0;
    without_capitals(text);
    return kprint_to(buf, size, "nameserver %s\n", text);
}

size_t net_resolv_conf(char *buf, size_t size)
{
    size_t at = 0;

    buf[0] = '\0';
    for (unsigned k = 0; k < interface_count; k++) {
        const struct net_addresses *a = &interfaces[k].fixed;

        for (unsigned n = 0; n < a->dns_count; n++)
            at += put_server(buf + at, size - at, &a->dns[n]);
    }
    for (unsigned family = 0; family < 2; family++) {
        for (unsigned n = 0; n < ADDRESS_DNS_MOST; n++)
            at += put_server(buf + at, size - at, &told_dns[family][n]);
    }
    return at;
}
