/* Frames to the guest: buffers, streams in pieces, and what is no frame. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/devices/net_guest.h"

static const struct virtio_net_header plain;

static void open_tap(void)
{
    net_guest_open(
        (struct net_config){.port = {.kind = NET_TAP,
                                     .offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
                                                 TUN_F_TSO_ECN | TUN_F_UFO | USO4 | USO6}});
    net_guest_start(FEATURE(MRG_RXBUF));
}

static void open_stream(void)
{
    net_guest_open((struct net_config){.port = {.kind = NET_STREAM}});
    net_guest_start(FEATURE(MRG_RXBUF));
}

static void open_limited(void)
{
    net_guest_open((struct net_config){.port = {.kind = NET_STREAM},
                                       .rate = {.operations = 2, .burst_ns = 1000000000}});
    net_guest_start(0);
}

static void open_small(void)
{
    net_guest_open((struct net_config){
        .port = {.kind = NET_TAP, .offloads = TUN_F_CSUM | TUN_F_TSO4}, .mtu = 1500});
}

TestSuite(net_rx_mtu, .init = open_small, .fini = net_guest_close, .timeout = 60);
TestSuite(net_rx_tap, .init = open_tap, .fini = net_guest_close, .timeout = 60);
TestSuite(net_rx_stream, .init = open_stream, .fini = net_guest_close, .timeout = 60);
TestSuite(net_rx_limited, .init = open_limited, .fini = net_guest_close, .timeout = 60);

static struct virtio_net_header header_in(const uint8_t *buffer)
{
    struct virtio_net_header header;

    memcpy(&header, buffer, sizeof(header));
    return header;
}

/* One frame in one buffer. */
static void assert_frame(const uint8_t *buffer, uint8_t seed, uint32_t len)
{
    cr_assert_eq(take_used(RX), HEADER + len);
    cr_assert_eq(header_in(buffer).buffers, 1);
    cr_assert(is_pattern(buffer + HEADER, seed, len));
    cr_assert_eq(buffer[HEADER + len], UNTOUCHED);
}

/* --- what arrives --- */

static void assert_batch_arrives(void)
{
    const uint8_t *buffers[4];

    for (unsigned i = 0; i < 4; i++)
        buffers[i] = post_rx(2000);
    for (uint8_t i = 0; i < 3; i++)
        peer_sends(plain, i, 60 + i * 700u);
    settle();
    for (uint8_t i = 0; i < 3; i++)
        assert_frame(buffers[i], i, 60 + i * 700u);
    no_used(RX);
    cr_assert_eq(buffers[3][0], UNTOUCHED);
    cr_assert_eq(g.fake.irqs, 1, "one for all of them");
}

Test(net_rx_tap, frames_arrive_with_one_interrupt)
{
    assert_batch_arrives();
}

Test(net_rx_stream, frames_arrive_with_one_interrupt)
{
    assert_batch_arrives();
}

Test(net_rx_stream, a_frame_may_come_byte_by_byte)
{
    uint8_t bytes[104] = {0, 0, 0, 100};
    const uint8_t *buffer = post_rx(2000);

    pattern(bytes + 4, 8, 100);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        no_used(RX);
        peer_sends_bytes(bytes + i, 1);
        settle();
    }
    assert_frame(buffer, 8, 100);
}

/* More than the device's buffer, so that frames lie across its end. */
Test(net_rx_stream, a_long_stream_stays_in_step)
{
    for (unsigned i = 0; i < 60; i++) {
        const uint32_t len = 14 + i * 1110u;
        const uint8_t *buffer = post_rx(SLOT_BYTES);

        kick(RX);
        peer_sends(plain, (uint8_t)i, len);
        if (i % 3 == 0) { /* two at once */
            const uint8_t *another = post_rx(SLOT_BYTES);

            peer_sends(plain, (uint8_t)(i + 1), 77);
            settle();
            assert_frame(buffer, (uint8_t)i, len);
            assert_frame(another, (uint8_t)(i + 1), 77);
        } else {
            settle();
            assert_frame(buffer, (uint8_t)i, len);
        }
    }
}

