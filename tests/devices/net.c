/* The network device itself: features, configuration, link and control queue. Frames are in
 * net_tx.c and net_rx.c. */
#include "devices/net.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/devices/net_guest.h"

static const uint64_t always = FEATURE(MAC) | FEATURE(STATUS) | FEATURE(MRG_RXBUF) |
                               FEATURE(CTRL_VQ) | FEATURE(GUEST_ANNOUNCE);
static const uint64_t checksums = FEATURE(CSUM) | FEATURE(GUEST_CSUM);
static const uint32_t all_offloads =
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO | USO4 | USO6;

static void open_tap(void)
{
    net_guest_open((struct net_config){.port = {.kind = NET_TAP, .offloads = all_offloads}});
}

static void open_stream(void)
{
    net_guest_open((struct net_config){.port = {.kind = NET_STREAM}});
    net_guest_start(always);
}

TestSuite(net, .fini = net_guest_close, .timeout = 60);
TestSuite(net_tap, .init = open_tap, .fini = net_guest_close, .timeout = 60);
TestSuite(net_stream, .init = open_stream, .fini = net_guest_close, .timeout = 60);

/* --- features --- */

static uint64_t offered(void)
{
    uint64_t features = 0;

    for (uint32_t half = 0; half < 2; half++) {
        fake_set_reg(&g.fake, VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
        features |= (uint64_t)fake_reg(&g.fake, VIRTIO_MMIO_DEVICE_FEATURES) << (32 * half);
    }
    return features & ~(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX) |
                        VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC));
}

Test(net, features_follow_the_port)
{
    const uint64_t tso4 = FEATURE(GUEST_TSO4) | FEATURE(HOST_TSO4);
    const uint64_t rest = FEATURE(GUEST_TSO6) | FEATURE(HOST_TSO6) | FEATURE(GUEST_ECN) |
                          FEATURE(HOST_ECN) | FEATURE(GUEST_UFO) | FEATURE(HOST_UFO) |
                          FEATURE(GUEST_USO4) | FEATURE(GUEST_USO6) | FEATURE(HOST_USO);
    const struct {
        enum net_port_kind kind;
        uint32_t offloads;
        uint16_t mtu;
        uint64_t features;
    } cases[] = {
        {NET_TAP, 0, 0, 0},
        {NET_TAP, 0, 1500, FEATURE(MTU)},
        {NET_TAP, TUN_F_CSUM, 0, checksums},
        {NET_TAP, TUN_F_CSUM | TUN_F_TSO4, 0, checksums | tso4},
        {NET_TAP, TUN_F_TSO4 | TUN_F_UFO, 0, 0},
        {NET_TAP, TUN_F_CSUM | TUN_F_TSO_ECN, 0, checksums},
        {NET_TAP, TUN_F_CSUM | USO4, 0, checksums},
        {NET_TAP, all_offloads, 0, checksums | tso4 | rest},
        {NET_STREAM, all_offloads, 0, 0},
        {NET_STREAM, 0, 9000, FEATURE(MTU)},
        {NET_STREAM, 0, 68, FEATURE(MTU)},
        {NET_STREAM, 0, 67, 0},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i > 0)
            net_guest_close();
        net_guest_open((struct net_config){
            .port = {.kind = cases[i].kind, .offloads = cases[i].offloads}, .mtu = cases[i].mtu});
        cr_assert_eq(offered(), always | cases[i].features, "case %u", i);
    }
}

Test(net_tap, does_for_the_guest_what_it_accepted_and_no_more_after_a_reset)
{
    net_guest_start(always | checksums | FEATURE(GUEST_TSO4) | FEATURE(GUEST_ECN) |
                    FEATURE(HOST_TSO6));
    cr_assert_eq(g.offload_calls, 1);
    cr_assert_eq(g.offloads, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN);
    fake_set_reg(&g.fake, VIRTIO_MMIO_STATUS, 0);
    cr_assert_eq(g.offload_calls, 2);
    cr_assert_eq(g.offloads, 0);
    net_guest_start(always | checksums | FEATURE(GUEST_USO4) | FEATURE(GUEST_USO6));
    cr_assert_eq(g.offloads, TUN_F_CSUM | USO4 | USO6);
}

Test(net_tap, a_feature_without_what_it_needs_means_nothing)
{
    net_guest_start(always | FEATURE(GUEST_TSO4) | FEATURE(HOST_TSO4));
    cr_assert_eq(g.offloads, 0);
    cr_assert_eq(g.net->tx.flow.offloads, 0);
    net_guest_start(always | checksums | FEATURE(GUEST_ECN) | FEATURE(GUEST_USO4));
    cr_assert_eq(g.offloads, TUN_F_CSUM);
}

/* --- configuration and link --- */

static struct virtio_net_config config(void)
{
    struct virtio_net_config c;
    uint32_t *words = (uint32_t *)&c;

    for (uint32_t i = 0; i < sizeof(c) / 4; i++)
        words[i] = fake_reg(&g.fake, VIRTIO_MMIO_CONFIG + 4 * i);
    return c;
}

