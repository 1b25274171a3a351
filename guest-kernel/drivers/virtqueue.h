/*
 * The driver's side of a split virtqueue (Virtio 1.2, 2.7) with EVENT_IDX. It knows memory and
 * indices, no registers: the transport tells the device where it is and kicks it.
 *
 *      free descriptors ──add──> avail ring ──> device ──> used ring ──pop──> token, length
 *
 * What the device writes is checked: an id that is not in flight or a used index that runs ahead
 * breaks the queue, after which nothing is popped any more.
 */
#ifndef GUEST_KERNEL_DRIVERS_VIRTQUEUE_H
#define GUEST_KERNEL_DRIVERS_VIRTQUEUE_H

#include "guest-kernel/lib/base.h"

#define VQ_MAX_SIZE 256

/* One piece of a request: memory in the kernel's window. */
struct vq_part {
    void *at;
    u32 len;
    bool device_writes;
};

struct vq {
    u16 size; /* power of two */
    u16 free_head, free_count;
    u16 avail_next; /* where the next chain goes; published by vq_publish */
    u16 kicked;     /* avail index when the device was last asked about */
    u16 used_next;  /* next used entry to look at */
    bool event_idx;
    bool broken;
    volatile struct virtq_desc *desc;
    volatile u16 *avail;       /* flags, idx, ring[size], used_event */
    volatile u16 *used;        /* flags, idx, {u32 id, u32 len}[size], avail_event */
    u64 window;                /* device address = pointer - window */
    u16 next[VQ_MAX_SIZE];     /* the free list and each chain; the device never sees it */
    u32 capacity[VQ_MAX_SIZE]; /* of a chain in flight by head: device-writable bytes */
    void *token[VQ_MAX_SIZE];  /* of a chain in flight by head, else NULL */
};

struct vq_used {
    void *token;
    u32 len; /* bytes the device wrote, never more than the chain could take */
};

/* Bytes of memory a queue of `size` entries needs; to be zeroed and page-aligned. */
size_t vq_bytes(u16 size);

/* Lays the queue out in `memory`. `window` is what to subtract from a pointer to get the address
 * the device sees. */
void vq_init(struct vq *vq, u16 size, void *memory, u64 window, bool event_idx);

/* Puts a request of `count` parts into the ring. token must not be NULL; it comes back from vq_pop.
 * False if there are not enough descriptors. The device sees it at once, a kick may be due. */
bool vq_add(struct vq *vq, const struct vq_part *parts, unsigned count, void *token);

/* True if the device wants to be told about what was added since the last call. */
bool vq_kick_due(struct vq *vq);

/* Takes one finished request. False if there is none or the queue is broken. */
bool vq_pop(struct vq *vq, struct vq_used *out);

/* True if vq_pop would find something. */
bool vq_pending(const struct vq *vq);

/* Asks for an interrupt at the next finished request. True if one has finished meanwhile: pop it,
 * no interrupt may come for it. */
bool vq_arm(struct vq *vq);

/* Asks not to be interrupted; a hint. */
void vq_disarm(struct vq *vq);

#endif