/* The first read takes all of the second frame but its last byte, or another one. */
Test(net_rx_stream, a_frame_may_lie_across_the_end_of_the_devices_buffer)
{
    for (uint32_t over = 0; over < 3; over++) {
        const uint32_t first = NET_BUFFER_BYTES - NET_REST_BYTES - NET_LENGTH_BYTES + over;
        const uint8_t *one = post_rx(SLOT_BYTES), *other = post_rx(SLOT_BYTES);

        peer_sends(plain, 1, first);
        peer_sends(plain, 2, NET_FRAME_MAX);
        settle();
        assert_frame(one, 1, first);
        assert_frame(other, 2, NET_FRAME_MAX);
    }
    cr_assert_eq(g.lost, 0);
}

/* --- mergeable buffers --- */

/* A frame in buffers of 100 bytes each takes as many as it needs, all but the last of them full. */
static void assert_merged(uint32_t len)
{
    const unsigned want = (HEADER + len + 99) / 100;
    const uint8_t *buffers[QUEUE];
    uint8_t frame[6000];
    uint32_t have = 0;

    for (unsigned i = 0; i < want; i++)
        buffers[i] = post_rx(100);
    kick(RX);
    peer_sends(plain, 3, len);
    settle();
    cr_assert_eq(header_in(buffers[0]).buffers, want, "%u bytes", len);
    for (unsigned i = 0; i < want; i++) {
        const uint32_t used = take_used(RX);

        cr_assert_eq(used, i + 1 < want ? 100 : HEADER + len - 100 * i);
        cr_assert_eq(buffers[i][used], UNTOUCHED);
        memcpy(frame + have, buffers[i], used);
        have += used;
    }
    no_used(RX);
    cr_assert(is_pattern(frame + HEADER, 3, len));
}

Test(net_rx_tap, a_frame_takes_as_many_buffers_as_it_needs)
{
    for (uint32_t len = 86; len <= 90; len++)
        assert_merged(len);
    for (uint32_t len = 186; len <= 190; len++)
        assert_merged(len);
    assert_merged(5000);
    cr_assert_eq(g.net->rx.flow.dropped, 0);
}

Test(net_rx_stream, a_frame_waits_whole_for_the_buffers_it_needs)
{
    const uint8_t *first = post_rx(100);

    post_rx(100);
    peer_sends(plain, 3, 300);
    settle();
    no_used(RX);
    post_rx(100);
    kick(RX);
    no_used(RX);
    post_rx(100);
    kick(RX);
    cr_assert_eq(header_in(first).buffers, 4);
    cr_assert_eq(count_used(RX), 4);
    cr_assert_eq(g.fake.irqs, 1);
}

Test(net_rx_stream, the_kick_it_waits_for_is_for_a_buffer_beyond)
{
    net_guest_start(FEATURE(MRG_RXBUF) | VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX));
    post_rx(100);
    post_rx(100);
    peer_sends(plain, 3, 300);
    settle();
    cr_assert(g.net->rx.starved);
    cr_assert_eq(fake_avail_event(&g.fake, RX), 2);
    cr_assert(virtq_event_due(fake_avail_event(&g.fake, RX), 3, 2));
}

Test(net_rx_tap, a_frame_larger_than_a_whole_queue_is_dropped)
{
    for (unsigned i = 0; i < QUEUE; i++)
        post_rx(20);
    peer_sends(plain, 1, QUEUE * 20 - HEADER + 1);
    peer_sends(plain, 2, QUEUE * 20 - HEADER);
    settle();
    cr_assert_eq(g.net->rx.flow.dropped, 1);
    cr_assert_eq(count_used(RX), QUEUE);
    cr_assert_eq(header_in(fake_at(&g.fake, RX_DATA)).buffers, QUEUE);
}

/* --- single buffers --- */

Test(net_rx_tap, without_mergeable_buffers_a_frame_fits_into_one_or_is_dropped)
{
    const uint8_t *buffer;

    net_guest_start(0);
    buffer = post_rx(HEADER + 500);
    peer_sends(plain, 1, 501);
    settle();
    no_used(RX);
    cr_assert_eq(g.net->rx.flow.dropped, 1);
    cr_assert_eq(buffer[HEADER + 500], UNTOUCHED);
    peer_sends(plain, 2, 500);
    settle();
    assert_frame(buffer, 2, 500);
}

