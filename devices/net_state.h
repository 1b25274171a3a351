/*
 * The network device from inside: net.c has the device and its control queue, net_link.c the port
 * and the link, net_offload.c what headers may ask for, net_tx.c and net_rx.c the two ways of a
 * frame.
 *
 * No request outlives the call that took it. What the port takes no more of is put back into the
 * queue, but for the end of a frame that a stream has the beginning of: that is copied here.
 */
#ifndef SAMARA_DEVICES_NET_STATE_H
#define SAMARA_DEVICES_NET_STATE_H

#include "devices/net.h"

enum {
    NET_FRAME_MIN = 14,                       /* Ethernet's header */
    NET_TAGGED_BYTES = 18,                    /* the same with a VLAN's tag */
    NET_FRAME_MAX = 65535 + NET_TAGGED_BYTES, /* the largest IP packet behind it */
    NET_LENGTH_BYTES = 4,                     /* before each frame of a stream */
    NET_REST_BYTES = NET_LENGTH_BYTES + NET_FRAME_MAX,
    NET_BUFFER_BYTES = 128 << 10, /* so that few frames have to be moved to its beginning */
    NET_TURN_FRAMES = 256,        /* then the lock is somebody else's for a moment */
    NET_TURN_BYTES = 1 << 20,
};

/* What has been moved in this turn. */
struct net_turn {
    unsigned frames;
    size_t bytes;
};

/* One direction. */
struct net_flow {
    struct rate rate;
    struct loop_timer due; /* armed while the rate forbids more */
    uint32_t offloads;     /* TUN_F_* that were agreed upon */
    uint64_t dropped;      /* frames */
};

struct net_tx {
    struct net_flow flow;
    bool blocked; /* the port takes no more: until it does again */
    struct vq_request req;
    size_t rest_at, rest_end; /* what the stream has still to get of a frame */
    uint8_t rest[NET_REST_BYTES];
};

struct net_rx {
    struct net_flow flow;
    bool starved; /* a frame waits for more buffers than there are */
    struct vq_request first, next;
    struct vq_done done[VQ_MAX_SIZE];
    size_t start, end; /* what was read and not yet delivered */
    uint8_t buffer[NET_BUFFER_BYTES];
};

/* A snapshot keeps nothing of it but the transport and the configuration. The large buffers are
 * memory only once they are used. */
struct net {
    struct virtio_device device;
    struct virtio_ops ops; /* what it offers depends on the port */
    char name[16];
    uint8_t mac[VIRTIO_NET_MAC_BYTES];
    uint16_t mtu;
    bool announce; /* VIRTIO_NET_S_ANNOUNCE */
    bool complained;
    enum net_port_kind kind;
    struct stream_fd port; /* closed while the link is down */
    int watch;
    uint32_t watched; /* EPOLL* */
    struct event_loop *loop;
    struct loop_task more; /* what was left at the end of a turn */
    void (*lost)(void *arg);
    void *arg;
    struct net_tx tx;
    struct net_rx rx;
};

/* --- net.c --- */

bool net_accepted(const struct net *net, unsigned feature);

/* True if the rate forbids another frame now; the loop goes on when the time has come. */
bool net_has_to_wait(struct net *net, struct net_flow *flow);

/* Counts a frame of so many bytes. */
void net_moved(struct net_flow *flow, struct net_turn *turn, size_t bytes);

/* True, and the loop goes on later, if this turn has been long enough. */
bool net_turn_is_over(struct net *net, const struct net_turn *turn);

/* A frame is lost. The first of those with a reason (-errno) is worth a line. */
void net_drop(struct net *net, struct net_flow *flow, int reason);

/* --- net_link.c --- */

/* Takes fd over as the port and watches it. 0 or -errno, with the fd still the caller's. */
int net_port_open(struct net *net, int fd);
void net_port_close(struct net *net);

/* Watches for what the device waits for. */
void net_port_watch(struct net *net);

/* The port is gone. It may be another one when this returns. */
void net_link_down(struct net *net, const char *why);

/* --- net_offload.c: sets of TUN_F_* stand for what both directions know --- */

/* Without those that depend on others which are not there (5.1.3.1). */
uint32_t net_offloads_sound(uint32_t offloads);

/* The features that offer these, and those that the driver accepted of each direction. */
uint64_t net_offload_features(uint32_t offloads);
uint32_t net_offloads_for_guest(uint64_t features);
uint32_t net_offloads_for_host(uint64_t features);

/* Is this header one that the offloads allow, for a frame of so many bytes? Fields that mean
 * nothing are cleared. */
bool net_header_check(struct virtio_net_header *header, size_t frame, uint32_t offloads);

/* --- net_tx.c and net_rx.c: as far as they get; they do nothing where there is nothing to do ---
 */

void net_tx_work(struct net *net);
void net_tx_port_ready(struct net *net);
void net_tx_reset(struct net *net);

void net_rx_work(struct net *net);
void net_rx_buffers_came(struct net *net);
void net_rx_reset(struct net *net);

#endif
