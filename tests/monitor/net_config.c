/* --net: its words. */
#include "monitor/net_config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct net_interface config;
static struct err err;

static int parse(const char *text)
{
    err.text[0] = '\0';
    return net_config_parse(&config, text, &err);
}

Test(net_config, what_is_behind_it_comes_first)
{
    cr_assert_eq(parse("tap=tap0"), 0, "%s", err.text);
    cr_assert(config.backend == NET_CONFIG_TAP && strcmp(config.name, "tap0") == 0);
    cr_assert_eq(parse("fd=17"), 0);
    cr_assert(config.backend == NET_CONFIG_FD && config.fd == 17);
    cr_assert_eq(parse("passt"), 0);
    cr_assert(config.backend == NET_CONFIG_PASST && config.fd == -1);
    cr_assert_eq(parse("passt=/tmp/a,,b,mtu=1500"), 0);
    cr_assert(config.backend == NET_CONFIG_PASST_SOCKET && config.mtu == 1500);
    cr_assert_str_eq(config.name, "/tmp/a,b");
}

Test(net_config, nothing_is_said_about_what_was_not_asked_for)
{
    cr_assert_eq(parse("passt"), 0);
    cr_assert(!config.has_mac && config.mtu == 0 &&
              !rate_limits(&(struct rate){config.rate, 0, 0}));
    cr_assert_str_eq(config.addresses, "");
}

Test(net_config, words_follow)
{
    static const uint8_t mac[] = {0x02, 0xab, 0xCD, 0, 9, 0xff};

    cr_assert_eq(
        parse("passt,mac=02:ab:CD:00:09:ff,mtu=68,rate=10M,iops=500,burst=2s,ip=10.0.0.2/24"), 0,
        "%s", err.text);
    cr_assert(config.has_mac && memcmp(config.mac, mac, sizeof(mac)) == 0);
    cr_assert(config.mtu == 68 && config.rate.bytes == 10 << 20 && config.rate.operations == 500 &&
              config.rate.burst_ns == 2000000000);
    cr_assert_eq(parse("passt,mtu=65535"), 0);
    cr_assert_eq(config.mtu, 65535);
}

Test(net_config, nonsense_is_refused)
{
    static const char *const bad[][2] = {
        {"", "'' is none of tap=NAME, fd=N, passt and passt=SOCKET"},
        {"tap", "'tap' is none of tap=NAME"},
        {"eth0", "'eth0' is none of tap=NAME"},
        {"mtu=1500,passt", "'mtu' is none of tap=NAME"},
        {"tap=", "tap: '' is not an interface's name"},
        {"tap=a/b", "tap: 'a/b' is not an interface's name"},
        {"tap=a234567890123456", "tap: 'a234567890123456' is not an interface's name"},
        {"fd=", "fd: '' is not the number"},
        {"fd=2", "fd: '2' is not the number"},
        {"fd=-1", "fd: '-1' is not the number"},
        {"fd=9x", "fd: '9x' is not the number"},
        {"fd=1048576", "fd: '1048576' is not the number"},
        {"fd=99999999999999999999", "is not the number"},
        {"passt=", "passt: the path of a socket has 1 to"},
        {"passt,", "'' is none of mac=, mtu="},
        {"passt,tap=t", "'tap' is none of mac=, mtu="},
        {"passt,mac", "mac needs a value"},
        {"passt,mac=", "mac: '' is not an address"},
        {"passt,mac=02:00:00:00:00", "is not an address as 02:"},
        {"passt,mac=02:00:00:00:00:0", "is not an address as 02:"},
        {"passt,mac=02:00:00:00:00:001", "is not an address as 02:"},
        {"passt,mac=02-00-00-00-00-01", "is not an address as 02:"},
        {"passt,mac=02:00:00:00:00:0g", "is not an address as 02:"},
        {"passt,mac=02:00:00:00:00:0P", "is not an address as 02:"},
        {"passt,mac=01:00:5e:00:00:01", "the first byte is even"},
        {"passt,mac=ff:ff:ff:ff:ff:ff", "the first byte is even"},
        {"passt,mac=00:00:00:00:00:00", "not an interface's own address"},
        {"passt,mtu=67", "mtu: '67' is not a number from 68 to 65535"},
        {"passt,mtu=65536", "mtu: '65536' is not a number"},
        {"passt,mtu=1500x", "mtu: '1500x' is not a number"},
        {"passt,mtu=", "mtu: '' is not a number"},
        {"passt,rate=10", "rate, bytes a second: '10' is not a size"},
        {"passt,iops=0", "iops: '0' is not a number"},
        {"passt,burst=1s", "burst is of a limit"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(parse(bad[i][0]), -1, "%s", bad[i][0]);
        cr_assert(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
    }
}

Test(net_config, what_is_one_thing_is_said_once)
{
    static const char *const bad[][2] = {
        {"passt,mtu=1500,mtu=1400", "mtu is there twice"},
        {"passt,mac=02:00:00:00:00:01,mac=02:00:00:00:00:01", "mac is there twice"},
        {"passt,rate=1M,iops=5,rate=1M", "rate is there twice"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(parse(bad[i][0]), -1, "%s", bad[i][0]);
        cr_assert_str_eq(err.text, bad[i][1]);
    }
}
