/* What is behind --net, opened: taps (where they can be made, in a network of the test's own) and
 * inherited descriptors; and who asks for passt again and again. */
#include "monitor/net_open.h"
#include "monitor/net_peer.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/unix_socket.h"

static struct net_opened net;
static struct err err;

/* --- taps --- */

static int make_tap(const char *name, int flags)
{
    struct ifreq r = {.ifr_flags = (short)flags};
    int fd = open("/dev/net/tun", O_RDWR);

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    cr_assert(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0);
    return fd;
}

static void setup(void)
{
    if (access("/dev/net/tun", R_OK | W_OK) != 0 || unshare(CLONE_NEWNET) != 0) {
        fprintf(stderr, "!!! no rights to make taps: not tested\n");
        cr_skip_test();
    }
}

TestSuite(net_tap, .init = setup);

static void set_mtu(const char *name, int mtu)
{
    struct ifreq r = {.ifr_mtu = mtu};
    int control = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    cr_assert_eq(ioctl(control, SIOCSIFMTU, &r), 0);
    close(control);
}

static void assert_ready(const char *name)
{
    struct ifreq r = {.ifr_flags = 0};
    int size = 0;

    cr_assert_eq(net.port.kind, NET_TAP);
    cr_assert(fcntl(net.port.fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(net.port.fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(ioctl(net.port.fd, TUNGETVNETHDRSZ, &size), 0);
    cr_assert_eq(size, 12);
    cr_assert_eq(ioctl(net.port.fd, TUNGETIFF, &r), 0);
    cr_assert_str_eq(r.ifr_name, name);
    cr_assert_eq(r.ifr_flags & (IFF_TAP | IFF_TUN | IFF_NO_PI | IFF_VNET_HDR),
                 IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
}

Test(net_tap, one_by_name_has_a_header_offloads_and_its_mtu)
{
    close(make_tap("tap3", IFF_TAP | IFF_NO_PI));
    set_mtu("tap3", 4000);
    cr_assert_eq(net_open_tap(&net, "tap3", &err), 0, "%s", err.text);
    assert_ready("tap3");
    cr_assert_eq(net.mtu, 4000);
    cr_assert(net.down);
    cr_assert_eq(net.port.offloads & (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6),
                 TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
}

Test(net_tap, an_inherited_one_is_set_up_the_same)
{
    int fd = make_tap("tap3", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);

    cr_assert_eq(net_open_fd(&net, fd, &err), 0, "%s", err.text);
    cr_assert_neq(net.port.fd, fd);
    assert_ready("tap3");
    cr_assert_eq(net.mtu, 1500);
}

/* The kernel says of each tap without a filter that it has IFF_NO_PI. */
Test(net_tap, an_inherited_one_with_headers_of_its_own_is_refused)
{
    struct sock_fprog filter;

    for (unsigned i = 0; i < 2; i++) { /* a filter that was left would hide it */
        int fd = make_tap("tap3", IFF_TAP | IFF_VNET_HDR);

        cr_assert_eq(net_open_fd(&net, fd, &err), -1);
        cr_assert(strstr(err.text, "tap3: opened without IFF_VNET_HDR or IFF_NO_PI"), "%s",
                  err.text);
        cr_assert_eq(net.port.fd, -1);
        cr_assert_eq(ioctl(fd, TUNGETFILTER, &filter), 0);
        cr_assert_eq(filter.len, 0);
        cr_assert_eq(net_open_fd(&net, fd, &err), -1);
        close(fd);
    }
}

Test(net_tap, a_filter_of_its_openers_stays)
{
    struct sock_filter none = {BPF_RET | BPF_K, 0, 0, 0};
    struct sock_fprog filter = {.len = 1, .filter = &none}, got;
    int fd = make_tap("tap3", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);

    cr_assert_eq(ioctl(fd, TUNATTACHFILTER, &filter), 0);
    cr_assert_eq(net_open_fd(&net, fd, &err), 0, "%s", err.text);
    cr_assert_eq(ioctl(fd, TUNGETFILTER, &got), 0);
    cr_assert_eq(got.filter, &none);
}

static void give_up_rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct nothing[2] = {{0}};

    cr_assert_eq(syscall(SYS_capset, &header, nothing), 0);
}

Test(net_tap, somebody_elses_is_not_permitted)
{
    int fd = make_tap("tap3", IFF_TAP | IFF_NO_PI);

    cr_assert_eq(ioctl(fd, TUNSETOWNER, 12345ul), 0);
    close(fd);
    give_up_rights();
    cr_assert_eq(net_open_tap(&net, "tap3", &err), -1);
    cr_assert_eq(net.port.fd, -1);
    cr_assert_str_eq(
        err.text,
        "tap3: not permitted (ip tuntap add dev tap3 mode tap user NAME makes one that NAME "
        "may use)");
}

Test(net_tap, none_is_made)
{
    cr_assert_eq(net_open_tap(&net, "tap3", &err), -1);
    cr_assert_eq(if_nametoindex("tap3"), 0);
    cr_assert_eq(net_open_tap(&net, "tap%d", &err), -1);
    cr_assert_eq(if_nametoindex("tap0"), 0);
}

/* --- streams --- */

Test(net_fd, a_connected_stream_is_copied)
{
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert_eq(net_open_fd(&net, ends[0], &err), 0, "%s", err.text);
    cr_assert(net.port.kind == NET_STREAM && net.port.fd != ends[0] && net.mtu == 0);
    cr_assert(fcntl(net.port.fd, F_GETFD) & FD_CLOEXEC);
    cr_assert(!(fcntl(ends[0], F_GETFL) & O_NONBLOCK), "others may use it");
}

Test(net_fd, what_is_refused_is_closed)
{
    int next = dup(0), listener = socket(AF_UNIX, SOCK_STREAM, 0);

    cr_assert_eq(net_open_fd(&net, listener, &err), -1);
    cr_assert_eq(net.port.fd, -1);
    cr_assert(strstr(err.text, "not connected"), "%s", err.text);
    close(next);
    cr_assert_eq(dup(0), next);
    cr_assert_eq(net_open_fd(&net, 900, &err), -1);
}

/* --- passt --- */

static char path[] = "/tmp/samara-peer.XXXXXX";
static const struct net_interface by_path = {
    .backend = NET_CONFIG_PASST_SOCKET, .name = path, .fd = -1};
static struct unix_listener server = UNIX_LISTENER_NONE;

static void listen_there(void)
{
    cr_assert_eq(unix_listen(&server, path, UNIX_PATH_MAX, &err), 0, "%s", err.text);
}

static void make_path(void)
{
    close(mkstemp(path));
    unlink(path);
    listen_there();
}

static void remove_path(void)
{
    unix_unlisten(&server);
}

TestSuite(net_peer, .init = make_path, .fini = remove_path);

Test(net_peer, nobody_is_looked_for_who_was_never_there)
{
    struct net_peer peer = NET_PEER_NONE;

    cr_assert(!net_peer_want(&peer, &err));
    cr_assert_eq(net_peer_wait(&peer), -1);
    cr_assert_eq(net_peer_turn(&peer), -1);
    net_peer_close(&peer);
}

Test(net_peer, another_is_there_when_its_time_has_come)
{
    struct net_peer peer;
    int fd = net_peer_open(&peer, &by_path, &err);

    cr_assert_geq(fd, 0, "%s", err.text);
    close(fd);
    cr_assert_eq(net_peer_wait(&peer), -1);
    cr_assert(net_peer_want(&peer, &err));
    cr_assert_str_eq(err.text, "");
    cr_assert(!net_peer_want(&peer, &err), "that is known already");
    cr_assert_geq(net_peer_wait(&peer), 50);
    cr_assert_eq(net_peer_turn(&peer), -1, "not yet");
    usleep(110000);
    cr_assert_eq(net_peer_wait(&peer), 0);
    cr_assert_geq(net_peer_turn(&peer), 0);
    cr_assert_eq(net_peer_wait(&peer), -1);
}

/* However often the monitor asks: attempts get rarer, up to one a second. */
Test(net_peer, attempts_get_rarer)
{
    struct net_peer peer;
    int last = 0;

    unix_unlisten(&server);
    cr_assert_eq(net_peer_open(&peer, &by_path, &err), -1);
    for (unsigned i = 0; i < 6; i++) {
        net_peer_want(&peer, &err);
        cr_assert_geq(net_peer_wait(&peer), last - 1);
        last = net_peer_wait(&peer);
        peer.next_ns = 0; /* the time has come */
        cr_assert_eq(net_peer_turn(&peer), -1);
    }
    cr_assert(last > 900 && last <= 1000, "%d", last);
    listen_there();
    peer.next_ns = 0;
    cr_assert_geq(net_peer_turn(&peer), 0);
}

Test(net_peer, who_lasted_may_come_back_at_once)
{
    struct net_peer peer;

    cr_assert_geq(net_peer_open(&peer, &by_path, &err), 0);
    peer.tried_ns -= INT64_C(11000000000);
    cr_assert(net_peer_want(&peer, &err));
    cr_assert_eq(net_peer_wait(&peer), 0);
    cr_assert_geq(net_peer_turn(&peer), 0);
}
