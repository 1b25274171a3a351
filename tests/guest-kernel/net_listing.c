/* What /proc/net says of interfaces, in Linux's columns. */
#include "guest-kernel/net/listing.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "guest-kernel/net/stack.h"
#include "lwip/udp.h"
#include "tests/guest-kernel/net_fake.h"

enum { DATAGRAMS = 5, PAYLOAD = 60000, HEADERS = 28 };

static char text[4096];

static const char *listed(size_t (*list)(char *buf, size_t size))
{
    cr_assert_eq(list(text, sizeof(text)), strlen(text));
    return text;
}

static void send_all(void *arg)
{
    struct udp_pcb *pcb = udp_new();
    ip_addr_t to;

    (void)arg;
    ip_addr_set_loopback_val(false, to);
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, PAYLOAD, PBUF_RAM);

        cr_assert_eq(udp_sendto(pcb, p, &to, 7), ERR_OK);
        pbuf_free(p);
    }
    udp_remove(pcb);
}

/* Which of lo's columns; its name is column 0. */
static unsigned long column(unsigned number)
{
    char *save, *word = strtok_r(strstr(text, "lo:"), " ", &save);

    while (number-- > 0)
        word = strtok_r(NULL, " ", &save);
    return strtoul(word, NULL, 10);
}

Test(net_listing, before_the_network_starts_there_is_nothing)
{
    cr_expect_null(strchr(listed(net_list_devices), ':'));
    cr_expect_str_eq(listed(net_list_addresses6), "");
    cr_expect_eq(strchr(listed(net_list_routes), '\n') + 1, text + strlen(text));
}

Test(net_listing, devices_are_counted)
{
    fake_addresses = "ip=10.0.0.2/24";
    net_start();
    cr_expect(strstr(listed(net_list_devices), "\n  eth0: "), "%s", text);
    stack_run(send_all, NULL);
    listed(net_list_devices);
    cr_expect_geq(column(1), DATAGRAMS * (PAYLOAD + HEADERS));
    listed(net_list_devices);
    cr_expect_geq(column(2), DATAGRAMS);
    listed(net_list_devices);
    cr_expect_geq(column(9), DATAGRAMS * (PAYLOAD + HEADERS));
    listed(net_list_devices);
    cr_expect_geq(column(10), DATAGRAMS);
}

Test(net_listing, counters_are_wider_than_lwips)
{
    struct netif *lo;

    fake_addresses = "ip=10.0.0.2/24";
    net_start();
    lo = netif_get_by_index(1);
    lo->mib2_counters.ifinoctets = UINT32_MAX;
    net_counters_gather();
    lo->mib2_counters.ifinoctets += 2;
    net_counters_gather();
    listed(net_list_devices);
    cr_expect_eq(column(1), UINT32_MAX + 2ul);
}

Test(net_listing, routes_are_of_the_network_and_the_gateway)
{
    fake_addresses = "ip=10.1.2.3/16,gw=10.1.0.1";
    net_start();
    listed(net_list_routes);
    cr_expect(strstr(text, "\neth0\t00000000\t0100010a\t0003\t0\t0\t0\t00000000\t"), "%s", text);
    cr_expect(strstr(text, "\neth0\t0000010a\t00000000\t0001\t0\t0\t0\t0000ffff\t"), "%s", text);
    cr_expect_null(strstr(text, "lo"));
}

Test(net_listing, addresses_of_ipv6_have_prefix_and_scope)
{
    fake_addresses = "ip=fd00::2/64";
    net_start();
    listed(net_list_addresses6);
    cr_expect(strstr(text, "00000000000000000000000000000001 01 80 10 80       lo\n"), "%s", text);
    cr_expect(strstr(text, "fd000000000000000000000000000002 02 40 00 80     eth0\n"), "%s", text);
    cr_expect(strstr(text, "fe80000000000000000000fffe000001 02 40 20 80     eth0\n"), "%s", text);
}
