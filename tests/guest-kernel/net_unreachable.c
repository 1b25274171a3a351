/* Which messages of the network's are believed to speak of a packet of ours, and what they mean. */
#include "guest-kernel/net/unreachable.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "guest-kernel/net/neighbour.h"
#include "lwip/inet_chksum.h"
#include "lwip/priv/tcp_priv.h"
#include "tests/guest-kernel/net_fake.h"

enum { ETHERNET = 14, OUTER4 = ETHERNET, ICMP4 = OUTER4 + 20, QUOTED4 = ICMP4 + 8 };
enum { OUTER6 = ETHERNET, ICMP6 = OUTER6 + 40, QUOTED6 = ICMP6 + 8 };
enum { WHOLE4 = QUOTED4 + 20 + 8, WHOLE6 = QUOTED6 + 40 + 8, NEEDED4 = WHOLE4 - 4 };
/* A port that is cut, and read as 0 behind the cut, would fit. */
enum { OWN_PORT = 0x1234, THEIR_PORT = 0x5600 };

static const u8 own6[16] = {0xfd, [15] = 2}, their6[16] = {0xfd, [15] = 1};
static struct udp_pcb *told, *ours;
static struct tcp_pcb *told_tcp;
static unsigned times;
static struct unreachable reason;
static u8 frame[256];

static void on_datagram(struct udp_pcb *pcb, const struct unreachable *why)
{
    told = pcb;
    reason = *why;
    times++;
}

static void on_segment(struct tcp_pcb *pcb, int error)
{
    told_tcp = pcb;
    reason.error = error;
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
    unreachable_watch_datagrams(on_datagram);
    unreachable_watch_segments(on_segment);
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
        {ICMP4, 12 ^ 3, "parameter problem"}, {ICMP4 + 1, 3 ^ 4, "fragmentation needed"},
        {ICMP4 + 1, 3 ^ 16, "no such code"},  {QUOTED4, 0x20, "version"},
        {QUOTED4, 1, "header too short"},     {QUOTED4 + 6, 1, "later fragment"},
        {QUOTED4 + 7, 1, "later fragment"},   {QUOTED4 + 9, 17 ^ 6, "TCP"},
        {QUOTED4 + 15, 1, "not from us"},     {QUOTED4 + 19, 2, "not to the peer"},
        {QUOTED4 + 21, 1, "not our port"},    {QUOTED4 + 23, 1, "not the peer's port"},
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
        {ICMP6, 1 ^ 2, "packet too big"},  {ICMP6 + 1, 4 ^ 8, "no such code"},
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

/* --- what they mean --- */

struct meaning {
    u8 type, code;
    int error;
    bool hard;
};

static void expect_meaning(const struct meaning *m)
{
    cr_expect_eq(times, 1, "%u, %u", m->type, m->code);
    cr_expect_eq(reason.error, m->error, "%u, %u: %s", m->type, m->code, strerror(reason.error));
    cr_expect_eq(reason.hard, m->hard, "%u, %u", m->type, m->code);
}

/* icmp(7): icmp_err_convert of Linux. */
Test(net_unreachable, each_code_has_its_error)
{
    static const struct meaning meanings[] = {
        {3, 0, ENETUNREACH, false},   {3, 1, EHOSTUNREACH, false}, {3, 2, ENOPROTOOPT, true},
        {3, 3, ECONNREFUSED, true},   {3, 5, EOPNOTSUPP, false},   {3, 6, ENETUNREACH, true},
        {3, 7, EHOSTDOWN, true},      {3, 8, ENONET, true},        {3, 9, ENETUNREACH, true},
        {3, 10, EHOSTUNREACH, true},  {3, 11, ENETUNREACH, false}, {3, 12, EHOSTUNREACH, false},
        {3, 13, EHOSTUNREACH, true},  {3, 14, EHOSTUNREACH, true}, {3, 15, EHOSTUNREACH, true},
        {11, 0, EHOSTUNREACH, false},
    };

    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        compose4();
        frame[ICMP4] = meanings[i].type;
        frame[ICMP4 + 1] = meanings[i].code;
        arrive4(WHOLE4, 0);
        expect_meaning(&meanings[i]);
    }
}

Test(net_unreachable, each_code_of_ipv6_has_its_error)
{
    static const struct meaning meanings[] = {
        {1, 0, ENETUNREACH, false},  {1, 1, EACCES, true},        {1, 2, EHOSTUNREACH, false},
        {1, 3, EHOSTUNREACH, false}, {1, 4, ECONNREFUSED, true},  {1, 5, EACCES, true},
        {1, 6, EACCES, true},        {3, 0, EHOSTUNREACH, false},
    };

    connected6();
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        compose6();
        frame[ICMP6] = meanings[i].type;
        frame[ICMP6 + 1] = meanings[i].code;
        arrive6(WHOLE6, 0);
        expect_meaning(&meanings[i]);
    }
}

/* --- of connections --- */

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)arg;
    (void)pcb;
    return err;
}

