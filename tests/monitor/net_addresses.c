/* --net: ip=, gw= and dns=, and what they have to do with mtu=. */
#include "monitor/net_addresses.h"

#include <criterion/criterion.h>
#include <string.h>

#include "monitor/net_config.h"

static struct net_interface config;
static struct err err;

static int parse(const char *text)
{
    err.text[0] = '\0';
    return net_config_parse(&config, text, &err);
}

Test(net_addresses, addresses_are_passed_on_as_they_are)
{
    cr_assert_eq(parse("tap=t,ip=10.0.0.2/24,mtu=1500,gw=10.0.0.1,dns=1.1.1.1,dns=fd00::1,"
                       "ip=fd00::2/64,gw=fe80::1"),
                 0, "%s", err.text);
    cr_assert_str_eq(config.addresses, "ip=10.0.0.2/24,gw=10.0.0.1,dns=1.1.1.1,dns=fd00::1,"
                                       "ip=fd00::2/64,gw=fe80::1");
    cr_assert_eq(parse("passt,dns=9.9.9.9"), 0, "%s", err.text);
    cr_assert_eq(parse("tap=t,gw=10.0.0.1,ip=10.0.0.2/32"), 0, "%s", err.text);
}

Test(net_addresses, a_link_of_two_has_no_network_between_them)
{
    static const char *const good[] = {
        "tap=t,ip=10.0.0.0/31,gw=10.0.0.1",      "tap=t,ip=10.0.0.0/32,gw=192.168.7.1",
        "tap=t,ip=fd00::/127,gw=fd00::1",        "tap=t,ip=fd00::5/128,gw=fd99::1",
        "tap=t,ip=fd00::ffff:ffff:ffff:ffff/64",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert_eq(parse(good[i]), 0, "%s: %s", good[i], err.text);
}

Test(net_addresses, as_many_as_the_guest_kernel_takes)
{
    cr_assert_eq(
        parse("tap=t,ip=10.0.0.2/24,gw=10.0.0.1,ip=fd00:1111:1111:1111:1111:1111:1111:1111/128,"
              "ip=fd00:2222:2222:2222:2222:2222:2222:2222/128,"
              "ip=fd00:3333:3333:3333:3333:3333:3333:3333/128,"
              "gw=fd00:4444:4444:4444:4444:4444:4444:4444,"
              "dns=fd00:5555:5555:5555:5555:5555:5555:5555,"
              "dns=fd00:6666:6666:6666:6666:6666:6666:6666,"
              "dns=fd00:7777:7777:7777:7777:7777:7777:7777"),
        0, "%s", err.text);
    cr_assert_str_eq(strrchr(config.addresses, ',') + 1,
                     "dns=fd00:7777:7777:7777:7777:7777:7777:7777");
}

Test(net_addresses, nonsense_is_refused)
{
    static const char *const bad[][2] = {
        {"passt,ip=10.0.0.2", "ip: '10.0.0.2' has no length"},
        {"passt,ip=10.0.0/24", "ip: '10.0.0/24' is not a host's address"},
        {"passt,ip=/24", "ip: '/24' is not a host's address"},
        {"passt,ip=10.0.0.2/33", "the prefix has a length of 1 to 32"},
        {"passt,ip=10.0.0.2/0", "the prefix has a length of 1 to 32"},
        {"passt,ip=10.0.0.2/", "the prefix has a length of 1 to 32"},
        {"passt,ip=10.0.0.2/24/8", "the prefix has a length of 1 to 32"},
        {"passt,ip=fd00::2/129", "the prefix has a length of 1 to 128"},
        {"passt,ip=fd00::2::/64", "is not a host's address"},
        {"passt,ip=0.0.0.0/8", "is not a host's address"},
        {"passt,ip=224.0.0.1/8", "is not a host's address"},
        {"passt,ip=::/64", "is not a host's address"},
        {"passt,ip=ff02::1/64", "is not a host's address"},
        {"passt,ip=fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:2/64", "is not a host's"},
        {"passt,ip=127.0.0.1/8", "ip: '127.0.0.1/8' is lo's, which every guest has"},
        {"passt,ip=127.9.9.9/24", "ip: '127.9.9.9/24' is lo's"},
        {"passt,ip=::1/128", "ip: '::1/128' is lo's"},
        {"passt,gw=router", "gw: 'router' is not a host's address"},
        {"passt,gw=10.0.0.1/24", "gw: '10.0.0.1/24' is not a host's address"},
        {"passt,gw=10.0.0.1", "gw goes with an ip= of its family"},
        {"passt,ip=10.0.0.2/24,gw=fe80::1", "gw goes with an ip= of its family"},
        {"passt,dns=example.org", "dns: 'example.org' is not a host's address"},
        {"passt,dns=255.255.255.255", "is not a host's address"},
        {"passt,ip=10.0.0.2/0024", "the prefix has a length of 1 to 32"},
        {"passt,ip=10.0.0.2/+24", "the prefix has a length of 1 to 32"},
        {"passt,ip=10.0.0.0/24", "ip: '10.0.0.0/24' is the network, or all in it"},
        {"passt,ip=10.0.0.255/24", "ip: '10.0.0.255/24' is the network, or all in it"},
        {"passt,ip=10.0.4.0/22", "is the network, or all in it"},
        {"passt,ip=10.0.7.255/22", "is the network, or all in it"},
        {"passt,ip=10.0.0.3/30", "is the network, or all in it"},
        {"passt,ip=fd00::/64", "ip: 'fd00::/64' is the network, or all in it"},
        {"passt,ip=10.0.0.2/24,gw=10.0.1.1", "gw: not a host in a network of ip="},
        {"passt,gw=10.0.1.1,ip=10.0.0.2/24", "gw: not a host in a network of ip="},
        {"passt,ip=10.0.0.2/24,gw=10.0.0.0", "gw: not a host in a network of ip="},
        {"passt,ip=10.0.0.2/24,gw=10.0.0.255", "gw: not a host in a network of ip="},
        {"passt,ip=fd00::2/64,gw=fd00:0:0:1::1", "gw: neither of fe80::/10 nor a host in"},
        {"passt,ip=10.0.0.2/24,gw=10.0.0.2", "gw: the interface's own address"},
        {"passt,ip=fd00::2/64,gw=fd00::2", "gw: the interface's own address"},
        {"passt,ip=10.0.0.2/24,gw=10.0.0.1,gw=10.0.0.9", "gw: one of each family"},
        {"passt,ip=10.0.0.2/24,ip=10.0.0.3/24", "ip: not more than 1 of IPv4 and 3 of IPv6"},
        {"passt,ip=fd00::2/64,ip=fd00::3/64,ip=fd00::4/64,ip=fd00::5/64", "ip: not more than 1"},
        {"passt,dns=1.1.1.1,dns=1.1.1.2,dns=1.1.1.3,dns=1.1.1.4", "dns: not more than 3"},
        {"passt,mtu=68", "mtu: DHCP needs 576"},
        {"passt,mtu=575,dns=1.1.1.1", "mtu: DHCP needs 576"},
        {"passt,ip=fd00::2/64,mtu=1279", "mtu: IPv6 needs 1280"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(parse(bad[i][0]), -1, "%s", bad[i][0]);
        cr_assert(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
    }
}

Test(net_addresses, packets_are_as_small_as_what_is_spoken_allows)
{
    cr_assert_eq(parse("passt,mtu=576"), 0, "%s", err.text);
    cr_assert_eq(parse("passt,mtu=68,ip=10.0.0.2/24"), 0, "%s", err.text);
    cr_assert_eq(parse("passt,mtu=1280,ip=fd00::2/64"), 0, "%s", err.text);
}
