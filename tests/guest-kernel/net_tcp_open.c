/* A SYN of the other side's that crosses ours on its way, and a flood of them. */
#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "lwip/inet_chksum.h"
#include "lwip/priv/tcp_priv.h"
#include "tests/guest-kernel/net_fake.h"

enum { ETHERNET = 14, IP4 = ETHERNET, TCP = IP4 + 20, SIZE = TCP + 20 };
enum { OUR_PORT = 0x1234, THEIR_PORT = 0x5678, THEIR_SEQUENCE = 0x01020304 };
enum { SYN = 2, RST = 4, ACK = 16 };

static const u8 ours[4] = {10, 0, 0, 2}, theirs[4] = {10, 0, 0, 1};
static struct tcp_pcb *pcb;
static u32 our_sequence;

static err_t on_connected(void *arg, struct tcp_pcb *connected, err_t err)
{
    (void)arg;
    (void)connected;
    return err;
}

static void setup(void)
{
    const ip_addr_t to = IPADDR4_INIT_BYTES(10, 0, 0, 1);

    fake_addresses = "ip=10.0.0.2/24";
    net_start();
    pcb = tcp_new();
    cr_assert_eq(tcp_bind(pcb, IP4_ADDR_ANY, OUR_PORT), ERR_OK);
    cr_assert_eq(tcp_connect(pcb, &to, THEIR_PORT, on_connected), ERR_OK);
    fake_answer_arp();
    cr_assert_eq(fake_last[TCP + 13], SYN);
    our_sequence = fake_get32(fake_last + TCP + 4);
}

TestSuite(net_tcp_open, .init = setup);

static u16 tcp_sum(const u8 *tcp)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, SIZE - TCP, PBUF_RAM);
    ip4_addr_t from, to;
    u16 sum;

    memcpy(&from, theirs, 4);
    memcpy(&to, ours, 4);
    memcpy(p->payload, tcp, SIZE - TCP);
    sum = inet_chksum_pseudo(p, IP_PROTO_TCP, SIZE - TCP, &from, &to);
    pbuf_free(p);
    return sum;
}

static void arrive_at(u32 ports, u8 flags, u32 sequence, u32 acknowledged)
{
    u8 frame[SIZE] = {2,
                      0,
                      0,
                      0,
                      0,
                      1,
                      2,
                      0,
                      0,
                      0,
                      0,
                      9,
                      8,
                      0,
                      [IP4] = 0x45,
                      [IP4 + 3] = SIZE - IP4,
                      [IP4 + 8] = 64,
                      [IP4 + 9] = IP_PROTO_TCP};
    u16 sum;

    memcpy(frame + IP4 + 12, theirs, 4);
    memcpy(frame + IP4 + 16, ours, 4);
    sum = inet_chksum(frame + IP4, 20);
    memcpy(frame + IP4 + 10, &sum, 2);
    fake_put32(frame + TCP, ports);
    fake_put32(frame + TCP + 4, sequence);
    fake_put32(frame + TCP + 8, acknowledged);
    fake_put32(frame + TCP + 12, 5u << 28 | (u32)flags << 16 | 1000);
    sum = tcp_sum(frame + TCP);
    memcpy(frame + TCP + 16, &sum, 2);
    memset(fake_last, 0, sizeof(fake_last));
    fake_arrive(frame, sizeof(frame));
}

static void arrive(u8 flags, u32 acknowledged)
{
    arrive_at((u32)THEIR_PORT << 16 | OUR_PORT, flags, THEIR_SEQUENCE, acknowledged);
}

Test(net_tcp_open, a_syn_that_crosses_ours_is_acknowledged)
{
    arrive(SYN, 0);
    cr_expect_eq(fake_last[TCP + 13], SYN | ACK);
    cr_expect_eq(fake_get32(fake_last + TCP + 4), our_sequence);
    cr_expect_eq(fake_get32(fake_last + TCP + 8), THEIR_SEQUENCE + 1);
    cr_expect_eq(pcb->state, SYN_SENT);
    arrive(SYN | ACK, our_sequence + 1);
    cr_expect_eq(pcb->state, ESTABLISHED);
    cr_expect_eq(fake_last[TCP + 13], ACK);
    cr_expect_eq(fake_get32(fake_last + TCP + 4), our_sequence + 1);
    cr_expect_eq(fake_get32(fake_last + TCP + 8), THEIR_SEQUENCE + 1);
}

