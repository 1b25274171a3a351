/*
 * A driver for the network device, and its port's other end. A tap is played by a socket that keeps
 * records; what the device asks of it by ioctl is kept here.
 */
#ifndef SAMARA_TESTS_DEVICES_NET_GUEST_H
#define SAMARA_TESTS_DEVICES_NET_GUEST_H

#include <linux/if_tun.h>

#include "devices/net_state.h"
#include "tests/devices/fake_guest.h"

#define FEATURE(name) VIRTIO_FEATURE(VIRTIO_NET_F_##name)

enum {
    RX = VIRTIO_NET_QUEUE_RX,
    TX = VIRTIO_NET_QUEUE_TX,
    CTRL = VIRTIO_NET_QUEUE_CTRL,
    QUEUE = 64,
    HEADER = sizeof(struct virtio_net_header),
    SLOT_BYTES = 0x12000, /* a place for any frame and its header */
    TX_DATA = FAKE_DATA,
    RX_DATA = FAKE_DATA + QUEUE * SLOT_BYTES,
    CTRL_DATA = RX_DATA + QUEUE * SLOT_BYTES,
    UNTOUCHED = 0xee,
};

/* linux/if_tun.h of Debian 12 lacks them. */
enum { USO4 = 0x20, USO6 = 0x40 };

struct net_guest {
    struct fake_guest fake;
    struct device_lock lock;
    struct event_loop loop;
    struct net *net;
    int port, peer; /* the device's end; ours, which does not block */
    bool real;      /* the port is a tap indeed */
    unsigned lost;
    int next_peer; /* what `lost` connects, or -1 */
    uint16_t next[VIRTIO_NET_QUEUES];
    unsigned offload_calls;
    unsigned long offloads; /* of the last TUNSETOFFLOAD */
};

extern struct net_guest g;

/* What is not set in config is as usual: a port whose other end is `peer`. The driver has not
 * begun.
 */
void net_guest_open(struct net_config config);
void net_guest_close(void);

/* A tap of that name in a network of its own, for net_config.port; -1: the kernel or our rights do
 * not allow it. */
#define REAL_TAP "samara-test"
int open_real_tap(void);

/* Begins the driver, after a reset. */
void net_guest_start(uint64_t features);

/* A stream's two ends, for net_connect. */
void net_guest_pair(enum net_port_kind kind, int ends[2]);

void kick(unsigned queue);

/* Runs the loop until nothing happens any more. */
void settle(void);

/* Takes a used entry, which has to be there or not. */
uint32_t take_used(unsigned queue);
void no_used(unsigned queue);
unsigned count_used(unsigned queue);

/* A chain of header and frame, not kicked. Its data is a pattern that begins with `seed`. */
void post_tx(struct virtio_net_header header, uint8_t seed, uint32_t len);
/* A buffer; returns where it is. */
uint8_t *post_rx(uint32_t len);

/* The pattern, from its place `at` on. */
void pattern(uint8_t *to, uint8_t seed, size_t len);
bool is_pattern(const uint8_t *data, uint8_t seed, size_t len);

/* The peer's sending and receiving; a stream's with its length, a tap's with its header. */
void peer_sends(struct virtio_net_header header, uint8_t seed, uint32_t len);
void peer_sends_bytes(const void *bytes, size_t len);
/* The length of the frame that came, which has to be the pattern; -1 if there is none. */
int peer_gets(struct virtio_net_header *header, uint8_t seed);

#endif