static struct tcp_pcb *connecting(const ip_addr_t *to)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(to));

    net_enter();
    cr_assert_eq(tcp_bind(pcb, IP46_ADDR_ANY(IP_GET_TYPE(to)), OWN_PORT), ERR_OK);
    cr_assert_eq(tcp_connect(pcb, to, THEIR_PORT, on_connected), ERR_OK);
    pcb->tmr = tcp_ticks;
    net_flush();
    told_tcp = NULL;
    times = 0;
    return pcb;
}

static struct tcp_pcb *connecting4(void)
{
    const ip_addr_t to = IPADDR4_INIT_BYTES(10, 0, 0, 1);

    return connecting(&to);
}

static void put_number(u8 *at, u32 number)
{
    put16(at, number >> 16);
    put16(at + 2, number & 0xffff);
}

static void compose_segment4(u32 number)
{
    compose4();
    frame[QUOTED4 + 9] = 6;
    put_number(frame + QUOTED4 + 24, number);
}

Test(net_unreachable, a_connection_under_way_is_told)
{
    struct tcp_pcb *pcb = connecting4();

    compose_segment4(pcb->lastack);
    cr_expect_eq(arrive4(WHOLE4, 0), 1);
    cr_expect_eq(told_tcp, pcb);
    cr_expect_eq(reason.error, ECONNREFUSED);
    cr_expect_eq(arrive4(WHOLE4 - 1, 0), 0); /* its number is cut */
    cr_expect_eq(arrive4(WHOLE4, 1), 0);
}

/* RFC 5927: who only guesses the ports must guess 32 bits more. */
Test(net_unreachable, a_number_that_is_not_under_way_is_not_believed)
{
    struct tcp_pcb *pcb = connecting4();
    const u32 sent = pcb->lastack;

    for (unsigned bit = 1; bit < 32; bit++) {
        compose_segment4(sent ^ 1u << bit);
        if (!TCP_SEQ_BETWEEN(sent ^ 1u << bit, sent, pcb->snd_nxt))
            cr_expect_eq(arrive4(WHOLE4, 0), 0, "bit %u", bit);
    }
    compose_segment4(sent - 1);
    cr_expect_eq(arrive4(WHOLE4, 0), 0);
    compose_segment4(pcb->snd_nxt + 1);
    cr_expect_eq(arrive4(WHOLE4, 0), 0);
}

Test(net_unreachable, every_field_of_a_segment_must_fit)
{
    static const size_t fields[] = {QUOTED4 + 15, QUOTED4 + 19, QUOTED4 + 21, QUOTED4 + 23};
    struct tcp_pcb *pcb = connecting4();

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        compose_segment4(pcb->lastack);
        frame[fields[i]] ^= 2;
        cr_expect_eq(arrive4(WHOLE4, 0), 0, "byte %zu", fields[i]);
    }
}

Test(net_unreachable, a_connection_of_ipv6_is_told)
{
    struct tcp_pcb *pcb;
    ip_addr_t to;

    ip_addr_set_zero_ip6(&to);
    memcpy(ip_2_ip6(&to)->addr, their6, 16);
    pcb = connecting(&to);
    compose6();
    frame[QUOTED6 + 6] = 6;
    put_number(frame + QUOTED6 + 44, pcb->lastack);
    cr_expect_eq(arrive6(WHOLE6, 0), 1);
    cr_expect_eq(told_tcp, pcb);
    put_number(frame + QUOTED6 + 44, pcb->lastack - 1);
    cr_expect_eq(arrive6(WHOLE6, 0), 0);
}

/* --- neighbours that do not answer --- */

Test(net_unreachable, a_silent_neighbour_is_given_up_after_three_seconds)
{
    struct tcp_pcb *pcb = connecting4();

    fake_pass(29 * SECOND / 10);
    cr_expect_eq(times, 0);
    fake_pass(12 * SECOND / 10);
    cr_expect_geq(times, 1);
    cr_expect_eq(told_tcp, pcb);
    cr_expect_eq(reason.error, EHOSTUNREACH);
}

Test(net_unreachable, one_that_answers_may_take_its_time_with_the_connection)
{
    connecting4();
    fake_pass(SECOND);
    fake_answer_arp();
    fake_pass(9 * SECOND);
    cr_expect_eq(times, 0);
}

Test(net_unreachable, a_silent_gateway_is_as_a_silent_neighbour)
{
    const ip_addr_t beyond = IPADDR4_INIT_BYTES(192, 0, 2, 1);

    connecting(&beyond);
    fake_pass(41 * SECOND / 10);
    cr_expect_geq(times, 1);
}

Test(net_unreachable, a_gateway_that_answers_is_all_that_is_known)
{
    const ip_addr_t beyond = IPADDR4_INIT_BYTES(192, 0, 2, 1);

    connecting(&beyond);
    fake_answer_arp();
    fake_pass(9 * SECOND);
    cr_expect_eq(times, 0);
}

Test(net_unreachable, a_silent_neighbour_of_ipv6_is_given_up)
{
    ip_addr_t to;

    ip_addr_set_zero_ip6(&to);
    memcpy(ip_2_ip6(&to)->addr, their6, 16);
    connecting(&to);
    fake_pass(29 * SECOND / 10);
    cr_expect_eq(times, 0);
    fake_pass(22 * SECOND / 10);
    cr_expect_geq(times, 1);
    cr_expect_eq(reason.error, EHOSTUNREACH);
}
