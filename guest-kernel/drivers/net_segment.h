/*
 * TCP segments on their way out. Those that follow one another go as one frame, which the device,
 * or nobody at all, cuts again (5.1.6.2): its cost is by the frame. lwIP goes on counting in
 * segments, so that its congestion control stays what it is.
 *
 * A run's frame begins with the virtio header and a copy of the first segment's headers, since a
 * segment that is sent again gets its own anew; data stays where it is, with a reference.
 */
#ifndef GUEST_KERNEL_DRIVERS_NET_SEGMENT_H
#define GUEST_KERNEL_DRIVERS_NET_SEGMENT_H

#include "guest-kernel/lib/base.h"

struct pbuf;
struct virtio_net_header;

enum { NET_RUN_PARTS = 48 }; /* 64 KiB of Ethernet's segments, and headers */

/* What can be asked of the device: families whose segments it cuts. */
struct net_segmentation {
    bool ip4, ip6;
};

struct net_run {
    struct pbuf *frame; /* NULL: there is none */
    u16 tcp_at, data_at;
    u16 segment; /* bytes of data in each but the last */
    u16 last;    /* ... in the last so far */
    u32 next;    /* sequence number behind it */
    u32 parts;   /* of frame */
};

/* Has the device complete the checksum of a TCP frame; others are left alone. */
void net_leave_checksum(struct pbuf *p, struct virtio_net_header *header);

/* Begins one with p. False: p is not what runs are made of, or there is no memory. */
bool net_run_start(struct net_run *run, struct net_segmentation can, struct pbuf *p);
/* True if p goes on where the run ends, and may be added. */
bool net_run_takes(const struct net_run *run, const struct pbuf *p);
/* False: no memory. */
bool net_run_add(struct net_run *run, struct pbuf *p);
/* The frame, ready to go. There is no run afterwards. */
struct pbuf *net_run_end(struct net_run *run);

#endif
