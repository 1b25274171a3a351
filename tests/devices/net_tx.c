/* Frames from the guest: headers, lengths, and a port that takes no more. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/devices/net_guest.h"

static const struct virtio_net_header plain;

static void open_tap(void)
{
    net_guest_open(
        (struct net_config){.port = {.kind = NET_TAP,
                                     .offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
                                                 TUN_F_TSO_ECN | TUN_F_UFO | USO4 | USO6}});
    net_guest_start(0);
}

static void open_stream(void)
{
    net_guest_open((struct net_config){.port = {.kind = NET_STREAM}});
    net_guest_start(0);
}

static void open_limited(void)
{
    net_guest_open((struct net_config){.port = {.kind = NET_TAP},
                                       .rate = {.bytes = 10000, .burst_ns = 1000000000}});
    net_guest_start(0);
}

TestSuite(net_tx_tap, .init = open_tap, .fini = net_guest_close, .timeout = 60);
TestSuite(net_tx_stream, .init = open_stream, .fini = net_guest_close, .timeout = 60);
TestSuite(net_tx_limited, .init = open_limited, .fini = net_guest_close, .timeout = 60);

static void send_frame(struct virtio_net_header header, uint8_t seed, uint32_t len)
{
    post_tx(header, seed, len);
    kick(TX);
}

/* --- what goes out --- */

Test(net_tx_tap, a_frame_goes_out_within_the_notification)
{
    struct virtio_net_header header = {.buffers = 77};

    send_frame(header, 1, 1500);
    cr_assert_eq(take_used(TX), 0);
    cr_assert_eq(peer_gets(&header, 1), 1500);
    cr_assert_arr_eq((uint8_t *)&header, (const uint8_t *)&plain, HEADER);
    cr_assert_eq(g.fake.irqs, 1);
}

Test(net_tx_stream, a_frame_goes_out_behind_its_length)
{
    uint8_t bytes[8];

    send_frame(plain, 1, 0x123);
    cr_assert_eq(recv(g.peer, bytes, 8, MSG_PEEK), 8);
    cr_assert_arr_eq(bytes, ((uint8_t[]){0, 0, 1, 0x23, 1, 8, 15, 22}), 8);
    cr_assert_eq(peer_gets(NULL, 1), 0x123);
    cr_assert_eq(peer_gets(NULL, 1), -1);
}

static void assert_dropped(struct virtio_net_header header, uint32_t len)
{
    uint64_t before = g.net->tx.flow.dropped;

    send_frame(header, 3, len);
    cr_assert_eq(take_used(TX), 0);
    cr_assert_eq(peer_gets(NULL, 3), -1);
    cr_assert_eq(g.net->tx.flow.dropped, before + 1);
    cr_assert(!fake_needs_reset(&g.fake));
}

static void assert_lengths_checked(void)
{
    assert_dropped(plain, 13);
    send_frame(plain, 4, 14);
    cr_assert_eq(peer_gets(NULL, 4), 14);
    send_frame(plain, 5, NET_FRAME_MAX);
    cr_assert_eq(peer_gets(NULL, 5), NET_FRAME_MAX);
    cr_assert_eq(count_used(TX), 2);
    assert_dropped(plain, NET_FRAME_MAX + 1);
}

Test(net_tx_tap, frames_too_short_or_too_long_are_dropped)
{
    assert_lengths_checked();
}

Test(net_tx_stream, frames_too_short_or_too_long_are_dropped)
{
    assert_lengths_checked();
}

/* --- headers --- */

enum { CSUM_FLAG = VIRTIO_NET_HDR_F_NEEDS_CSUM, FRAME = 200 };

static struct virtio_net_header segments(uint8_t type)
{
    return (struct virtio_net_header){.flags = CSUM_FLAG,
                                      .gso_type = type,
                                      .header_len = 54,
                                      .gso_size = 100,
                                      .csum_start = 34,
                                      .csum_offset = 16};
}

