/* The network device upon a tap of the kernel's, in a network namespace of the test's own. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/devices/net_guest.h"

enum { PROTOCOL = 0x88b5 }; /* for experiments: nobody else sends that */

static struct ifreq tap = {.ifr_name = REAL_TAP};

/* Brings it up and has its frames. */
static int open_packets(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(PROTOCOL));
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(PROTOCOL)};

    at.sll_ifindex = (int)if_nametoindex(tap.ifr_name);
    tap.ifr_flags = IFF_UP;
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &tap), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void delete_tap(void)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } order = {.header = {.nlmsg_len = sizeof(order),
                          .nlmsg_type = RTM_DELLINK,
                          .nlmsg_flags = NLM_F_REQUEST},
               .link = {.ifi_index = (int)if_nametoindex(tap.ifr_name)}};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    cr_assert_eq(send(fd, &order, sizeof(order), 0), (ssize_t)sizeof(order));
    close(fd);
    cr_assert_eq(if_nametoindex(tap.ifr_name), 0);
}

static void setup(void)
{
    int fd = open_real_tap();

    if (fd < 0)
        cr_skip("a tap needs root and /dev/net/tun");
    net_guest_open((struct net_config){
        .port = {.kind = NET_TAP, .fd = fd, .offloads = TUN_F_CSUM | TUN_F_TSO4}});
    g.peer = open_packets();
    net_guest_start(FEATURE(MRG_RXBUF) | FEATURE(CSUM) | FEATURE(GUEST_CSUM) | FEATURE(HOST_TSO4));
}

static void teardown(void)
{
    if (g.net)
        net_guest_close();
}

TestSuite(net_real_tap, .init = setup, .fini = teardown, .timeout = 60);

static void make_frame(uint8_t *frame, size_t len)
{
    pattern(frame, 2, len);
    frame[0] &= 0xfe; /* not to everybody */
    frame[12] = PROTOCOL >> 8;
    frame[13] = PROTOCOL & 0xff;
}

/* Of other frames, there may be the kernel's own. */
static const uint8_t *next_of_ours(uint32_t *len)
{
    struct virtq_used_elem used;
    const uint8_t *buffer;

    for (int i = 0; i < 100; i++) {
        cr_assert_eq(loop_turn(&g.loop, 10, NULL), 0);
        while (fake_used(&g.fake, RX, &used)) {
            buffer = fake_at(&g.fake, RX_DATA + used.id * SLOT_BYTES);
            *len = used.len;
            if (buffer[HEADER + 12] == PROTOCOL >> 8 && buffer[HEADER + 13] == (PROTOCOL & 0xff))
                return buffer;
        }
    }
    cr_assert(false, "it did not come");
    return NULL;
}

Test(net_real_tap, frames_pass_both_ways)
{
    uint8_t frame[1000], got[1100];
    const uint8_t *buffer;
    uint32_t len;

    for (int i = 0; i < 32; i++)
        post_rx(2000);
    make_frame(frame, sizeof(frame));
    post_tx((struct virtio_net_header){0}, 0, sizeof(frame));
    memcpy(fake_at(&g.fake, TX_DATA + HEADER), frame, sizeof(frame));
    kick(TX);
    cr_assert_eq(take_used(TX), 0);
    cr_assert_eq(recv(g.peer, got, sizeof(got), 0), (ssize_t)sizeof(frame));
    cr_assert_arr_eq(got, frame, sizeof(frame));
    cr_assert_eq(send(g.peer, frame, sizeof(frame), 0), (ssize_t)sizeof(frame), "%s",
                 strerror(errno));
    buffer = next_of_ours(&len);
    cr_assert_eq(len, HEADER + sizeof(frame));
    cr_assert_arr_eq(buffer + HEADER, frame, sizeof(frame));
    cr_assert_eq(g.fake.lines, 0, "%s", g.fake.line);
}

Test(net_real_tap, takes_the_offloads_that_were_agreed_upon)
{
    cr_assert_eq(g.offloads, TUN_F_CSUM);
    cr_assert_eq(g.fake.lines, 0, "%s", g.fake.line);
}

Test(net_real_tap, one_that_is_deleted_is_one_line_and_no_more_work)
{
    struct epoll_event event;

    for (int i = 0; i < 32; i++) /* who does not want to read is not woken */
        post_rx(2000);
    settle();
    delete_tap();
    settle();
    cr_assert_eq(g.net->port.fd, -1);
    cr_assert_eq(g.fake.lines, 1);
    cr_assert(strstr(g.fake.line, "the link is down"), "%s", g.fake.line);
    cr_assert_eq(epoll_wait(g.loop.epoll_fd, &event, 1, 0), 0);
    post_tx((struct virtio_net_header){0}, 0, 100);
    kick(TX);
    take_used(TX);
    cr_assert_eq(g.fake.lines, 1);
}

Test(net_real_tap, one_that_is_deleted_is_noticed_by_who_sends)
{
    settle();
    delete_tap();
    post_tx((struct virtio_net_header){0}, 0, 100);
    kick(TX);
    take_used(TX);
    cr_assert_eq(g.net->port.fd, -1, "%s", g.fake.line);
}