/* The other side has not seen ours, or its acknowledgement is lost. */
Test(net_tcp_open, it_is_acknowledged_as_often_as_it_comes)
{
    for (unsigned i = 0; i < 3; i++) {
        arrive(SYN, 0);
        cr_expect_eq(fake_last[TCP + 13], SYN | ACK);
    }
}

Test(net_tcp_open, neither_a_reset_nor_an_answer_is_such_a_syn)
{
    arrive(SYN | RST, 0);
    cr_expect_eq(fake_last[TCP + 13], 0);
    arrive(SYN | ACK, our_sequence + 1);
    cr_expect_eq(pcb->state, ESTABLISHED);
}

/* --- a listener, and those who never answer --- */

enum { LISTENED = 80, BACKLOG = 5, HALF_OPEN_MOST = 512 };

static unsigned accepted;
static bool is_slow; /* those that are accepted wait for the program */

static err_t on_accept(void *arg, struct tcp_pcb *made, err_t err)
{
    (void)arg;
    accepted += err == ERR_OK;
    if (is_slow)
        tcp_backlog_delayed(made);
    return err;
}

static void listen_there(void)
{
    struct tcp_pcb *bound = tcp_new(), *listener;

    cr_assert_eq(tcp_bind(bound, IP4_ADDR_ANY, LISTENED), ERR_OK);
    listener = tcp_listen_with_backlog(bound, BACKLOG);
    tcp_accept(listener, on_accept);
}

static void from_client(u16 port, u8 flags, u32 sequence, u32 acknowledged)
{
    arrive_at((u32)port << 16 | LISTENED, flags, sequence, acknowledged);
}

/* SYNs of clients that will not be heard of again. */
static void flood(u16 first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        from_client((u16)(first + i), SYN, 1000, 0);
}

static unsigned half_open(void)
{
    unsigned count = 0;

    for (const struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        count += p->state == SYN_RCVD;
    return count;
}

/* Whether the answer to its SYN came; then it acknowledges that. */
static bool comes_in(u16 port)
{
    from_client(port, SYN, 1000, 0);
    if (fake_last[TCP + 13] != (SYN | ACK))
        return false;
    from_client(port, ACK, 1001, fake_get32(fake_last + TCP + 4) + 1);
    return true;
}

Test(net_tcp_open, who_answers_comes_in_during_a_flood)
{
    const size_t before = fake_heap;

    listen_there();
    for (unsigned i = 0; i < 10; i++) {
        flood((u16)(1000 + i * 1000), 1000);
        cr_expect(comes_in((u16)(40000 + i)));
        cr_expect_eq(accepted, i + 1);
        cr_expect_leq(half_open(), HALF_OPEN_MOST + BACKLOG);
    }
    cr_expect_lt(fake_heap - before, 4000);
}

/* The oldest goes, not the one whose answer is under way. */
Test(net_tcp_open, there_is_time_to_answer)
{
    u32 sequence;

    listen_there();
    flood(1000, 5000);
    from_client(40000, SYN, 1000, 0);
    sequence = fake_get32(fake_last + TCP + 4);
    flood(10000, HALF_OPEN_MOST - BACKLOG - 1);
    from_client(40000, ACK, 1001, sequence + 1);
    cr_expect_eq(accepted, 1);
}

/* Those are no flood: a program that is slow to accept is left alone. */
Test(net_tcp_open, who_waits_to_be_accepted_still_fills_the_queue)
{
    is_slow = true;
    listen_there();
    for (unsigned i = 0; i < BACKLOG; i++)
        cr_expect(comes_in((u16)(40000 + i)));
    cr_expect_eq(accepted, BACKLOG);
    cr_expect_not(comes_in(41000));
    cr_expect_eq(half_open(), 0);
}
