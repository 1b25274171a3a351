/*
 * The virtio-net device (Virtio 1.2, 5.1): a pair of queues and a control queue upon a port.
 *
 *     guest ──tx──> net ──> port: a tap (one frame a write, with its virtio header), or
 *     guest <──rx── net <── port: a stream of frames, each behind its length (big-endian, 4 bytes)
 *
 * What the guest sends goes out within the notification, as far as the port takes it; frames come
 * in through the loop, a bounded number a turn. Without buffers of the guest's nothing is read:
 * frames wait in the port, and what does not fit there is lost as on any wire.
 */
#ifndef SAMARA_DEVICES_NET_H
#define SAMARA_DEVICES_NET_H

#include "abi/virtio_net.h"
#include "devices/rate.h"
#include "devices/virtio_mmio.h"
#include "monitor/err.h"
#include "monitor/event_loop.h"

struct net;

enum net_port_kind {
    NET_TAP,    /* IFF_TAP, IFF_NO_PI, IFF_VNET_HDR with a header of 12 bytes; does not block */
    NET_STREAM, /* a connected SOCK_STREAM socket: passt, or QEMU's -netdev stream */
};

/* Not owned until net_new has succeeded. */
struct net_port {
    enum net_port_kind kind;
    int fd;            /* -1: a stream whose peer is not there yet; the link is down */
    uint32_t offloads; /* of a tap: TUN_F_* that it can do (linux/if_tun.h) */
};

struct net_config {
    unsigned number; /* "net 0" in reports */
    uint8_t mac[VIRTIO_NET_MAC_BYTES];
    uint16_t mtu; /* 0: the guest is told none */
    struct net_port port;
    struct rate_config rate; /* of each direction */
    /* A stream's peer has gone, the link is down: the owner may look for another and net_connect
     * it. Device lock held; NULL: nobody. */
    void (*lost)(void *arg);
    void *arg;
};

/* NULL with err, the port still the caller's. */
struct net *net_new(const struct net_config *config, const struct virtio_host *host,
                    struct event_loop *loop, struct err *err);
void net_free(struct net *net);
struct virtio_device *net_device(struct net *net);

/* A stream's new peer, taken over: the link is up again. Only after `lost`, or where there was
 * none. */
void net_connect(struct net *net, int fd);

/* After virtio_load: the address that the guest's driver has read. */
void net_keep_mac(struct net *net, const uint8_t mac[VIRTIO_NET_MAC_BYTES]);

/* Asks the guest to tell its neighbours where it is (after restore and migration). */
void net_announce(struct net *net);

#endif
