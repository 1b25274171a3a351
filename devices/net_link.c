/* The port, and the link that it is to the guest: see net_state.h. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "devices/net_state.h"

/* --- the port --- */

/* Nobody reads while there is no place for a frame; a port that is broken says so all the same, and
 * would say it again and again. */
static void port_event(void *arg, uint32_t events)
{
    struct net *net = arg;

    const bool broken = events & (EPOLLHUP | EPOLLERR);

    if (broken && !(net->watched & EPOLLIN)) {
        net_link_down(net, "its peer has gone");
        return;
    }
    if (events & EPOLLOUT)
        net_tx_port_ready(net);
    if (broken || events & EPOLLIN)
        net_rx_work(net); /* learns what is broken when it has read the rest */
}

int net_port_open(struct net *net, int fd)
{
    net->watch = loop_add(net->loop, fd, 0, port_event, net);
    if (net->watch < 0)
        return -errno;
    net->port.fd = fd;
    net->port.kind = net->kind == NET_TAP ? STREAM_NONBLOCKING : STREAM_SOCKET;
    return 0;
}

void net_port_close(struct net *net)
{
    loop_del(net->loop, net->watch);
    net->watch = -1;
    net->watched = 0;
    stream_close(&net->port);
    net->tx.blocked = false;
    net->tx.rest_at = net->tx.rest_end = 0;
    net->rx.start = net->rx.end = 0;
}

static bool wants_to_receive(const struct net *net)
{
    return virtio_active(&net->device) && !net->rx.starved && !net->rx.flow.due.armed;
}

void net_port_watch(struct net *net)
{
    uint32_t events = 0;

    if (net->watch < 0)
        return;
    if (wants_to_receive(net))
        events |= EPOLLIN;
    if (net->tx.blocked)
        events |= EPOLLOUT;
    if (events == net->watched)
        return;
    net->watched = events;
    loop_mod(net->loop, net->watch, events);
}

/* --- the link --- */

void net_link_down(struct net *net, const char *why)
{
    if (net->port.fd < 0)
        return;
    net_port_close(net);
    device_log(&net->device, "the link is down: %s", why);
    virtio_config_changed(&net->device);
    loop_post(net->loop, &net->more); /* for frames that waited for the port: they are lost now */
    if (net->kind == NET_STREAM && net->lost)
        net->lost(net->arg);
}

void net_connect(struct net *net, int fd)
{
    int result;

    net_port_close(net);
    result = net_port_open(net, fd);
    if (result != 0) {
        close(fd);
        device_log(&net->device, "the link stays down: %s", strerror(-result));
        return;
    }
    virtio_config_changed(&net->device);
    net_port_watch(net);
}

void net_announce(struct net *net)
{
    if (!virtio_active(&net->device) || !net_accepted(net, VIRTIO_NET_F_GUEST_ANNOUNCE))
        return;
    net->announce = true;
    virtio_config_changed(&net->device);
}
