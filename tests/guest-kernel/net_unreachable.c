/* Which messages of the network's are believed to speak of a datagram of ours. */
#include "guest-kernel/net/unreachable.h"
#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "lwip/inet_chksum.h"
#include "tests/guest-kernel/net_fake.h"

enum { ETHERNET = 14, OUTER4 = ETHERNET, ICMP4 = OUTER4 + 20, QUOTED4 = ICMP4 + 8 };
enum { OUTER6 = ETHERNET, ICMP6 = OUTER6 + 40, QUOTED6 = ICMP6 + 8 };
enum { WHOLE4 = QUOTED4 + 20 + 8, WHOLE6 = QUOTED6 + 40 + 8, NEEDED4 = WHOLE4 - 4 };
/* A port that is cut, and read as 0 behind the cut, would fit. */
enum { OWN_PORT = 0x1234, THEIR_PORT = 0x5600 };

static const u8 own6[16] = {0xfd, [15] = 2}, their6[16] = {0xfd, [15] = 1};
static struct udp_pcb *told, *ours;
static unsigned times;
static u8 frame[256];

static void on_refused(struct udp_pcb *pcb)
{
    told = pcb;
    times++;
}

static struct udp_pcb *connected(const ip_addr_t *to)
{
    struct udp_pcb *pcb = udp_new_ip_type(IP_GET_TYPE(to));

    cr_assert_eq(udp_bind(pcb, IP46_ADDR_ANY(IP_GET_TYPE(to)), OWN_PORT), ERR_OK);
    cr_assert_eq(udp_connect(pcb, to, THEIR_PORT), ERR_OK);
    return pcb;
}

static void setup(void)
{
    const ip_addr_t to = IPADDR4_INIT_BYTES(10, 0, 0, 1);

    fake_addresses = "ip=10.0.0.2/24,gw=10.0.0.1,ip=fd00::2/64,gw=fd00::1";
    net_start();
    unreachable_watch(on_refused);
    ours = connected(&to);
}

TestSuite(net_unreachable, .init = setup);

static void put16(u8 *at, unsigned value)
{
    at[0] = (u8)(value >> 8);
    at[1] = (u8)value;
}

static void put_sum(u8 *at, const u8 *from, size_t len)
{
    u16 sum = inet_chksum(from, (u16)len);

    memcpy(at, &sum, sizeof(sum));
}

static void put_ports(u8 *at)
{
    put16(at, OWN_PORT);
    put16(at + 2, THEIR_PORT);
}

/* 10.0.0.1 says that nobody is at its port. */
static void compose4(void)
{
    static const u8 own[4] = {10, 0, 0, 2}, their[4] = {10, 0, 0, 1};

    memset(frame, 0, sizeof(frame));
    memcpy(frame, (u8[ETHERNET]){2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0}, ETHERNET);
    frame[OUTER4] = frame[QUOTED4] = 0x45;
    frame[OUTER4 + 8] = frame[QUOTED4 + 8] = 64;
    frame[OUTER4 + 9] = 1;
    frame[QUOTED4 + 9] = 17;
    memcpy(frame + OUTER4 + 12, their, 4);
    memcpy(frame + OUTER4 + 16, own, 4);
    memcpy(frame + QUOTED4 + 12, own, 4);
    memcpy(frame + QUOTED4 + 16, their, 4);
    frame[ICMP4] = frame[ICMP4 + 1] = 3;
    put_ports(frame + QUOTED4 + 20);
}

/* As long as that, with checksums that are right but for `spoilt`. */
static unsigned arrive4(size_t size, u8 spoilt)
{
    u8 cut[sizeof(frame)];

    memcpy(cut, frame, size);
    put16(cut + OUTER4 + 2, (unsigned)(size - OUTER4));
    put_sum(cut + OUTER4 + 10, cut + OUTER4, 20);
    if (size >= ICMP4 + 4)
        put_sum(cut + ICMP4 + 2, cut + ICMP4, size - ICMP4);
    cut[ICMP4 + 2] ^= spoilt;
    times = 0;
    told = NULL;
    fake_arrive(cut, size);
    return times;
}

Test(net_unreachable, the_connected_sender_is_told)
{
    compose4();
    cr_expect_eq(arrive4(WHOLE4, 0), 1);
    cr_expect_eq(told, ours);
}

Test(net_unreachable, options_before_the_ports_are_skipped)
{
    compose4();
    memset(frame + QUOTED4 + 20, 1, 40);
    frame[QUOTED4] = 0x4f;
    put_ports(frame + QUOTED4 + 60);
    cr_expect_eq(arrive4(QUOTED4 + 64, 0), 1);
    cr_expect_eq(arrive4(QUOTED4 + 63, 0), 0);
}

Test(net_unreachable, what_is_cut_before_the_ports_end_is_dropped)
{
    compose4();
    for (size_t size = ICMP4; size <= WHOLE4; size++)
        cr_expect_eq(arrive4(size, 0), size >= NEEDED4, "%zu bytes", size);
}

