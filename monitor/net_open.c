/* See net_open.h. */
#include "monitor/net_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/fd_close.h"

/* Linux 6.2 */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { TAP_FLAGS = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

/* Requests are numbers of 32 bits, which musl's ioctl() takes for negative ones. */
static int ask(int fd, unsigned long request, void *arg)
{
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

static int tell(int fd, unsigned long request, unsigned long value)
{
    return (int)syscall(SYS_ioctl, fd, request, value);
}

/* --- interfaces by name --- */

static void name_it(struct ifreq *r, const char *name)
{
    *r = (struct ifreq){.ifr_flags = 0};
    memcpy(r->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
}

/* Which driver it is of, as ethtool -i says: "tun", and "tap" where others have a place. */
static bool is_tap(int control, const char *name)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq r;

    name_it(&r, name);
    r.ifr_data = (void *)&info;
    return ask(control, SIOCETHTOOL, &r) == 0 && strcmp(info.driver, "tun") == 0 &&
           strcmp(info.bus_info, "tap") == 0;
}

static uint16_t mtu_of(int control, const char *name)
{
    struct ifreq r;

    name_it(&r, name);
    if (ask(control, SIOCGIFMTU, &r) != 0 || r.ifr_mtu < VIRTIO_NET_MTU_MIN ||
        r.ifr_mtu > UINT16_MAX)
        return 0;
    return (uint16_t)r.ifr_mtu;
}

static bool is_down(int control, const char *name)
{
    struct ifreq r;

    name_it(&r, name);
    return ask(control, SIOCGIFFLAGS, &r) == 0 && !(r.ifr_flags & IFF_UP);
}

/* For questions about interfaces: any socket does. */
static int open_control(struct err *err)
{
    int control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return control < 0 ? err_sys(err, "socket") : control;
}

/* --- a tap --- */

/* From all to less. Which of them are on is the guest's driver's choice, later. */
static uint32_t find_offloads(int fd)
{
    static const uint32_t sets[] = {
        TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO | TUN_F_USO4 | TUN_F_USO6,
        TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO,
        TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
        TUN_F_CSUM,
    };

    for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (tell(fd, TUNSETOFFLOAD, sets[i]) == 0)
            return sets[i];
    }
    return 0;
}

static int set_up_tap(struct net_opened *net, const char *name, struct err *err)
{
    int size = sizeof(struct virtio_net_header), fd = net->port.fd;

    if (ask(fd, TUNSETVNETHDRSZ, &size) != 0)
        return err_sys(err, "%s: a header of %d bytes", name, size);
    net->port.kind = NET_TAP;
    net->port.offloads = find_offloads(fd);
    if (tell(fd, TUNSETOFFLOAD, 0) != 0)
        return err_sys(err, "%s: offloads", name);
    return 0;
}

static int refuse_attach(int control, const char *name, struct err *err)
{
    switch (errno) {
    case EBUSY:
        return err_set(
            err, "%s: in use by another program (each virtual machine needs its own tap)", name);
    case EPERM:
        return err_set(err,
                       "%s: not permitted (ip tuntap add dev %s mode tap user NAME makes one that "
                       "NAME may use)",
                       name, name);
    case EINVAL:
        if (is_tap(control, name))
            return err_set(err, "%s: a tap of several queues (make it without multi_queue)", name);
        return err_set(err, "%s: not a tap (ip tuntap add dev NAME mode tap user ... makes one)",
                       name);
    default:
        return err_sys(err, "%s: attach", name);
    }
}

/* Attaching would make the interface, for who may, if there were none. */
static int attach(int fd, int control, const char *name, struct err *err)
{
    struct ifreq r;

    name_it(&r, name);
    if (ask(control, SIOCGIFINDEX, &r) != 0)
        return err_set(err,
                       "%s: no such interface (ip tuntap add dev %s mode tap user ... makes one)",
                       name, name);
    name_it(&r, name);
    r.ifr_flags = TAP_FLAGS;
    return ask(fd, TUNSETIFF, &r) == 0 ? 0 : refuse_attach(control, name, err);
}

static int open_tap(struct net_opened *net, int control, const char *name, struct err *err)
{
    net->port.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (net->port.fd < 0)
        return errno == ENOENT || errno == ENODEV
                   ? err_set(err, "/dev/net/tun: the kernel has no taps (modprobe tun)")
                   : err_sys(err, "open /dev/net/tun");
    if (attach(net->port.fd, control, name, err) != 0 || set_up_tap(net, name, err) != 0)
        return -1;
    net->mtu = mtu_of(control, name);
    net->down = is_down(control, name);
    return 0;
}

int net_open_tap(struct net_opened *net, const char *name, struct err *err)
{
    int control = open_control(err), r;

    *net = (struct net_opened)NET_OPENED_NONE;
    r = control < 0 ? -1 : open_tap(net, control, name, err);
    fd_close(&control);
    if (r != 0)
        fd_close(&net->port.fd);
    return r;
}

/* --- what was inherited --- */

/*
 * TUNGETIFF has the bit of IFF_NO_PI set for IFF_NOFILTER, too (they are the same number), which is
 * as long as no filter is attached. So one is, for the time of the question, that takes all; then a
 * filter without instructions, which is refused but leaves no trace of the first. Whoever has one
 * of his own keeps it, and is believed.
 */
static bool is_without_pi(int fd)
{
    struct sock_filter all = {BPF_RET | BPF_K, 0, 0, UINT32_MAX};
    struct sock_fprog filter = {.len = 1, .filter = &all}, old = {.len = 0}, none = {.len = 0};
    struct ifreq r = {.ifr_flags = IFF_NO_PI};

    if (ask(fd, TUNGETFILTER, &old) != 0 || old.len > 0 || ask(fd, TUNATTACHFILTER, &filter) != 0)
        return true;
    ask(fd, TUNGETIFF, &r);
    ask(fd, TUNDETACHFILTER, &filter);
    ask(fd, TUNATTACHFILTER, &none);
    return r.ifr_flags & IFF_NO_PI;
}

/* Its flags are its opener's: changed here, he would find others. */
static int check_flags(int fd, const struct ifreq *r, struct err *err)
{
    if (!(r->ifr_flags & IFF_TAP))
        return err_set(err, "%s: a tun, without Ethernet (a tap has IFF_TAP)", r->ifr_name);
    if ((r->ifr_flags & TAP_FLAGS) == TAP_FLAGS && is_without_pi(fd))
        return 0;
    return err_set(err,
                   "%s: opened without IFF_VNET_HDR or IFF_NO_PI (TUNSETIFF takes IFF_TAP | "
                   "IFF_NO_PI | IFF_VNET_HDR; with --net tap=%s, samara opens it so)",
                   r->ifr_name, r->ifr_name);
}

static int adopt_tap(struct net_opened *net, const struct ifreq *r, struct err *err)
{
    int flags = fcntl(net->port.fd, F_GETFL), control;

    if (check_flags(net->port.fd, r, err) != 0)
        return -1;
    if (set_up_tap(net, r->ifr_name, err) != 0)
        return -1;
    if (fcntl(net->port.fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return err_sys(err, "%s: O_NONBLOCK", r->ifr_name);
    control = open_control(err);
    if (control < 0)
        return -1;
    net->mtu = mtu_of(control, r->ifr_name);
    net->down = is_down(control, r->ifr_name);
    fd_close(&control);
    return 0;
}

static int option(int fd, int name)
{
    socklen_t size = sizeof(int);
    int value = -1;

    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

static int adopt_stream(struct net_opened *net, struct err *err)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);

    net->port.kind = NET_STREAM;
    if (option(net->port.fd, SO_TYPE) != SOCK_STREAM)
        return err_set(err, "neither a tap nor a stream socket");
    if (getpeername(net->port.fd, (struct sockaddr *)&peer, &size) != 0)
        return err_set(err, "a stream socket that is not connected");
    return 0;
}

static int adopt(struct net_opened *net, struct err *err)
{
    struct ifreq r = {.ifr_flags = 0};

    if (ask(net->port.fd, TUNGETIFF, &r) == 0)
        return adopt_tap(net, &r, err);
    if (errno == EBADFD)
        return err_set(err, "of /dev/net/tun, but without an interface (TUNSETIFF)");
    return adopt_stream(net, err);
}

int net_open_fd(struct net_opened *net, int fd, struct err *err)
{
    *net = (struct net_opened)NET_OPENED_NONE;
    net->port.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (net->port.fd < 0)
        return err_sys(err, "fd %d", fd);
    if (adopt(net, err) == 0)
        return 0;
    fd_close(&net->port.fd);
    return err_in(err, "fd %d", fd);
}
