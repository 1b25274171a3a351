#include "guest-kernel/net/ports.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/lwip/hooks.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/udp.h"

enum { COUNT = PORT_LAST - PORT_FIRST + 1, BITS = 64 };

static u64 taken[(COUNT + BITS - 1) / BITS];

static void take(u16 port)
{
    const u32 at = (u32)port - PORT_FIRST;

    if (port >= PORT_FIRST && port <= PORT_LAST)
        taken[at / BITS] |= 1ull << at % BITS;
}

static u16 choose(void)
{
    const u32 start = net_random() % COUNT;

    for (u32 i = 0; i < COUNT; i++) {
        const u32 at = (start + i) % COUNT;

        if (!(taken[at / BITS] >> at % BITS & 1))
            return (u16)(PORT_FIRST + at);
    }
    return 0;
}

/* Of connections, those to elsewhere are not in the way of one to `to`. */
static bool is_in_the_way(const struct tcp_pcb *pcb, const ip_addr_t *to, u16 to_port)
{
    if (!to || pcb->state == CLOSED || pcb->state == LISTEN)
        return true;
    return pcb->remote_port == to_port && ip_addr_cmp(&pcb->remote_ip, to);
}

static u16 choose_for_tcp(const ip_addr_t *to, u16 to_port)
{
    memset(taken, 0, sizeof(taken));
    for (unsigned list = 0; list < NUM_TCP_PCB_LISTS; list++) {
        for (const struct tcp_pcb *pcb = *tcp_pcb_lists[list]; pcb; pcb = pcb->next) {
            if (is_in_the_way(pcb, to, to_port))
                take(pcb->local_port);
        }
    }
    return choose();
}

u16 port_for_bind(void)
{
    return choose_for_tcp(NULL, 0);
}

u16 port_for_connect(const ip_addr_t *to, u16 to_port)
{
    return choose_for_tcp(to, to_port);
}

u16 port_for_datagrams(void)
{
    memset(taken, 0, sizeof(taken));
    for (const struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next)
        take(pcb->local_port);
    return choose();
}