static uint32_t generation(void)
{
    return fake_reg(&g.fake, VIRTIO_MMIO_CONFIG_GENERATION);
}

Test(net, the_configuration_is_what_it_was_made_with)
{
    static const uint8_t mac[6] = {2, 3, 4, 5, 6, 7};

    net_guest_open((struct net_config){.port = {.kind = NET_STREAM}, .mtu = 1400});
    net_guest_start(always | FEATURE(MTU));
    cr_assert_arr_eq(config().mac, mac, 6);
    cr_assert_eq(config().status, VIRTIO_NET_S_LINK_UP);
    cr_assert_eq(config().max_virtqueue_pairs, 0);
    cr_assert_eq(config().mtu, 1400);
    for (uint32_t i = 0; i < sizeof(struct virtio_net_config); i += 4)
        fake_set_reg(&g.fake, VIRTIO_MMIO_CONFIG + i, 0);
    cr_assert_arr_eq(config().mac, mac, 6);
    cr_assert_eq(config().mtu, 1400);
}

static void assert_link(bool up)
{
    cr_assert_eq(config().status, up ? VIRTIO_NET_S_LINK_UP : 0);
}

static void connect_anew(void)
{
    int ends[2];

    net_guest_pair(NET_STREAM, ends);
    if (g.peer >= 0)
        close(g.peer);
    g.peer = ends[1];
    net_connect(g.net, ends[0]);
}

static void assert_frames_pass(void)
{
    post_tx((struct virtio_net_header){0}, 5, 100);
    kick(TX);
    take_used(TX);
    cr_assert_eq(peer_gets(NULL, 5), 100);
    post_rx(2000);
    kick(RX);
    peer_sends((struct virtio_net_header){0}, 6, 200);
    settle();
    cr_assert_eq(take_used(RX), HEADER + 200);
}

