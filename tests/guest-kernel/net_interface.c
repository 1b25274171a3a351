/* How interfaces come by their addresses. */
#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "lwip/netif.h"
#include "tests/guest-kernel/net_fake.h"

static char text[4096];

Test(net_interface, given_addresses_are_not_waited_for)
{
    u64 before = fake_now;

    fake_addresses = "ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.53,dns=fd00::53";
    cr_expect_eq(net_start(), 0);
    cr_expect_eq(fake_now, before);
    cr_expect_eq(fake_sent().ip6, 0);
    net_resolv_conf(text, sizeof(text));
    cr_expect_str_eq(text, "nameserver 10.0.0.53\nnameserver fd00::53\n");
}

Test(net_interface, a_given_address_of_ipv6_can_be_used_at_once)
{
    fake_addresses = "ip=fd00::2/64,gw=fd00::1";
    net_start();
    cr_expect_eq(netif_ip6_addr_state(netif_default, 1), IP6_ADDR_PREFERRED);
}

Test(net_interface, where_nobody_answers_the_wait_has_an_end)
{
    u64 before = fake_now;

    net_start();
    cr_expect_lt(fake_now - before, 5 * SECOND + SECOND / 4);
    cr_expect_geq(fake_sent().ip4, 3); /* asked more than once */
    before = fake_now;
    net_start();
    cr_expect_eq(fake_now, before);
}

Test(net_interface, without_a_link_there_is_nobody_to_wait_for)
{
    u64 before = fake_now;

    fake_link_up = false;
    net_start();
    cr_expect_eq(fake_now, before);
    cr_expect_eq(fake_sent().ip4, 0);
}

Test(net_interface, names_are_those_of_linux)
{
    char name[8];

    fake_addresses = "ip=10.0.0.2/24";
    net_start();
    net_interface_name(netif_get_by_index(1), name);
    cr_expect_str_eq(name, "lo");
    net_interface_name(netif_default, name);
    cr_expect_str_eq(name, "eth0");
}