static void assert_passes(struct virtio_net_header header)
{
    struct virtio_net_header got;

    send_frame(header, 9, FRAME);
    take_used(TX);
    cr_assert_eq(peer_gets(&got, 9), FRAME);
    cr_assert_arr_eq((uint8_t *)&got, (uint8_t *)&header, HEADER);
}

Test(net_tx_tap, what_was_not_agreed_upon_is_not_passed_on)
{
    static const struct {
        uint64_t feature;
        uint8_t type;
    } kinds[] = {
        {FEATURE(HOST_TSO4), VIRTIO_NET_HDR_GSO_TCPV4},
        {FEATURE(HOST_TSO6), VIRTIO_NET_HDR_GSO_TCPV6},
        {FEATURE(HOST_UFO), VIRTIO_NET_HDR_GSO_UDP},
        {FEATURE(HOST_USO), VIRTIO_NET_HDR_GSO_UDP_L4},
    };
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

    for (unsigned i = 0; i < KINDS; i++)
        assert_dropped(segments(kinds[i].type), FRAME);
    assert_dropped(segments(0), FRAME);
    for (unsigned accepted = 0; accepted < KINDS; accepted++) {
        net_guest_start(FEATURE(CSUM) | kinds[accepted].feature);
        for (unsigned i = 0; i < KINDS; i++) {
            if (i == accepted)
                assert_passes(segments(kinds[i].type));
            else
                assert_dropped(segments(kinds[i].type), FRAME);
        }
        assert_dropped(segments(kinds[accepted].type | VIRTIO_NET_HDR_GSO_ECN), FRAME);
    }
    net_guest_start(FEATURE(CSUM) | FEATURE(HOST_TSO4) | FEATURE(HOST_ECN));
    assert_passes(segments(VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN));
    assert_dropped(segments(VIRTIO_NET_HDR_GSO_ECN), FRAME);
    assert_dropped(segments(2), FRAME);
}

Test(net_tx_tap, segments_need_a_size_and_a_checksum)
{
    struct virtio_net_header header = segments(VIRTIO_NET_HDR_GSO_TCPV4);

    net_guest_start(FEATURE(CSUM) | FEATURE(HOST_TSO4));
    header.gso_size = 0;
    assert_dropped(header, FRAME);
    header.gso_size = 1;
    assert_passes(header);
    header.flags = 0;
    assert_dropped(header, FRAME);
}

Test(net_tx_tap, a_checksum_lies_within_the_frame)
{
    struct virtio_net_header header = {.flags = CSUM_FLAG, .csum_start = FRAME - 18};

    net_guest_start(FEATURE(CSUM));
    header.csum_offset = 16;
    assert_passes(header);
    header.csum_offset = 17;
    assert_dropped(header, FRAME);
    header.csum_start = header.csum_offset = UINT16_MAX;
    assert_dropped(header, FRAME);
}

Test(net_tx_tap, fields_and_flags_that_mean_nothing_are_cleared)
{
    struct virtio_net_header header = {
        .flags = 0xfe, .gso_size = 9, .csum_start = 500, .csum_offset = 7, .header_len = 5000};

    send_frame(header, 1, FRAME);
    cr_assert_eq(peer_gets(&header, 1), FRAME);
    cr_assert_eq(header.flags, 0);
    cr_assert_eq(header.gso_size, 0);
    cr_assert(header.csum_start == 0 && header.csum_offset == 0);
    cr_assert_eq(header.header_len, FRAME);
}

Test(net_tx_tap, the_length_of_the_headers_is_a_hint)
{
    struct virtio_net_header got, header = segments(VIRTIO_NET_HDR_GSO_TCPV4);

    net_guest_start(FEATURE(CSUM) | FEATURE(HOST_TSO4));
    header.header_len = 0;
    assert_passes(header);
    header.header_len = UINT16_MAX;
    send_frame(header, 2, FRAME);
    take_used(TX);
    cr_assert_eq(peer_gets(&got, 2), FRAME);
    cr_assert_eq(got.header_len, FRAME);
}

