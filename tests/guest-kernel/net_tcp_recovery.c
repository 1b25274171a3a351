/* What is lost on the way and sent again, before a time-out. */
#include "guest-kernel/net/tcp_recovery.h"
#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/net/interface.h"
#include "lwip/inet_chksum.h"
#include "lwip/priv/tcp_priv.h"
#include "tests/guest-kernel/net_fake.h"

enum { ETHERNET = 14, IP4 = ETHERNET, TCP = IP4 + 20, HEADER = 20, SACK_BYTES = 12 };
enum { OUR_PORT = 0x1234, THEIR_PORT = 0x5678, THEIR_FIRST = 0x01020304, PIECE = 1000 };
enum { SYN = 2, ACK = 16 };

static const u8 ours[4] = {10, 0, 0, 2}, theirs[4] = {10, 0, 0, 1};
static const u8 sack[SACK_BYTES] = {1, 1, 5, 10, 0, 0,
                                    0, 1, 0, 0,  0, 2}; /* of what, lwIP ignores */
static struct tcp_pcb *pcb;
static u32 base; /* the number of the first byte */

static u16 tcp_sum(const u8 *tcp, u16 size)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, size, PBUF_RAM);
    ip4_addr_t from, to;
    u16 sum;

    memcpy(&from, theirs, 4);
    memcpy(&to, ours, 4);
    memcpy(p->payload, tcp, size);
    sum = inet_chksum_pseudo(p, IP_PROTO_TCP, size, &from, &to);
    pbuf_free(p);
    return sum;
}

static void arrive(u8 flags, u32 sequence, u32 acknowledged, u16 window, const u8 *options,
                   u8 length)
{
    static const u8 start[ETHERNET] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0};
    const u16 size = (u16)(HEADER + length);
    u8 frame[TCP + HEADER + 40] = {0};
    u16 sum;

    memcpy(frame, start, ETHERNET);
    frame[IP4] = 0x45;
    frame[IP4 + 3] = (u8)(20 + size);
    frame[IP4 + 8] = 64;
    frame[IP4 + 9] = IP_PROTO_TCP;
    memcpy(frame + IP4 + 12, theirs, 4);
    memcpy(frame + IP4 + 16, ours, 4);
    sum = inet_chksum(frame + IP4, 20);
    memcpy(frame + IP4 + 10, &sum, 2);
    fake_put32(frame + TCP, (u32)THEIR_PORT << 16 | OUR_PORT);
    fake_put32(frame + TCP + 4, sequence);
    fake_put32(frame + TCP + 8, acknowledged);
    fake_put32(frame + TCP + 12, (u32)(size / 4) << 28 | (u32)flags << 16 | window);
    memcpy(frame + TCP + HEADER, options, length);
    sum = tcp_sum(frame + TCP, size);
    memcpy(frame + TCP + 16, &sum, 2);
    memset(fake_last, 0, sizeof(fake_last));
    fake_arrive(frame, (size_t)(TCP + size));
}

static err_t on_connected(void *arg, struct tcp_pcb *connected, err_t err)
{
    (void)arg;
    (void)connected;
    return err;
}

static err_t on_sent(void *arg, struct tcp_pcb *of, u16_t len)
{
    (void)arg;
    (void)len;
    tcp_recovery_acked(of);
    return ERR_OK;
}

/* A connection with ten pieces under way. */
static void setup(void)
{
    static const u8 mss[4] = {2, 4, PIECE >> 8, PIECE & 0xff};
    static const u8 data[10 * PIECE];
    const ip_addr_t to = IPADDR4_INIT_BYTES(10, 0, 0, 1);

    fake_addresses = "ip=10.0.0.2/24";
    net_start();
    pcb = tcp_new();
    cr_assert_eq(tcp_bind(pcb, IP4_ADDR_ANY, OUR_PORT), ERR_OK);
    cr_assert_eq(tcp_connect(pcb, &to, THEIR_PORT, on_connected), ERR_OK);
    tcp_sent(pcb, on_sent);
    fake_answer_arp();
    base = fake_get32(fake_last + TCP + 4) + 1;
    arrive(SYN | ACK, THEIR_FIRST, base, 20000, mss, sizeof(mss));
    cr_assert_eq(pcb->state, ESTABLISHED);
    pcb->cwnd = 10 * PIECE;
    cr_assert_eq(tcp_write(pcb, data, sizeof(data), 0), ERR_OK);
    cr_assert_eq(tcp_output(pcb), ERR_OK);
    cr_assert_eq(pcb->snd_nxt, base + 10 * PIECE);
}

TestSuite(net_tcp_recovery, .init = setup);

static void acknowledge(unsigned pieces, u16 window, bool selective)
{
    arrive(ACK, THEIR_FIRST + 1, base + pieces * PIECE, window, sack, selective ? SACK_BYTES : 0);
}

/* The piece that was sent last, -1: none since the last arrival. */
static long sent_piece(void)
{
    return fake_last[TCP + 12] ? (long)(fake_get32(fake_last + TCP + 4) - base) / PIECE : -1;
}

Test(net_tcp_recovery, duplicates_that_widen_the_window_are_such)
{
    acknowledge(2, 20000, false);
    acknowledge(2, 20003, true);
    acknowledge(2, 20006, true);
    cr_expect_eq(sent_piece(), -1);
    acknowledge(2, 20009, true);
    cr_expect_eq(sent_piece(), 2);
    cr_expect_eq(pcb->snd_wnd, 20009);
}

/* Those tell of the window alone (RFC 5681). */
Test(net_tcp_recovery, a_wider_window_without_one_is_no_duplicate)
{
    acknowledge(2, 20000, false);
    for (u16 i = 1; i < 6; i++)
        acknowledge(2, (u16)(20000 + i), false);
    cr_expect_eq(sent_piece(), -1);
    cr_expect_eq(pcb->snd_wnd, 20005);
}

/* Two and seven are lost: what came after two is acknowledged up to seven. */
Test(net_tcp_recovery, the_next_lost_one_follows_at_once)
{
    acknowledge(2, 20000, false);
    for (unsigned i = 0; i < 3; i++)
        acknowledge(2, 20000, true);
    cr_assert_eq(sent_piece(), 2);
    acknowledge(7, 20000, true);
    cr_expect_eq(sent_piece(), 7);
    acknowledge(9, 20000, true);
    cr_expect_eq(sent_piece(), 9);
}

Test(net_tcp_recovery, it_ends_with_what_was_under_way)
{
    acknowledge(2, 20000, false);
    for (unsigned i = 0; i < 3; i++)
        acknowledge(2, 20000, true);
    acknowledge(10, 20000, false);
    cr_expect_eq(sent_piece(), -1);
    cr_expect_not(pcb->flags & TF_INFR);
}

/* An ordinary acknowledgement of a part is no loss. */
Test(net_tcp_recovery, nothing_is_sent_again_without_a_loss)
{
    for (unsigned i = 1; i < 10; i++) {
        acknowledge(i, 20000, false);
        cr_expect_eq(sent_piece(), -1);
    }
}

Test(net_tcp_recovery, options_that_are_nonsense_are_none)
{
    static const u8 nonsense[][4] = {{3, 0, 0, 0}, {8, 1, 5, 10}, {9, 40, 5, 2}, {0, 5, 5, 5}};

    acknowledge(2, 20000, false);
    for (unsigned i = 0; i < 4; i++)
        arrive(ACK, THEIR_FIRST + 1, base + 2 * PIECE, (u16)(20001 + i), nonsense[i], 4);
    cr_expect_eq(sent_piece(), -1);
}
