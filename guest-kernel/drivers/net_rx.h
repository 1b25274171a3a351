/*
 * Received frames: buffers of a page each in the ring, handed to lwIP as they are, and back in the
 * ring once lwIP has let go of them. A frame larger than a buffer takes several (MRG_RXBUF). A
 * small frame is copied instead, since a byte that waits to be read shall not take a page.
 *
 *     page: struct net_buffer │ virtio header, frame ...
 */
#ifndef GUEST_KERNEL_DRIVERS_NET_RX_H
#define GUEST_KERNEL_DRIVERS_NET_RX_H

#include "guest-kernel/drivers/virtqueue.h"

struct net_buffer;
struct pbuf;

struct net_rx {
    struct vq queue;
    bool mergeable;
    unsigned posted, target; /* buffers in the ring: are, should be */
    struct net_buffer *spare;
    unsigned spare_count;
};

/* Fills the ring of a queue that has been set up. False: no memory for a single buffer. */
bool net_rx_start(struct net_rx *rx, bool mergeable);

/* The next frame, the caller's to pbuf_free; NULL: there is none. *checked: its checksums were
 * found right or cannot be wrong. What is no frame breaks the queue or is dropped. */
struct pbuf *net_rx_next(struct net_rx *rx, bool *checked);

/* Refills the ring. True if the device should be told now. */
bool net_rx_refill(struct net_rx *rx);

#endif
