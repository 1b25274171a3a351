/* The network device: creation, operations and the control queue. See net.h and net_state.h. */
#include "devices/net.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/virtio.h"
#include "devices/net_state.h"

enum { QUEUE_SIZE = 256 };

static const uint64_t features_always =
    VIRTIO_FEATURE(VIRTIO_NET_F_MAC) | VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) |
    VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) |
    VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE);

static struct net *net_of(struct virtio_device *dev)
{
    return (struct net *)dev; /* its first member */
}

bool net_accepted(const struct net *net, unsigned feature)
{
    return net->device.state.driver_features & VIRTIO_FEATURE(feature);
}

/* --- turns --- */

bool net_has_to_wait(struct net *net, struct net_flow *flow)
{
    uint64_t at = rate_limits(&flow->rate) ? rate_wait(&flow->rate, loop_now_ns()) : 0;

    if (at != 0)
        loop_timer_set(net->loop, &flow->due, at);
    return at != 0;
}

void net_moved(struct net_flow *flow, struct net_turn *turn, size_t bytes)
{
    turn->frames++;
    turn->bytes += bytes;
    if (rate_limits(&flow->rate))
        rate_use(&flow->rate, loop_now_ns(), bytes);
}

bool net_turn_is_over(struct net *net, const struct net_turn *turn)
{
    bool over = turn->frames >= NET_TURN_FRAMES || turn->bytes >= NET_TURN_BYTES;

    if (over)
        loop_post(net->loop, &net->more);
    return over;
}

void net_drop(struct net *net, struct net_flow *flow, int reason)
{
    flow->dropped++;
    if (reason == 0 || net->complained)
        return;
    net->complained = true;
    device_log(&net->device, "a frame is lost: %s", strerror(-reason));
}

static void tx_may_go_on(void *arg)
{
    net_tx_work(arg);
}

static void rx_may_go_on(void *arg)
{
    net_rx_work(arg);
}

/* --- the control queue --- */

static bool acknowledges(const struct net *net, struct vq_request *req)
{
    struct virtio_net_ctrl ctrl;

    vq_read(req, &ctrl, sizeof(ctrl));
    return ctrl.class == VIRTIO_NET_CTRL_ANNOUNCE && ctrl.command == VIRTIO_NET_CTRL_ANNOUNCE_ACK &&
           net_accepted(net, VIRTIO_NET_F_GUEST_ANNOUNCE);
}

static void obey(struct net *net, struct vq_request *req)
{
    uint8_t answer = VIRTIO_NET_ERR;

    if (acknowledges(net, req)) {
        answer = VIRTIO_NET_OK;
        net->announce = false;
        virtio_config_changed(&net->device);
    }
    vq_write(req, &answer, sizeof(answer));
    vq_complete(req);
}

static bool may_obey(struct net *net, struct virtqueue *vq, const struct net_turn *turn)
{
    return virtio_active(&net->device) && (vq_pending(vq) || vq_want_kick(vq, true)) &&
           !net_turn_is_over(net, turn);
}

static void ctrl_work(struct net *net)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_CTRL];
    struct net_turn turn = {0};
    struct vq_request req;

    for (; may_obey(net, vq, &turn); turn.frames++) {
        if (vq_pop(vq, &req) != VQ_REQUEST)
            device_fault(&net->device, "ctrl: %s", vq->broken);
        else if (vq_readable(&req) < sizeof(struct virtio_net_ctrl) || vq_writable(&req) < 1)
            device_fault(&net->device, "ctrl: a command without room for itself and an answer");
        else
            obey(net, &req);
    }
    virtio_signal(&net->device, 1u << VIRTIO_NET_QUEUE_CTRL);
}

/* --- the device --- */

static void go_on(void *arg)
{
    struct net *net = arg;

    net_tx_work(net);
    net_rx_work(net);
    ctrl_work(net);
}

static void net_notify(struct virtio_device *dev, unsigned queue)
{
    struct net *net = net_of(dev);

    if (queue == VIRTIO_NET_QUEUE_TX)
        net_tx_work(net);
    else if (queue == VIRTIO_NET_QUEUE_RX)
        net_rx_buffers_came(net);
    else
        ctrl_work(net);
}

/* What a tap may put into headers for the guest. If it cannot do that it does less. */
static void set_offloads(struct net *net, uint32_t offloads)
{
    net->rx.flow.offloads = offloads;
    if (net->kind != NET_TAP || net->port.fd < 0)
        return;
    if (ioctl(net->port.fd, TUNSETOFFLOAD, (unsigned long)offloads) != 0)
        device_log(&net->device, "offloads %#x: %s", offloads, strerror(errno));
}