Test(net_stream, a_peer_that_goes_takes_the_link_down_and_another_brings_it_up)
{
    uint32_t before = generation();

    close(g.peer);
    g.peer = -1;
    settle();
    cr_assert_eq(g.lost, 1);
    assert_link(false);
    cr_assert_eq(generation(), before + 1);
    cr_assert_eq(g.fake.irqs, 1);
    cr_assert_eq(fake_reg(&g.fake, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    cr_assert_str_eq(g.fake.line, "net 1: the link is down: its peer has gone");
    connect_anew();
    assert_link(true);
    cr_assert_eq(generation(), before + 2);
    cr_assert_eq(g.fake.irqs, 2);
    assert_frames_pass();
    cr_assert_eq(g.lost, 1);
}

Test(net_stream, a_peer_that_goes_is_noticed_without_a_driver)
{
    fake_set_reg(&g.fake, VIRTIO_MMIO_STATUS, 0);
    close(g.peer);
    g.peer = -1;
    settle();
    cr_assert_eq(g.lost, 1);
    cr_assert_eq(g.fake.irqs, 0);
}

Test(net_stream, what_a_peer_said_before_it_went_arrives)
{
    post_rx(2000);
    peer_sends((struct virtio_net_header){0}, 1, 64);
    close(g.peer);
    g.peer = -1;
    settle();
    cr_assert_eq(take_used(RX), HEADER + 64);
    cr_assert_eq(g.lost, 1);
}

Test(net, a_link_may_be_down_at_first)
{
    net_guest_open((struct net_config){.port = {.kind = NET_STREAM, .fd = -1}});
    net_guest_start(always);
    assert_link(false);
    for (int i = 0; i < 3; i++)
        post_tx((struct virtio_net_header){0}, 0, 100);
    kick(TX);
    cr_assert_eq(count_used(TX), 3, "lost, as without a cable");
    cr_assert_eq(g.net->tx.flow.dropped, 3);
    connect_anew();
    assert_link(true);
    assert_frames_pass();
    cr_assert_eq(g.lost, 0);
}

Test(net_stream, another_peer_may_be_there_at_once)
{
    int ends[2];

    net_guest_pair(NET_STREAM, ends);
    g.next_peer = ends[0];
    close(g.peer);
    g.peer = ends[1];
    settle();
    cr_assert_eq(g.lost, 1);
    assert_link(true);
    assert_frames_pass();
}

/* As long as the loop has something to do it does not sleep. */
static bool loop_sleeps(void)
{
    struct epoll_event event;

    settle();
    return epoll_wait(g.loop.epoll_fd, &event, 1, 0) == 0;
}

Test(net_tap, one_that_is_gone_is_one_line_and_no_more_work)
{
    net_guest_start(always);
    close(g.peer);
    g.peer = -1;
    settle();
    assert_link(false);
    cr_assert_eq(g.fake.lines, 1);
    cr_assert_eq(g.lost, 0, "that is for streams");
    cr_assert(loop_sleeps());
    post_tx((struct virtio_net_header){0}, 0, 100);
    kick(TX);
    take_used(TX);
    cr_assert_eq(g.fake.lines, 1);
}

Test(net_stream, nothing_is_read_without_a_driver)
{
    fake_set_reg(&g.fake, VIRTIO_MMIO_STATUS, 0);
    peer_sends((struct virtio_net_header){0}, 9, 64);
    cr_assert(loop_sleeps());
    net_guest_start(always);
    post_rx(2000);
    settle();
    cr_assert_eq(take_used(RX), HEADER + 64);
}

Test(net, nothing_is_done_before_driver_ok)
{
    net_guest_open((struct net_config){.port = {.kind = NET_STREAM}});
    fake_prepare(&g.fake, always, VIRTIO_NET_QUEUES, QUEUE);
    post_rx(2000);
    post_tx((struct virtio_net_header){0}, 5, 100);
    peer_sends((struct virtio_net_header){0}, 6, 200);
    kick(RX);
    kick(TX);
    settle();
    no_used(RX);
    no_used(TX);
    cr_assert_eq(peer_gets(NULL, 5), -1);
    cr_assert_eq(g.fake.irqs, 0);
    fake_set_reg(&g.fake, VIRTIO_MMIO_STATUS, 15);
    settle();
    cr_assert_eq(take_used(RX), HEADER + 200);
    kick(TX);
    take_used(TX);
    cr_assert_eq(peer_gets(NULL, 5), 100);
}

/* --- the control queue --- */

/* The answer; -1 if there is none. */
static int command(uint8_t class, uint8_t number, uint32_t len, uint32_t room)
{
    uint8_t *data = fake_at(&g.fake, CTRL_DATA);
    struct virtq_used_elem used;

    memcpy(data, (uint8_t[4]){class, number}, 4);
    data[16] = UNTOUCHED;
    fake_desc(&g.fake, CTRL, 0, CTRL_DATA, len, room > 0 ? VIRTQ_DESC_F_NEXT : 0, 1);
    fake_desc(&g.fake, CTRL, 1, CTRL_DATA + 16, room, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&g.fake, CTRL, 0);
    kick(CTRL);
    if (!fake_used(&g.fake, CTRL, &used))
        return -1;
    cr_assert_eq(used.len, 1);
    return data[16];
}

static int acknowledge(void)
{
    return command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 2, 1);
}

Test(net_stream, an_announcement_stands_until_it_is_acknowledged)
{
    uint32_t before = generation();

    net_announce(g.net);
    cr_assert_eq(config().status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    cr_assert_eq(g.fake.irqs, 1);
    cr_assert_eq(generation(), before + 1);
    cr_assert_eq(acknowledge(), VIRTIO_NET_OK);
    assert_link(true);
    cr_assert_eq(acknowledge(), VIRTIO_NET_OK, "once more does no harm");
}

Test(net_stream, a_command_may_be_divided_anywhere)
{
    struct virtq_used_elem used;
    uint8_t *data = fake_at(&g.fake, CTRL_DATA);

    net_announce(g.net);
    data[0] = VIRTIO_NET_CTRL_ANNOUNCE;
    data[1] = VIRTIO_NET_CTRL_ANNOUNCE_ACK;
    data[2] = UNTOUCHED;
    fake_desc(&g.fake, CTRL, 0, CTRL_DATA, 1, VIRTQ_DESC_F_NEXT, 1);
    fake_desc(&g.fake, CTRL, 1, CTRL_DATA + 1, 1, VIRTQ_DESC_F_NEXT, 2);
    fake_desc(&g.fake, CTRL, 2, CTRL_DATA + 2, 1, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&g.fake, CTRL, 0);
    kick(CTRL);
    cr_assert(fake_used(&g.fake, CTRL, &used));
    cr_assert_eq(data[2], VIRTIO_NET_OK);
    assert_link(true);
}

Test(net_stream, an_announcement_ends_with_a_reset)
{
    net_announce(g.net);
    net_guest_start(always & ~FEATURE(GUEST_ANNOUNCE));
    assert_link(true);
    net_announce(g.net);
    assert_link(true);
    cr_assert_eq(g.fake.irqs, 0);
    cr_assert_eq(acknowledge(), VIRTIO_NET_ERR);
}

Test(net_stream, what_it_does_not_know_is_an_error)
{
    cr_assert_eq(command(0, 0, 3, 1), VIRTIO_NET_ERR);
    cr_assert_eq(command(VIRTIO_NET_CTRL_ANNOUNCE, 1, 2, 1), VIRTIO_NET_ERR);
    cr_assert_eq(command(255, 255, 4, 8), VIRTIO_NET_ERR);
    cr_assert(!fake_needs_reset(&g.fake));
}

Test(net_stream, half_a_command_asks_for_reset)
{
    cr_assert_eq(command(3, 0, 1, 1), -1);
    cr_assert(fake_needs_reset(&g.fake));
    cr_assert_str_eq(g.fake.line, "net 1: ctrl: a command without room for itself and an answer");
}

Test(net_stream, a_command_without_an_answer_asks_for_reset)
{
    cr_assert_eq(command(3, 0, 2, 0), -1);
    cr_assert(fake_needs_reset(&g.fake));
}