/* A byte each: the header, the beginning of the frame, and what is left. */
Test(net_rx_tap, a_buffer_may_be_divided_anywhere)
{
    enum { PARTS = HEADER + 10 };
    uint8_t *buffer = fake_at(&g.fake, RX_DATA);

    memset(buffer, UNTOUCHED, SLOT_BYTES);
    for (uint16_t i = 0; i < PARTS; i++)
        fake_desc(&g.fake, RX, i, RX_DATA + i, 1, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE,
                  (uint16_t)(i + 1));
    fake_desc(&g.fake, RX, PARTS, RX_DATA + PARTS, 500, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&g.fake, RX, 0);
    peer_sends(plain, 1, 300);
    settle();
    assert_frame(buffer, 1, 300);
}

/* --- no buffers --- */

static void assert_frames_wait(void)
{
    struct epoll_event event;
    const uint8_t *buffer;

    peer_sends(plain, 1, 100);
    peer_sends(plain, 2, 100);
    settle();
    cr_assert(g.net->rx.starved);
    cr_assert_eq(epoll_wait(g.loop.epoll_fd, &event, 1, 0), 0, "nobody looks at the port");
    cr_assert_eq(fake_avail_event(&g.fake, RX), 0);
    buffer = post_rx(2000);
    kick(RX);
    assert_frame(buffer, 1, 100);
    buffer = post_rx(2000);
    kick(RX);
    assert_frame(buffer, 2, 100);
    cr_assert_eq(g.net->rx.flow.dropped, 0);
}

Test(net_rx_tap, frames_wait_for_buffers)
{
    assert_frames_wait();
}

Test(net_rx_stream, frames_wait_for_buffers)
{
    assert_frames_wait();
}

Test(net_rx_stream, buffers_that_nobody_waits_for_need_no_kick)
{
    net_guest_start(FEATURE(MRG_RXBUF) | VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX));
    cr_assert(!virtq_event_due(fake_avail_event(&g.fake, RX), 1, 0));
    peer_sends(plain, 1, 100);
    settle();
    cr_assert(virtq_event_due(fake_avail_event(&g.fake, RX), 1, 0));
    post_rx(2000);
    kick(RX);
    take_used(RX);
    cr_assert(!virtq_event_due(fake_avail_event(&g.fake, RX), 2, 1));
}

/* --- what is no frame --- */

Test(net_rx_tap, frames_too_short_or_too_long_are_dropped)
{
    const uint8_t *buffer = post_rx(SLOT_BYTES);

    peer_sends(plain, 1, 13);
    peer_sends(plain, 1, NET_FRAME_MAX + 1);
    peer_sends_bytes("short", 5);
    settle();
    no_used(RX);
    cr_assert_eq(g.net->rx.flow.dropped, 3);
    peer_sends(plain, 2, NET_FRAME_MAX);
    settle();
    assert_frame(buffer, 2, NET_FRAME_MAX);
    buffer = post_rx(SLOT_BYTES);
    peer_sends(plain, 3, 14);
    kick(RX);
    settle();
    assert_frame(buffer, 3, 14);
}

static void assert_length_is_refused(uint32_t len)
{
    const uint8_t *buffer;

    open_stream();
    buffer = post_rx(SLOT_BYTES);
    peer_sends(plain, 1, 14);
    len = htobe32(len);
    peer_sends_bytes(&len, sizeof(len));
    settle();
    assert_frame(buffer, 1, 14);
    cr_assert_eq(g.lost, 1, "%u", be32toh(len));
    cr_assert_str_eq(g.fake.line, "net 1: the link is down: its peer sends what is no frame");
    net_guest_close();
}

