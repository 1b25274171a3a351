/* lwIP's clock: it runs while there is something to time. */
#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "guest-kernel/net/timers.h"
#include "lwip/etharp.h"
#include "lwip/inet_chksum.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/udp.h"
#include "tests/guest-kernel/net_fake.h"

static void setup(void)
{
    fake_addresses = "ip=10.0.0.2/24,gw=10.0.0.1";
    net_start();
    fake_pass(10 * SECOND);
    fake_sent();
    fake_wakings = 0;
}

TestSuite(net_timers, .init = setup);

static const ip_addr_t peer = IPADDR4_INIT_BYTES(10, 0, 0, 1);

static void send_datagram(void)
{
    struct udp_pcb *pcb = udp_new();
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, 4, PBUF_RAM);

    net_enter();
    cr_assert_eq(udp_sendto(pcb, p, &peer, 7), ERR_OK);
    net_flush();
    pbuf_free(p);
    udp_remove(pcb);
}

Test(net_timers, an_idle_machine_sleeps)
{
    fake_pass(24 * 3600 * SECOND);
    cr_expect_eq(fake_wakings, 0);
    cr_expect_eq(fake_wake_up, 0);
}

Test(net_timers, a_question_is_repeated_until_it_is_given_up)
{
    send_datagram();
    cr_expect_eq(fake_sent().arp, 1);
    fake_pass(3 * SECOND);
    cr_expect_geq(fake_sent().arp, 2);
    fake_pass(60 * SECOND);
    fake_sent();
    fake_wakings = 0;
    fake_pass(3600 * SECOND);
    cr_expect_eq(fake_wakings, 0);
    cr_expect_eq(fake_sent().arp, 0);
}

/* The ticks of the idle hour must not count against what comes after it. */
Test(net_timers, a_question_after_a_long_sleep_has_all_its_time)
{
    fake_pass(3600 * SECOND);
    send_datagram();
    fake_pass(SECOND / 2);
    fake_answer_arp();
    cr_expect_eq(fake_sent().ip4, 1);
}

Test(net_timers, what_is_known_of_neighbours_ages_in_sleep)
{
    send_datagram();
    fake_answer_arp();
    fake_pass(10 * SECOND);
    fake_sent();
    send_datagram();
    cr_expect_eq(fake_sent().arp, 0);
    fake_pass(3600 * SECOND);
    send_datagram();
    cr_expect_eq(fake_sent().arp, 1);
}

static err_t failed_with;

static void note_error(void *arg, err_t err)
{
    (void)arg;
    failed_with = err;
}

static struct tcp_pcb *connecting(void)
{
    struct tcp_pcb *pcb = tcp_new();

    pcb->rto = pcb->sv = NET_FIRST_RTO;
    send_datagram();
    fake_answer_arp();
    fake_sent();
    net_enter();
    tcp_err(pcb, note_error);
    cr_assert_eq(tcp_connect(pcb, &peer, 80, NULL), ERR_OK);
    net_flush();
    return pcb;
}

Test(net_timers, a_connection_that_nobody_answers_ends)
{
    connecting();
    cr_expect_eq(fake_sent().ip4, 1);
    fake_pass(SECOND + SECOND / 2);
    cr_expect_eq(fake_sent().ip4, 1);
    fake_pass(20 * SECOND);
    cr_expect_eq(failed_with, ERR_ABRT);
    fake_wakings = 0;
    fake_pass(3600 * SECOND);
    cr_expect_eq(fake_wakings, 0);
}

static u32 at(size_t offset)
{
    return (u32)fake_last[offset] << 24 | (u32)fake_last[offset + 1] << 16 |
           (u32)fake_last[offset + 2] << 8 | fake_last[offset + 3];
}

/* A segment of the peer's without data. */
static void segment(u32 seq, u32 ack, u8 flags)
{
    u8 s[54] = {2, 0, 0, 0, 0,  1, 2, 0, 0,  0, 0, 9, 8,  0, 0x45, 0, 0, 40,
                0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0,    2, 0, 80};
    struct pbuf *p;
    ip_addr_t own = IPADDR4_INIT_BYTES(10, 0, 0, 2);
    u16 sum;

    memcpy(s + 36, fake_last + 34, 2);
    seq = lwip_htonl(seq);
    ack = lwip_htonl(ack);
    memcpy(s + 38, &seq, 4);
    memcpy(s + 42, &ack, 4);
    s[46] = 0x50;
    s[47] = flags;
    s[48] = 0xff;
    sum = inet_chksum(s + 14, 20);
    memcpy(s + 24, &sum, 2);
    p = pbuf_alloc(PBUF_RAW, 20, PBUF_RAM);
    memcpy(p->payload, s + 34, 20);
    sum = ip_chksum_pseudo(p, 6, 20, &peer, &own);
    pbuf_free(p);
    memcpy(s + 50, &sum, 2);
    fake_arrive(s, sizeof(s));
}

static struct tcp_pcb *connected(void)
{
    struct tcp_pcb *pcb = connecting();

    segment(1000, at(38) + 1, TCP_SYN | TCP_ACK);
    cr_assert_eq(pcb->state, ESTABLISHED);
    fake_pass(10 * SECOND); /* the question about the neighbour is over */
    fake_sent();
    fake_wakings = 0;
    return pcb;
}

Test(net_timers, a_quiet_connection_lets_the_machine_sleep)
{
    struct tcp_pcb *pcb = connected();

    fake_pass(24 * 3600 * SECOND);
    cr_expect_eq(fake_wakings, 0);
    cr_expect_eq(pcb->state, ESTABLISHED);
}

Test(net_timers, data_is_sent_again_soon_also_after_a_sleep)
{
    struct tcp_pcb *pcb = connected();

    fake_pass(3600 * SECOND);
    net_enter();
    cr_assert_eq(tcp_write(pcb, "data", 4, TCP_WRITE_FLAG_COPY), ERR_OK);
    tcp_output(pcb);
    net_flush();
    fake_answer_arp();
    cr_expect_eq(fake_sent().ip4, 1);
    fake_pass(SECOND);
    cr_expect_geq(fake_sent().ip4, 1);
    cr_expect_eq(pcb->state, ESTABLISHED);
}

Test(net_timers, keepalive_is_sent_when_it_is_due)
{
    struct tcp_pcb *pcb = connected();

    pcb->so_options |= SOF_KEEPALIVE;
    pcb->keep_idle = 60000;
    net_enter();
    net_flush();
    fake_pass(49 * SECOND); /* ten have passed */
    cr_expect_eq(fake_sent().ip4, 0);
    fake_pass(3 * SECOND);
    cr_expect_eq(fake_sent().ip4, 1);
    cr_expect_leq(fake_wakings, 3);
}

Test(net_timers, a_closed_connection_is_forgotten_in_a_minute)
{
    struct tcp_pcb *pcb = connected();
    u32 next;

    net_enter();
    tcp_close(pcb);
    net_flush();
    next = at(38) + 1;
    segment(1001, next, TCP_ACK | TCP_FIN);
    cr_assert_not_null(tcp_tw_pcbs);
    fake_pass(SECOND);
    fake_wakings = 0;
    fake_pass(120 * SECOND);
    cr_expect_null(tcp_tw_pcbs);
    cr_expect_leq(fake_wakings, 3);
}
