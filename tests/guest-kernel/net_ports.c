/* Ports that nobody named. */
#include "guest-kernel/net/ports.h"
#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/udp.h"
#include "tests/guest-kernel/net_fake.h"

static const ip_addr_t there = IPADDR4_INIT_BYTES(10, 0, 0, 1);
static const ip_addr_t elsewhere = IPADDR4_INIT_BYTES(10, 0, 0, 9);

static void setup(void)
{
    fake_addresses = "ip=10.0.0.2/24";
    net_start();
}

TestSuite(net_ports, .init = setup);

/* As bound, or as connected to `to`; by hand, since lwIP itself looks at all for each. */
static struct tcp_pcb *occupy(u16 port, const ip_addr_t *to, u16 to_port)
{
    struct tcp_pcb *pcb = tcp_new();

    pcb->local_port = port;
    if (to) {
        pcb->state = ESTABLISHED;
        pcb->remote_ip = *to;
        pcb->remote_port = to_port;
        TCP_REG_ACTIVE(pcb);
    } else {
        TCP_REG(&tcp_bound_pcbs, pcb);
    }
    return pcb;
}

static void occupy_all_but(u16 free_port, const ip_addr_t *to, u16 to_port)
{
    for (unsigned port = PORT_FIRST; port <= PORT_LAST; port++) {
        if (port != free_port)
            occupy((u16)port, to, to_port);
    }
}

static void occupy_datagrams_but(u16 free_port)
{
    for (unsigned port = PORT_FIRST; port <= PORT_LAST; port++) {
        struct udp_pcb *pcb = port != free_port ? udp_new() : NULL;

        if (!pcb)
            continue;
        pcb->local_port = (u16)port;
        pcb->next = udp_pcbs;
        udp_pcbs = pcb;
    }
}

Test(net_ports, they_are_of_the_range_and_differ)
{
    unsigned same = 0;
    u16 last = 0;

    for (unsigned i = 0; i < 1000; i++) {
        u16 port = i % 2 ? port_for_bind() : port_for_datagrams();

        cr_assert(port >= 32768 && port <= 60999);
        same += port == last;
        last = port;
    }
    cr_expect_lt(same, 10);
}

Test(net_ports, the_only_free_one_is_found)
{
    occupy_all_but(PORT_LAST, NULL, 0);
    cr_expect_eq(port_for_bind(), PORT_LAST);
    cr_expect_eq(port_for_connect(&there, 80), PORT_LAST);
    occupy(PORT_LAST, NULL, 0);
    cr_expect_eq(port_for_bind(), 0);
    cr_expect_eq(port_for_connect(&there, 80), 0);
}

Test(net_ports, connections_to_elsewhere_are_not_in_the_way)
{
    occupy_all_but(PORT_FIRST, &there, 80);
    cr_expect_eq(port_for_bind(), PORT_FIRST);
    cr_expect_eq(port_for_connect(&there, 80), PORT_FIRST);
    occupy(PORT_FIRST, &there, 80);
    cr_expect_eq(port_for_bind(), 0);
    cr_expect_eq(port_for_connect(&there, 80), 0);
    cr_expect_neq(port_for_connect(&there, 81), 0);
    cr_expect_neq(port_for_connect(&elsewhere, 80), 0);
}

Test(net_ports, ports_out_of_the_range_are_not_counted)
{
    occupy(PORT_FIRST - 1, NULL, 0);
    occupy(PORT_LAST + 1, NULL, 0);
    occupy(80, NULL, 0);
    cr_expect_neq(port_for_bind(), 0);
}

Test(net_ports, datagrams_have_their_own)
{
    occupy_all_but(0, NULL, 0);
    occupy_datagrams_but(PORT_FIRST + 77);
    cr_expect_eq(port_for_datagrams(), PORT_FIRST + 77);
}