Test(net_unreachable, a_wrong_checksum_is_noticed)
{
    compose4();
    cr_expect_eq(arrive4(WHOLE4, 1), 0);
}

Test(net_unreachable, every_field_must_fit)
{
    static const struct {
        size_t at;
        u8 flip;
        const char *what;
    } changes[] = {
        {ICMP4, 11 ^ 3, "time exceeded"},
        {ICMP4 + 1, 3 ^ 1, "host unreachable"},
        {QUOTED4, 0x20, "version"},
        {QUOTED4, 1, "header too short"},
        {QUOTED4 + 6, 1, "later fragment"},
        {QUOTED4 + 7, 1, "later fragment"},
        {QUOTED4 + 9, 17 ^ 6, "TCP"},
        {QUOTED4 + 15, 1, "not from us"},
        {QUOTED4 + 19, 2, "not to the peer"},
        {QUOTED4 + 21, 1, "not our port"},
        {QUOTED4 + 23, 1, "not the peer's port"},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        compose4();
        frame[changes[i].at] ^= changes[i].flip;
        cr_expect_eq(arrive4(WHOLE4, 0), 0, "%s", changes[i].what);
    }
}

Test(net_unreachable, who_is_not_connected_is_not_told)
{
    udp_disconnect(ours);
    compose4();
    cr_expect_eq(arrive4(WHOLE4, 0), 0);
    memset(frame + QUOTED4 + 16, 0, 4); /* the peer of those that have none */
    put16(frame + QUOTED4 + 22, 0);
    cr_expect_eq(arrive4(WHOLE4, 0), 0);
}

static void compose6(void)
{
    memset(frame, 0, sizeof(frame));
    memcpy(frame, (u8[ETHERNET]){2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd}, ETHERNET);
    frame[OUTER6] = frame[QUOTED6] = 0x60;
    frame[OUTER6 + 6] = 58;
    frame[QUOTED6 + 6] = 17;
    frame[OUTER6 + 7] = frame[QUOTED6 + 7] = 64;
    memcpy(frame + OUTER6 + 8, their6, 16);
    memcpy(frame + OUTER6 + 24, own6, 16);
    memcpy(frame + QUOTED6 + 8, own6, 16);
    memcpy(frame + QUOTED6 + 24, their6, 16);
    frame[ICMP6] = 1;
    frame[ICMP6 + 1] = 4;
    put_ports(frame + QUOTED6 + 40);
}

/* The checksum goes over the addresses, the length and the protocol, too. */
static unsigned arrive6(size_t size, u8 spoilt)
{
    u8 cut[sizeof(frame)], summed[40 + sizeof(frame)] = {0};
    size_t len = size - ICMP6;

    memcpy(cut, frame, size);
    put16(cut + OUTER6 + 4, (unsigned)len);
    memcpy(summed, cut + OUTER6 + 8, 32);
    put16(summed + 34, (unsigned)len);
    summed[39] = 58;
    memcpy(summed + 40, cut + ICMP6, len);
    if (len >= 4)
        put_sum(cut + ICMP6 + 2, summed, 40 + len);
    cut[ICMP6 + 2] ^= spoilt;
    times = 0;
    told = NULL;
    fake_arrive(cut, size);
    return times;
}

static struct udp_pcb *connected6(void)
{
    ip_addr_t to;

    ip_addr_set_zero_ip6(&to);
    memcpy(ip_2_ip6(&to)->addr, their6, 16);
    return connected(&to);
}

Test(net_unreachable, the_connected_sender_of_ipv6_is_told)
{
    struct udp_pcb *pcb = connected6();

    compose6();
    cr_expect_eq(arrive6(WHOLE6, 0), 1);
    cr_expect_eq(told, pcb);
    cr_expect_eq(arrive6(WHOLE6, 1), 0);
}

Test(net_unreachable, ipv6_that_is_cut_is_dropped)
{
    connected6();
    compose6();
    for (size_t size = ICMP6; size <= WHOLE6; size++)
        cr_expect_eq(arrive6(size, 0), size >= WHOLE6 - 4, "%zu bytes", size);
}

Test(net_unreachable, every_field_of_ipv6_must_fit)
{
    static const struct {
        size_t at;
        u8 flip;
        const char *what;
    } changes[] = {
        {ICMP6, 1 ^ 3, "time exceeded"},   {ICMP6 + 1, 4 ^ 3, "address unreachable"},
        {QUOTED6, 0x20, "version"},        {QUOTED6 + 6, 17 ^ 6, "TCP"},
        {QUOTED6 + 23, 1, "not from us"},  {QUOTED6 + 39, 2, "not to the peer"},
        {QUOTED6 + 41, 1, "not our port"}, {QUOTED6 + 43, 1, "not the peer's port"},
    };

    connected6();
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        compose6();
        frame[changes[i].at] ^= changes[i].flip;
        cr_expect_eq(arrive6(WHOLE6, 0), 0, "%s", changes[i].what);
    }
}