static void net_activate(struct virtio_device *dev)
{
    struct net *net = net_of(dev);

    net->tx.flow.offloads = net_offloads_for_host(dev->state.driver_features);
    set_offloads(net, net_offloads_for_guest(dev->state.driver_features));
    vq_want_kick(&dev->queues[VIRTIO_NET_QUEUE_RX], false); /* before there is a frame for them */
    vq_want_kick(&dev->queues[VIRTIO_NET_QUEUE_TX], true);
    vq_want_kick(&dev->queues[VIRTIO_NET_QUEUE_CTRL], true);
    if (net->rx.end > 0) /* read for the driver before this one */
        loop_post(net->loop, &net->more);
    net_port_watch(net);
}

static void net_reset(struct virtio_device *dev)
{
    struct net *net = net_of(dev);

    if (net->rx.flow.offloads != 0)
        set_offloads(net, 0);
    net->announce = false;
    net_tx_reset(net);
    net_rx_reset(net);
    net_port_watch(net);
}

static void net_config_read(struct virtio_device *dev, uint32_t offset, void *to, unsigned len)
{
    const struct net *net = net_of(dev);
    struct virtio_net_config config = {.mtu = net->mtu};

    memcpy(config.mac, net->mac, sizeof(config.mac));
    config.status = (uint16_t)((net->port.fd >= 0 ? VIRTIO_NET_S_LINK_UP : 0) |
                               (net->announce ? VIRTIO_NET_S_ANNOUNCE : 0));
    memcpy(to, (const char *)&config + offset, len);
}

static uint64_t features_of(const struct net_config *config)
{
    uint64_t features = features_always;

    if (config->mtu >= VIRTIO_NET_MTU_MIN) /* 5.1.4.1 */
        features |= VIRTIO_FEATURE(VIRTIO_NET_F_MTU);
    if (config->port.kind == NET_TAP)
        features |= net_offload_features(config->port.offloads);
    return features;
}

void net_keep_mac(struct net *net, const uint8_t mac[VIRTIO_NET_MAC_BYTES])
{
    memcpy(net->mac, mac, sizeof(net->mac));
}

struct virtio_device *net_device(struct net *net)
{
    return &net->device;
}

/* --- creation and removal --- */

static void describe(struct net *net, const struct net_config *config)
{
    snprintf(net->name, sizeof(net->name), "net %u", config->number);
    net->ops = (struct virtio_ops){
        .name = net->name,
        .device_id = VIRTIO_ID_NET,
        .features = features_of(config),
        .queues = VIRTIO_NET_QUEUES,
        .queue_size = QUEUE_SIZE,
        .config_size = sizeof(struct virtio_net_config),
        .config_read = net_config_read,
        .activate = net_activate,
        .reset = net_reset,
        .notify = net_notify,
    };
}

static void init_flow(struct net_flow *flow, const struct rate_config *rate, loop_fn fn,
                      struct net *net)
{
    rate_init(&flow->rate, rate);
    flow->due = (struct loop_timer){.fn = fn, .arg = net};
}

struct net *net_new(const struct net_config *config, const struct virtio_host *host,
                    struct event_loop *loop, struct err *err)
{
    struct net *net = calloc(1, sizeof(*net));

    if (net == NULL) {
        err_sys(err, "net %u", config->number);
        return NULL;
    }
    describe(net, config);
    virtio_init(&net->device, &net->ops, host);
    memcpy(net->mac, config->mac, sizeof(net->mac));
    net->mtu = config->mtu;
    net->kind = config->port.kind;
    net->port = STREAM_CLOSED;
    net->watch = -1;
    net->loop = loop;
    net->more = (struct loop_task){.fn = go_on, .arg = net};
    net->lost = config->lost;
    net->arg = config->arg;
    init_flow(&net->tx.flow, &config->rate, tx_may_go_on, net);
    init_flow(&net->rx.flow, &config->rate, rx_may_go_on, net);
    if (config->port.fd >= 0 && net_port_open(net, config->port.fd) != 0) {
        err_sys(err, "%s: watch its port", net->name);
        net_free(net);
        return NULL;
    }
    return net;
}

void net_free(struct net *net)
{
    if (net == NULL)
        return;
    net_port_close(net);
    loop_timer_cancel(net->loop, &net->tx.flow.due);
    loop_timer_cancel(net->loop, &net->rx.flow.due);
    loop_unpost(net->loop, &net->more);
    free(net);
}