Test(net_rx_lengths, that_no_frame_has_end_the_link)
{
    static const uint32_t lengths[] = {0, 1, 13, NET_FRAME_MAX + 1, 1u << 31, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        assert_length_is_refused(lengths[i]);
}

Test(net_rx_stream, the_shortest_and_the_longest_frame_arrive)
{
    const uint8_t *shortest = post_rx(SLOT_BYTES), *longest = post_rx(SLOT_BYTES);

    peer_sends(plain, 1, 14);
    peer_sends(plain, 2, NET_FRAME_MAX);
    settle();
    assert_frame(shortest, 1, 14);
    assert_frame(longest, 2, NET_FRAME_MAX);
    cr_assert_eq(g.lost, 0);
}

/* A frame as peer_sends has it, but with the tag of a VLAN, which is not the packet's. */
static void peer_sends_tagged(uint16_t type, uint32_t len)
{
    uint8_t packet[HEADER + 2000] = {0};

    pattern(packet + HEADER, 1, len);
    packet[HEADER + 12] = (uint8_t)(type >> 8);
    packet[HEADER + 13] = (uint8_t)type;
    peer_sends_bytes(packet, HEADER + len);
}

Test(net_rx_mtu, the_tag_of_a_vlan_is_not_the_packets)
{
    net_guest_start(FEATURE(MTU));
    for (unsigned i = 0; i < 2; i++) {
        const uint16_t type = i == 0 ? 0x8100 : 0x88a8;

        post_rx(4000);
        peer_sends_tagged(type, 1519);
        settle();
        no_used(RX);
        cr_assert_eq(g.net->rx.flow.dropped, i + 1);
        peer_sends_tagged(type, 1518);
        settle();
        cr_assert_eq(take_used(RX), HEADER + 1518);
    }
}

Test(net_rx_mtu, packets_above_it_are_dropped_if_they_are_not_for_segments)
{
    struct virtio_net_header segments = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                         .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                         .gso_size = 1400};
    const uint8_t *buffer;

    net_guest_start(FEATURE(MTU) | FEATURE(GUEST_CSUM) | FEATURE(GUEST_TSO4));
    buffer = post_rx(4000);
    peer_sends(plain, 1, 1515);
    settle();
    no_used(RX);
    cr_assert_eq(g.net->rx.flow.dropped, 1);
    peer_sends(plain, 2, 1514);
    settle();
    assert_frame(buffer, 2, 1514);
    buffer = post_rx(4000);
    kick(RX);
    peer_sends(segments, 3, 1515);
    settle();
    assert_frame(buffer, 3, 1515);
    net_guest_start(0);
    buffer = post_rx(4000);
    peer_sends(plain, 4, 1515);
    settle();
    assert_frame(buffer, 4, 1515);
}

/* A tap may hold what was agreed upon with the driver before. */
Test(net_rx_tap, headers_that_the_driver_did_not_agree_to_do_not_reach_it)
{
    const struct virtio_net_header partial = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 14, .csum_offset = 6};
    const struct virtio_net_header valid = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
    struct virtio_net_header segments = partial;
    const uint8_t *buffer = post_rx(2000);

    segments.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    segments.gso_size = 1400;
    peer_sends(partial, 1, 100);
    peer_sends(segments, 1, 100);
    settle();
    no_used(RX);
    cr_assert_eq(g.net->rx.flow.dropped, 2);
    peer_sends(valid, 1, 100);
    settle();
    assert_frame(buffer, 1, 100);
    cr_assert_eq(header_in(buffer).flags, 0);
    net_guest_start(FEATURE(MRG_RXBUF) | FEATURE(GUEST_CSUM) | FEATURE(GUEST_TSO4));
    buffer = post_rx(2000);
    peer_sends(segments, 2, 100);
    settle();
    assert_frame(buffer, 2, 100);
    segments.buffers = 1;
    cr_assert_arr_eq(buffer, (uint8_t *)&segments, HEADER);
}

