#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "guest-kernel/net/address.h"

static struct net_addresses a;

static const char *text_of(const ip4_addr_t *ip)
{
    static char text[4][IP4ADDR_STRLEN_MAX];
    static unsigned next;

    next = (next + 1) % 4;
    return ip4addr_ntoa_r(ip, text[next], IP4ADDR_STRLEN_MAX);
}

Test(net_address, all_words_are_understood)
{
    cr_assert(net_addresses_parse(
        "ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.53,ip=fd00::2/64,gw=fd00::1,dns=fd00::53", &a));
    cr_expect(a.has_ip4 && a.has_gw4 && a.has_gw6);
    cr_expect_str_eq(text_of(&a.ip4), "10.0.0.2");
    cr_expect_str_eq(text_of(&a.mask4), "255.255.255.0");
    cr_expect_str_eq(text_of(&a.gw4), "10.0.0.1");
    cr_expect_eq(a.ip6_count, 1);
    cr_expect_str_eq(ip6addr_ntoa(&a.ip6[0]), "FD00::2");
    cr_expect_str_eq(ip6addr_ntoa(&a.gw6), "FD00::1");
    cr_expect_eq(a.dns_count, 2);
    cr_expect_str_eq(ipaddr_ntoa(&a.dns[1]), "FD00::53");
}

Test(net_address, a_blank_ends_the_text)
{
    cr_assert(net_addresses_parse("ip=10.0.0.2 gw=10.0.0.1", &a));
    cr_expect_not(a.has_gw4);
    cr_expect_str_eq(text_of(&a.mask4), "255.255.255.255");
}

Test(net_address, the_whole_internet_is_a_prefix_of_no_bits)
{
    cr_assert(net_addresses_parse("ip=10.0.0.2/0", &a));
    cr_expect_str_eq(text_of(&a.mask4), "0.0.0.0");
}

Test(net_address, without_an_address_they_are_to_be_asked_for)
{
    cr_expect_not(net_addresses_parse("", &a));
    cr_expect_not(net_addresses_parse("dns=10.0.0.53", &a));
    cr_expect_eq(a.dns_count, 1);
}

Test(net_address, malformed_words_are_left_out)
{
    static const char *const words[] = {
        "ip=",
        "ip=/24",
        "ip=10.0.0.2/",
        "ip=10.0.0.2/33",
        "ip=fd00::2/129",
        "ip=10.0.0.256",
        "ip=10.0.0.2/2/4",
        "ip=10.0.0.2/x",
        "ip",
        "ipx=10.0.0.2",
        "=10.0.0.2",
        "ip=10.0.0.2/99999999999999999999",
        "ip=fd00:::2",
        "ip=10.0.0.2000000000000000000000000000000000000000000000000000000000000000000000000000000",
    };
    char text[256];

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        cr_expect_not(net_addresses_parse(words[i], &a), "%s", words[i]);
        snprintf(text, sizeof(text), ",%s,,ip=10.0.0.9/24,", words[i]);
        cr_expect(net_addresses_parse(text, &a), "%s", text);
        cr_expect_str_eq(text_of(&a.ip4), "10.0.0.9", "%s", text);
    }
}

Test(net_address, more_than_there_is_room_for_are_left_out)
{
    char text[512] = "dns=10.0.0.1";

    for (unsigned i = 0; i < 10; i++)
        strcat(text, ",ip=fd00::1,ip=10.0.0.1,dns=10.0.0.2");
    cr_assert(net_addresses_parse(text, &a));
    cr_expect_eq(a.ip6_count, ADDRESS_IP6_MOST);
    cr_expect_eq(a.dns_count, ADDRESS_DNS_MOST);
}