/* A byte each: the header, the beginning of the frame, and what is left. */
Test(net_tx_tap, a_frame_may_be_divided_anywhere)
{
    enum { PARTS = HEADER + 10 };
    uint8_t *data = fake_at(&g.fake, TX_DATA);

    memset(data, 0, HEADER);
    pattern(data + HEADER, 1, FRAME);
    for (uint16_t i = 0; i < PARTS; i++)
        fake_desc(&g.fake, TX, i, TX_DATA + i, 1, VIRTQ_DESC_F_NEXT, (uint16_t)(i + 1));
    fake_desc(&g.fake, TX, PARTS, TX_DATA + PARTS, HEADER + FRAME - PARTS, 0, 0);
    fake_add(&g.fake, TX, 0);
    kick(TX);
    cr_assert_eq(take_used(TX), 0);
    cr_assert_eq(peer_gets(NULL, 1), FRAME);
}

Test(net_tx_stream, has_no_offloads)
{
    assert_dropped(segments(0), FRAME);
    assert_dropped(segments(VIRTIO_NET_HDR_GSO_TCPV4), FRAME);
}

/* --- a port that takes no more --- */

enum { MANY = 24, LARGE = 60000 };

static void post_many(void)
{
    for (uint8_t i = 0; i < MANY; i++)
        post_tx(plain, i, LARGE);
    kick(TX);
}

/* Those from `first` on arrive as the peer makes room. */
static void assert_many_arrive(unsigned first)
{
    for (unsigned i = first; i < MANY; i++) {
        int len = peer_gets(NULL, (uint8_t)i);

        for (int tries = 0; len < 0 && tries < 3; tries++) {
            settle();
            len = peer_gets(NULL, (uint8_t)i);
        }
        cr_assert_eq(len, LARGE, "frame %u: %d", i, len);
    }
    settle();
}

Test(net_tx_tap, what_a_full_one_does_not_take_goes_on_later)
{
    unsigned done;

    post_many();
    done = count_used(TX);
    cr_assert(done > 0 && done < MANY);
    cr_assert(g.net->tx.blocked);
    kick(TX);
    cr_assert_eq(count_used(TX), 0);
    assert_many_arrive(0);
    cr_assert_eq(done + count_used(TX), MANY);
    cr_assert(!g.net->tx.blocked);
    cr_assert_eq(g.net->tx.flow.dropped, 0);
}

Test(net_tx_stream, a_frame_taken_in_part_goes_on_where_it_was)
{
    unsigned done;

    post_many();
    done = count_used(TX);
    cr_assert(done > 0 && done < MANY);
    cr_assert(g.net->tx.rest_at < g.net->tx.rest_end);
    assert_many_arrive(0);
    cr_assert_eq(done + count_used(TX), MANY);
    cr_assert_eq(g.lost, 0);
}

/* The peer could not tell a cut frame from the next one. */
Test(net_tx_stream, a_reset_does_not_cut_a_frame)
{
    unsigned done;

    post_many();
    done = count_used(TX);
    cr_assert(g.net->tx.rest_at < g.net->tx.rest_end);
    memset(fake_at(&g.fake, TX_DATA), 0, MANY * SLOT_BYTES);
    net_guest_start(0);
    send_frame(plain, 99, 50);
    no_used(TX);
    for (unsigned i = 0; i < done; i++)
        cr_assert_eq(peer_gets(NULL, (uint8_t)i), LARGE);
    settle();
    cr_assert_eq(peer_gets(NULL, 99), 50);
    cr_assert_eq(count_used(TX), 1);
    cr_assert_eq(g.lost, 0);
}

Test(net_tx_tap, a_reset_forgets_what_did_not_go_out)
{
    unsigned done;

    post_many();
    done = count_used(TX);
    net_guest_start(0);
    for (unsigned i = 0; i < done; i++)
        cr_assert_eq(peer_gets(NULL, (uint8_t)i), LARGE);
    settle();
    cr_assert_eq(peer_gets(NULL, 0), -1);
    send_frame(plain, 99, 50);
    cr_assert_eq(peer_gets(NULL, 99), 50);
    cr_assert_eq(count_used(TX), 1);
}