/* A frame of this kind arrives, its header as the port has it, or is dropped. */
static void assert_segments(uint8_t type, bool arrive)
{
    struct virtio_net_header header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                       .gso_type = type,
                                       .header_len = 54,
                                       .gso_size = 40,
                                       .csum_start = 34,
                                       .csum_offset = 16,
                                       .buffers = 1};
    const uint64_t dropped = g.net->rx.flow.dropped;
    const uint8_t *buffer = post_rx(2000);

    kick(RX);
    peer_sends(header, 1, 100);
    settle();
    cr_assert_eq(g.net->rx.flow.dropped, dropped + !arrive, "type %u", type);
    if (!arrive) { /* what waits in the buffer's place */
        no_used(RX);
        peer_sends(plain, 1, 100);
        settle();
        header = (struct virtio_net_header){.buffers = 1};
    }
    assert_frame(buffer, 1, 100);
    cr_assert_arr_eq(buffer, (uint8_t *)&header, HEADER);
}

Test(net_rx_tap, segments_of_a_kind_not_agreed_upon_do_not_reach_the_driver)
{
    static const struct {
        uint64_t feature;
        uint8_t type;
    } kinds[] = {
        {0, 2 /* nobody's */},
        {FEATURE(GUEST_TSO4), VIRTIO_NET_HDR_GSO_TCPV4},
        {FEATURE(GUEST_TSO6), VIRTIO_NET_HDR_GSO_TCPV6},
        {FEATURE(GUEST_UFO), VIRTIO_NET_HDR_GSO_UDP},
        {FEATURE(GUEST_USO4) | FEATURE(GUEST_USO6), VIRTIO_NET_HDR_GSO_UDP_L4},
    };
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

    for (unsigned accepted = 0; accepted < KINDS; accepted++) {
        net_guest_start(FEATURE(MRG_RXBUF) | FEATURE(GUEST_CSUM) | kinds[accepted].feature);
        for (unsigned i = 0; i < KINDS; i++)
            assert_segments(kinds[i].type, i == accepted && i > 0);
        assert_segments(VIRTIO_NET_HDR_GSO_ECN, false);
    }
}

/* RSC_INFO and those that have no name yet. */
Test(net_rx_tap, flags_that_the_driver_does_not_know_do_not_reach_it)
{
    const struct virtio_net_header all = {.flags = 0xff & ~VIRTIO_NET_HDR_F_NEEDS_CSUM};
    const uint8_t *buffer;

    net_guest_start(FEATURE(MRG_RXBUF) | FEATURE(GUEST_CSUM));
    buffer = post_rx(2000);
    peer_sends(all, 1, 100);
    settle();
    assert_frame(buffer, 1, 100);
    cr_assert_eq(header_in(buffer).flags, VIRTIO_NET_HDR_F_DATA_VALID);
}

Test(net_rx_tap, a_checksum_to_make_lies_within_the_frame)
{
    struct virtio_net_header partial = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 80, .csum_offset = 18, .buffers = 1};
    const uint8_t *buffer;

    net_guest_start(FEATURE(MRG_RXBUF) | FEATURE(GUEST_CSUM));
    buffer = post_rx(2000);
    peer_sends(partial, 1, 100); /* its last two bytes */
    settle();
    assert_frame(buffer, 1, 100);
    cr_assert_arr_eq(buffer, (uint8_t *)&partial, HEADER);
    post_rx(2000);
    partial.csum_offset++;
    peer_sends(partial, 2, 100);
    partial.csum_start = partial.csum_offset = UINT16_MAX;
    peer_sends(partial, 3, 100);
    settle();
    no_used(RX);
    cr_assert_eq(g.net->rx.flow.dropped, 2);
}

Test(net_rx_tap, a_checksum_found_right_is_told_to_a_driver_that_asked)
{
    const struct virtio_net_header valid = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
    const uint8_t *buffer = post_rx(2000);

    peer_sends(valid, 1, 100);
    settle();
    assert_frame(buffer, 1, 100);
    cr_assert_eq(header_in(buffer).flags, 0);
    net_guest_start(FEATURE(MRG_RXBUF) | FEATURE(GUEST_CSUM));
    buffer = post_rx(2000);
    peer_sends(valid, 2, 100);
    settle();
    assert_frame(buffer, 2, 100);
    cr_assert_eq(header_in(buffer).flags, VIRTIO_NET_HDR_F_DATA_VALID);
}

