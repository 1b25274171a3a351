/*
 * The device's side of a split virtqueue (Virtio 1.2, 2.7) with INDIRECT_DESC and EVENT_IDX, safe
 * against whatever the guest writes.
 *
 *     configure ──ready──> frozen ──pop──> request (token) ──complete──> used ring ──> interrupt?
 *
 * Sizes and addresses are checked and frozen when the queue is made ready, ring indices are kept
 * here. A request is a chain copied and checked once: bounded in segments and bytes, readable
 * before writable. Its cursors are the only way to its data, so the length told to the guest is
 * what was written. A request outlives a reset harmlessly: its epoch no longer matches and every
 * operation on it does nothing. A malformed queue stays broken until it is reset.
 */
#ifndef SAMARA_DEVICES_VIRTQUEUE_H
#define SAMARA_DEVICES_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "devices/stream_fd.h"
#include "monitor/guest_mem.h"

#define VQ_MAX_SIZE     256
#define VQ_MAX_SEGMENTS 130        /* a chain's descriptors: 128 of data, header and status */
#define VQ_MAX_BYTES    (4u << 20) /* a chain's total length */

/* What a snapshot keeps of a queue. Version 1. */
struct vq_state {
    uint64_t desc, avail, used; /* guest-physical */
    uint16_t size;
    uint16_t next_avail; /* index of the next chain to take */
    uint16_t next_used;  /* index of the next chain to give back */
    uint16_t signalled;  /* next_used when the guest was last asked about an interrupt */
    uint8_t ready;
    uint8_t reserved[7];
};
_Static_assert(sizeof(struct vq_state) == 40, "saved layout");

struct virtqueue {
    struct vq_state state;
    const struct guest_mem *mem;
    uint16_t max_size;
    bool event_idx, indirect;
    bool want_kick;            /* the guest has been told to kick at the next chain */
    const char *broken;        /* what was malformed, NULL while sound */
    uint32_t epoch;            /* counts resets */
    void *desc, *avail, *used; /* host addresses, valid while ready; for virtqueue.c alone */
    uint64_t in_flight[VQ_MAX_SIZE / 64]; /* heads popped and not completed */
};

/* Position in one half of a request. */
struct vq_cursor {
    uint16_t segment, end;
    uint32_t offset; /* within the segment */
    uint32_t left;   /* bytes from here to the end of the half */
};

/* A popped chain. The fields are virtqueue.c's; its memory is the caller's. */
struct vq_request {
    struct virtqueue *vq; /* NULL once completed */
    uint32_t epoch;
    uint16_t head;
    uint16_t index; /* the next_avail it was taken at */
    uint32_t written;
    struct vq_cursor in;  /* what the device reads */
    struct vq_cursor out; /* what it writes */
    uint16_t segments;
    struct iovec iov[VQ_MAX_SEGMENTS];
};

enum vq_verdict {
    VQ_EMPTY,
    VQ_REQUEST,
    VQ_BROKEN, /* vq->broken says why; the device asks for reset */
};

/* --- the transport's part --- */

void vq_init(struct virtqueue *vq, const struct guest_mem *mem, uint16_t max_size);

/* Back to not ready with default values; requests under way lapse. */
void vq_reset(struct virtqueue *vq);

/* Checks size (a power of two, at most max_size), alignment and ranges of vq->state and freezes
 * them. False leaves the queue broken and not ready. Restoring a snapshot walks through here as
 * well. */
bool vq_make_ready(struct virtqueue *vq, bool event_idx, bool indirect);

/* --- the device's part --- */

/* Takes the next chain. The request has to be completed or put back. */
enum vq_verdict vq_pop(struct virtqueue *vq, struct vq_request *req);

/* True if vq_pop would not say VQ_EMPTY. */
bool vq_pending(struct virtqueue *vq);

/* Puts the chain last popped back as if it had not been, if nothing but reserved room was written
 * to it. */
void vq_unpop(struct vq_request *req);

/* Gives the chain back with the number of bytes written. A second time does nothing. */
void vq_complete(struct vq_request *req);

/* A chain that is done with but not given back yet: what is left of its request. */
struct vq_done {
    uint16_t head;
    uint32_t written;
};

/* Ends the request, which has to be live, without giving back its chain: one of the two below
 * does, before anything else happens to the queue. */
struct vq_done vq_set_aside(struct vq_request *req);

/* Gives these back in one step: who sees one sees them all. */
void vq_complete_together(struct virtqueue *vq, const struct vq_done *done, unsigned count);

/* As vq_unpop, for these, the last ones popped; what was written to them is not told. */
void vq_unpop_together(struct virtqueue *vq, const struct vq_done *done, unsigned count);

/* True if the guest wants an interrupt for what was completed since the last call. */
bool vq_interrupt_due(struct virtqueue *vq);

/* Asks the guest to kick (or not to bother) when it adds chains. True, when asking, if there are
 * some already: no kick may come for those. Not wanting is a hint, kicks may come nevertheless. */
bool vq_want_kick(struct virtqueue *vq, bool want);

/* The same where the next `chains` are known and do not suffice: wants a kick for one beyond. */
bool vq_want_kick_beyond(struct virtqueue *vq, uint16_t chains);

/* False once the request has been completed or has lapsed by a reset. */
static inline bool vq_live(const struct vq_request *req)
{
    return req->vq != NULL && req->epoch == req->vq->epoch;
}

/* Bytes left to read and to write. */
size_t vq_readable(const struct vq_request *req);
size_t vq_writable(const struct vq_request *req);

/* Copy from and to the guest and advance. False, and nothing done, if less than len is left. */
bool vq_read(struct vq_request *req, void *to, size_t len);
bool vq_write(struct vq_request *req, const void *from, size_t len);

/* Zeroes as many bytes as are left, or max. */
void vq_write_zeroes(struct vq_request *req, size_t max);

/* Leaves room for a header whose contents are known only later: counts as written, keeps what the
 * guest had there until vq_fill, which writes to [at, at + len) of what has been passed. */
bool vq_reserve(struct vq_request *req, size_t len);
bool vq_fill(struct vq_request *req, size_t at, const void *from, size_t len);

/* Move at most max bytes between a file and the guest's buffers without a copy in between. Return
 * the number moved, by which the cursor advances, or -errno; 0 from vq_write_from_fd is end of
 * file. -EINVAL if nothing is left or the request has lapsed. */
ssize_t vq_read_to_fd(struct vq_request *req, const struct stream_fd *to, size_t max);
ssize_t vq_write_from_fd(struct vq_request *req, const struct stream_fd *from, size_t max);

/* One write of `prefix` and all that is left to read. Returns the bytes written of both together.
 */
ssize_t vq_read_to_fd_behind(struct vq_request *req, const struct stream_fd *to, const void *prefix,
                             size_t len);

/* The same at the place `at` of a file; flags as for preadv2(2). */
ssize_t vq_read_to_file(struct vq_request *req, int fd, uint64_t at, size_t max, int flags);
ssize_t vq_write_from_file(struct vq_request *req, int fd, uint64_t at, size_t max, int flags);

#endif
