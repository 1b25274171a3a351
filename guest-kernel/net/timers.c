/*
 * A protocol's row has its tick, and `wanted`: in how many ticks from now something is to happen, 0
 * if nothing is. What wanted looks at are lwIP's own structures, of the version that
 * cmake/debian-sources names.
 *
 * Reassembly needs no wake-up: what is left of a datagram only takes up memory, little and bounded,
 * until somebody calls again.
 */
#include "guest-kernel/net/timers.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/net/neighbour.h"
#include "guest-kernel/net/stack.h"
#include "guest-kernel/task/timer.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"

#define MS_NS         1000000ull
#define HURRY_DIVISOR 10u

enum {
    ARP_TICKS = 6,  /* requests are repeated for so long (etharp.c: ARP_MAXPENDING) */
    ND_SELDOM = 60, /* lifetimes are in minutes */

};

struct hand {
    u32 interval_ms;
    u32 catch_up; /* ticks made up for, at most */
    void (*tick)(void);
    u32 (*wanted)(void);
    bool can_hurry;
    void (*skip)(u32 count); /* for ticks that are not all made up for; NULL: nothing */
    u64 at;                  /* when it ticked last, or would have */
};

static struct timer timer;
static u32 arp_ticks;

/* The sooner of two numbers of ticks, 0 being never. */
static u32 sooner(u32 a, u32 b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* --- TCP --- */

enum { SLOW = 2 }; /* tcp_slowtmr is done in every second tick */

/* A connection with nothing under way that time could end. */
static bool is_quiet(const struct tcp_pcb *pcb)
{
    const unsigned flags = TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR;
    bool still = pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT ||
                 (pcb->state == FIN_WAIT_2 && !(pcb->flags & TF_RXCLOSED));

    return still && !pcb->unsent && !pcb->unacked && !pcb->ooseq && !pcb->refused_data &&
           !pcb->poll && !(pcb->flags & flags) && pcb->persist_backoff == 0;
}

/* Ticks until tcp_ticks has gone beyond `due`. */
static u32 until(u32 due)
{
    return (i32)(due - tcp_ticks) >= 0 ? (due - tcp_ticks + 1) * SLOW : 1;
}

static u32 keepalive_wanted(const struct tcp_pcb *pcb)
{
    if (!(pcb->so_options & SOF_KEEPALIVE) || pcb->state == FIN_WAIT_2)
        return 0;
    return until(pcb->tmr +
                 (pcb->keep_idle + pcb->keep_cnt_sent * pcb->keep_intvl) / TCP_SLOW_INTERVAL);
}

static u32 tcp_wanted(void)
{
    u32 wanted = 0;

    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
        wanted = sooner(wanted, is_quiet(pcb) ? keepalive_wanted(pcb) : 1);
    for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
        wanted = sooner(wanted, until(pcb->tmr + 2 * TCP_MSL / TCP_SLOW_INTERVAL));
    return wanted;
}

/* Connections are quiet in those ticks that were left out: only the clock went on. */
static void tcp_skip(u32 count)
{
    tcp_ticks += (count - 1) / SLOW;
}

/* lwIP has a connection to time; net_flush will look. */
void tcp_timer_needed(void)
{
}

/* --- ARP and reassembly --- */

static void arp_tick(void)
{
    etharp_tmr();
    neighbours_check();
    if (arp_ticks > 0)
        arp_ticks--;
}

static u32 arp_wanted(void)
{
    return arp_ticks > 0;
}

void net_timers_arp(void)
{
    arp_ticks = ARP_TICKS;
}

static void reassembly_tick(void)
{
    ip_reass_tmr();
    ip6_reass_tmr();
}

/* --- DHCP --- */

static u32 dhcp_fine_wanted(void)
{
    struct netif *netif;
    u32 wanted = 0;

    NETIF_FOREACH(netif)
    {
        const struct dhcp *dhcp = netif_dhcp_data(netif);

        if (dhcp)
            wanted = sooner(wanted, dhcp->request_timeout);
    }
    return wanted;
}

static u32 dhcp_coarse_wanted(void)
{
    struct netif *netif;
    u32 wanted = 0;

    NETIF_FOREACH(netif)
    {
        const struct dhcp *dhcp = netif_dhcp_data(netif);

        if (!dhcp || dhcp->state == DHCP_STATE_OFF)
            continue;
        wanted = sooner(wanted, sooner(dhcp->t1_renew_time, dhcp->t2_rebind_time));
        if (dhcp->t0_timeout)
            wanted = sooner(wanted, MAX((u32)dhcp->t0_timeout - dhcp->lease_used, 1u));
    }
    return wanted;
}

/* --- IPv6 --- */

static u32 addresses_wanted(struct netif *netif)
{
    bool up = netif_is_up(netif) && netif_is_link_up(netif);
    bool asks = netif->rs_count > 0 && !ip6_addr_isinvalid(netif_ip6_addr_state(netif, 0));
    u32 wanted = 0;

    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (!ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)) &&
            !netif_ip6_addr_isstatic(netif, i))
            wanted = ND_SELDOM;
    }
    return asks && up ? 1 : wanted;
}