Test(net_rx_tap, segments_with_ecn_are_marked_and_for_a_driver_that_knows_it)
{
    const uint64_t features = FEATURE(MRG_RXBUF) | FEATURE(GUEST_CSUM) | FEATURE(GUEST_TSO4);
    const struct virtio_net_header segments = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                               .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 |
                                                           VIRTIO_NET_HDR_GSO_ECN,
                                               .gso_size = 1400,
                                               .csum_start = 34,
                                               .csum_offset = 16,
                                               .buffers = 1};
    const uint8_t *buffer;

    net_guest_start(features);
    post_rx(2000);
    peer_sends(segments, 1, 100);
    settle();
    no_used(RX);
    net_guest_start(features | FEATURE(GUEST_ECN));
    buffer = post_rx(2000);
    peer_sends(segments, 2, 100);
    settle();
    assert_frame(buffer, 2, 100);
    cr_assert_arr_eq(buffer, (uint8_t *)&segments, HEADER);
}

Test(net_rx_tap, segments_without_a_checksum_to_make_do_not_reach_the_driver)
{
    struct virtio_net_header segments = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1400};

    net_guest_start(FEATURE(MRG_RXBUF) | FEATURE(GUEST_CSUM) | FEATURE(GUEST_TSO4));
    post_rx(2000);
    peer_sends(segments, 1, 100);
    segments.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    segments.gso_size = 0;
    peer_sends(segments, 1, 100);
    settle();
    no_used(RX);
    cr_assert_eq(g.net->rx.flow.dropped, 2);
}

Test(net_rx_tap, a_buffer_without_room_for_a_header_asks_for_reset)
{
    post_rx(HEADER - 1);
    peer_sends(plain, 1, 100);
    settle();
    cr_assert(fake_needs_reset(&g.fake));
    cr_assert_str_eq(g.fake.line, "net 1: rx: a buffer without room for a header");
    no_used(RX);
}

Test(net_rx_tap, a_head_out_of_range_asks_for_reset)
{
    fake_add(&g.fake, RX, QUEUE);
    peer_sends(plain, 1, 100);
    settle();
    cr_assert(fake_needs_reset(&g.fake));
    cr_assert_str_eq(g.fake.line, "net 1: rx: head out of range");
}

/* --- resets and limits --- */

Test(net_rx_stream, a_reset_in_the_middle_of_a_frame_keeps_the_stream_in_step)
{
    uint8_t bytes[104] = {0, 0, 0, 100};
    const uint8_t *buffer;

    pattern(bytes + 4, 8, 100);
    post_rx(2000);
    peer_sends_bytes(bytes, 50);
    settle();
    net_guest_start(0);
    peer_sends_bytes(bytes + 50, 54);
    settle();
    no_used(RX);
    buffer = post_rx(2000);
    kick(RX);
    assert_frame(buffer, 8, 100);
}

Test(net_rx_stream, a_frame_that_waited_is_the_next_drivers)
{
    const uint8_t *buffer;

    peer_sends(plain, 8, 100);
    settle();
    net_guest_start(0);
    buffer = post_rx(2000);
    settle();
    assert_frame(buffer, 8, 100);
}

/* Two a second, and a second's worth at once: the third is begun within it. */
Test(net_rx_limited, what_is_above_the_limit_waits_in_the_port)
{
    struct epoll_event event;

    for (uint8_t i = 0; i < 6; i++)
        post_rx(2000);
    for (uint8_t i = 0; i < 6; i++)
        peer_sends(plain, i, 100);
    cr_assert_eq(loop_turn(&g.loop, 0, NULL), 0);
    cr_assert_eq(count_used(RX), 3);
    cr_assert(g.net->rx.flow.due.armed);
    cr_assert_eq(epoll_wait(g.loop.epoll_fd, &event, 1, 0), 0);
    for (int i = 0; i < 100 && count_used(RX) == 0; i++)
        cr_assert_eq(loop_turn(&g.loop, 100, NULL), 0);
    cr_assert(g.net->rx.flow.due.armed);
    fake_set_reg(&g.fake, VIRTIO_MMIO_STATUS, 0);
    cr_assert(!g.loop.timers);
}
