/*
 * Frames to send. The device reads them where lwIP has them: a reference keeps the memory until the
 * device is done, and lwIP does not rewrite a segment that somebody else refers to
 * (tcp_output_segment_busy). Copies would cost more than the extra descriptor.
 *
 * The device is told once for many frames; what it is done with is looked at when room is needed
 * and when it is told.
 */
#ifndef GUEST_KERNEL_DRIVERS_NET_TX_H
#define GUEST_KERNEL_DRIVERS_NET_TX_H

#include "guest-kernel/drivers/net_segment.h"
#include "guest-kernel/drivers/virtio_mmio.h"

struct pbuf;

struct net_tx {
    struct virtio_device *device;
    struct vq queue;
    bool checksum; /* the device completes TCP's: lwIP has left it out */
    struct net_segmentation segmentation;
    struct net_run run; /* not in the ring yet; there is room for it */
    bool full;          /* a frame did not fit: an interrupt tells of room */
};

/* Takes a reference. False: there is no room or no memory. */
bool net_tx_send(struct net_tx *tx, struct pbuf *p);

/* Tells the device about what was sent. */
void net_tx_flush(struct net_tx *tx);

/* Lets go of what the device is done with. True if there is room again after there was none. */
bool net_tx_reap(struct net_tx *tx);

#endif