Test(net_tx_stream, a_peer_that_went_away_is_lost_once_and_requests_end)
{
    post_many();
    count_used(TX);
    close(g.peer);
    g.peer = -1;
    settle();
    cr_assert_eq(g.lost, 1);
    cr_assert_eq(g.fake.queue[TX].used->idx, MANY);
    send_frame(plain, 1, 100);
    cr_assert_eq(g.lost, 1);
    cr_assert_eq(g.fake.queue[TX].used->idx, MANY + 1);
    cr_assert_eq(g.fake.lines, 1);
}

Test(net_tx_stream, a_peer_that_went_away_is_noticed_by_who_sends)
{
    close(g.peer);
    g.peer = -1;
    send_frame(plain, 1, 100);
    send_frame(plain, 1, 100);
    cr_assert_eq(g.lost, 1);
    cr_assert_eq(count_used(TX), 2);
    cr_assert_eq(g.fake.irqs, 3, "one of the configuration");
}

Test(net_tx_tap, a_frame_that_it_refuses_is_lost_with_one_line)
{
    int small = 4096;

    cr_assert_eq(setsockopt(g.port, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    send_frame(plain, 1, LARGE);
    send_frame(plain, 2, LARGE);
    send_frame(plain, 3, 100);
    cr_assert_eq(count_used(TX), 3);
    cr_assert_eq(peer_gets(NULL, 3), 100);
    cr_assert_eq(g.net->tx.flow.dropped, 2);
    cr_assert_eq(g.fake.lines, 1);
    cr_assert_str_eq(g.fake.line, "net 1: a frame is lost: Message too long");
}

Test(net_tx_tap, a_notification_has_an_end)
{
    int large = 16 << 20;
    unsigned done;

    if (setsockopt(g.port, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large)) != 0)
        cr_skip("needs CAP_NET_ADMIN");
    post_many();
    done = count_used(TX);
    cr_assert_eq(done, (NET_TURN_BYTES + LARGE - 1) / LARGE);
    settle();
    cr_assert_eq(done + count_used(TX), MANY);
    assert_many_arrive(0);
}

/* --- malformed chains --- */

Test(net_tx_stream, half_a_header_asks_for_reset)
{
    fake_desc(&g.fake, TX, 0, TX_DATA, HEADER - 1, 0, 0);
    fake_add(&g.fake, TX, 0);
    kick(TX);
    cr_assert(fake_needs_reset(&g.fake));
    cr_assert_str_eq(g.fake.line, "net 1: tx: a frame without room for its header");
    cr_assert_eq(peer_gets(NULL, 0), -1);
}

Test(net_tx_stream, a_looping_chain_asks_for_reset)
{
    fake_desc(&g.fake, TX, 0, TX_DATA, 16, VIRTQ_DESC_F_NEXT, 0);
    fake_add(&g.fake, TX, 0);
    kick(TX);
    cr_assert(fake_needs_reset(&g.fake));
    cr_assert_str_eq(g.fake.line, "net 1: tx: chain loops");
}

/* --- limits --- */

/* A burst is a second's worth, and what is begun may end in the next. */
Test(net_tx_limited, what_is_above_the_limit_waits)
{
    for (uint8_t i = 0; i < 6; i++)
        post_tx(plain, i, 9000);
    kick(TX);
    cr_assert_eq(count_used(TX), 2);
    cr_assert(g.net->tx.flow.due.armed);
    kick(TX);
    cr_assert_eq(count_used(TX), 0, "asking again does not help");
    for (int i = 0; i < 100 && count_used(TX) == 0; i++)
        cr_assert_eq(loop_turn(&g.loop, 100, NULL), 0);
    cr_assert(g.net->tx.flow.due.armed, "one went, and the next waits");
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_eq(peer_gets(NULL, i), 9000);
    cr_assert_eq(peer_gets(NULL, 3), -1);
}

Test(net_tx_limited, a_reset_ends_the_waiting)
{
    for (uint8_t i = 0; i < 6; i++)
        post_tx(plain, i, 9000);
    kick(TX);
    fake_set_reg(&g.fake, VIRTIO_MMIO_STATUS, 0);
    cr_assert(!g.loop.timers);
}