static void nd_tick(void)
{
    nd6_tmr();
    neighbours_check();
}

static u32 nd_wanted(void)
{
    struct netif *netif;
    u32 wanted = 0;

    for (unsigned i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        u8_t state = neighbor_cache[i].state;

        if (state == ND6_INCOMPLETE || state == ND6_DELAY || state == ND6_PROBE)
            return 1;
    }
    NETIF_FOREACH(netif)
    wanted = sooner(wanted, addresses_wanted(netif));
    return wanted;
}

static u32 mld_wanted(void)
{
    struct netif *netif;
    u32 wanted = 0;

    NETIF_FOREACH(netif)
    {
        for (const struct mld_group *g = netif_mld6_data(netif); g; g = g->next)
            wanted = sooner(wanted, g->timer);
    }
    return wanted;
}

static u32 nothing_wanted(void)
{
    return 0;
}

/* --- all together --- */

static struct hand hands[] = {
    {TCP_TMR_INTERVAL, SLOW, tcp_tmr, tcp_wanted, false, tcp_skip, 0},
    {ARP_TMR_INTERVAL, ARP_MAXAGE, arp_tick, arp_wanted, false, NULL, 0},
    {IP_TMR_INTERVAL, IPV6_REASS_MAXAGE, reassembly_tick, nothing_wanted, false, NULL, 0},
    {DHCP_FINE_TIMER_MSECS, 60, dhcp_fine_tmr, dhcp_fine_wanted, true, NULL, 0},
    {DHCP_COARSE_TIMER_MSECS, 24 * 60, dhcp_coarse_tmr, dhcp_coarse_wanted, false, NULL, 0},
    {ND6_TMR_INTERVAL, 3600, nd_tick, nd_wanted, true, NULL, 0},
    {MLD6_TMR_INTERVAL, 100, mld6_tmr, mld_wanted, false, NULL, 0},
};

void net_timers_hurry(bool hurry)
{
    static bool hurries;

    if (hurry == hurries)
        return;
    hurries = hurry;
    for (unsigned i = 0; i < ARRAY_LEN(hands); i++) {
        struct hand *h = &hands[i];

        if (h->can_hurry)
            h->interval_ms =
                hurry ? h->interval_ms / HURRY_DIVISOR : h->interval_ms * HURRY_DIVISOR;
    }
}

static void make_up(const struct hand *h, u64 count)
{
    if (h->skip && count > 0)
        h->skip((u32)MIN(count, (u64)UINT32_MAX));
    for (u64 i = 0; i < MIN(count, (u64)h->catch_up); i++)
        h->tick();
}

void net_timers_run(void)
{
    u64 now = clock_monotonic_ns();

    for (unsigned i = 0; i < ARRAY_LEN(hands); i++) {
        struct hand *h = &hands[i];
        u64 count = (now - h->at) / (h->interval_ms * MS_NS);

        h->at += count * h->interval_ms * MS_NS;
        make_up(h, count);
    }
}

static void on_timer(struct timer *t)
{
    (void)t;
    net_enter();
    net_flush();
}

/* A timer that is early enough is left alone: moving it for each packet would cost an exit. */
void net_timers_set(void)
{
    u64 next = UINT64_MAX;

    for (unsigned i = 0; i < ARRAY_LEN(hands); i++) {
        u32 wanted = hands[i].wanted();

        if (wanted > 0)
            next = MIN(next, hands[i].at + (u64)wanted * hands[i].interval_ms * MS_NS);
    }
    if (next == UINT64_MAX) {
        timer_cancel(&timer);
    } else if (!timer.armed || timer.deadline != next) {
        timer.fire = on_timer;
        timer_set(&timer, next);
    }
}

/* --- what lwIP asks of us --- */

void sys_timeouts_init(void)
{
    u64 now = clock_monotonic_ns();

    for (unsigned i = 0; i < ARRAY_LEN(hands); i++)
        hands[i].at = now;
}

u32_t sys_now(void)
{
    return (u32_t)(clock_monotonic_ns() / MS_NS);
}
