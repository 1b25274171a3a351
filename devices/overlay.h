/*
 * An overlay: what is written to a disk whose image others share. Blocks of 4 KiB are in the base
 * until they are written for the first time, then in the overlay's file, where a bitmap says so.
 *
 *     header │ bitmap │ data, sparse: a block at the same offset as on the disk
 *
 * docs/overlay-format.md specifies the file. In memory a bit is set once its block has been
 * written, and reaches the file with the next flush, after the block: whatever is interrupted, a
 * block whose bit is set is there, and what was flushed is found again.
 *
 * Who may wait (the disk's thread) may do anything; who may not reads, and overwrites blocks that
 * are in the overlay already. So only one thread sets bits. Ranges and results are as in disk.h.
 */
#ifndef SAMARA_DEVICES_OVERLAY_H
#define SAMARA_DEVICES_OVERLAY_H

#include <stdint.h>

#include "devices/virtqueue.h"
#include "monitor/err.h"

#define OVERLAY_MAGIC   "samaraov"
#define OVERLAY_VERSION 1u

enum { OVERLAY_BLOCK = 4096, OVERLAY_BITMAP = 4096 /* where in the file */ };

/* Which base it belongs to: that had this size, and was last changed then. */
struct overlay_base {
    uint64_t size;
    int64_t changed_ns; /* since 1970 */
};

struct overlay;

/* Makes an empty one in an empty file. -1 with err. */
int overlay_create(int fd, const struct overlay_base *base, struct err *err);

/* Checks the file and reads its bitmap. Both descriptors stay the caller's and outlive it. NULL
 * with err. */
struct overlay *overlay_load(int fd, int base_fd, const struct overlay_base *base, struct err *err);
void overlay_free(struct overlay *overlay);

ssize_t overlay_read(struct overlay *overlay, struct vq_request *to, uint64_t at, size_t max,
                     unsigned flags);
ssize_t overlay_write(struct overlay *overlay, struct vq_request *from, uint64_t at, size_t max,
                      unsigned flags);
int overlay_flush(struct overlay *overlay);
int overlay_discard(struct overlay *overlay, uint64_t at, uint64_t len);
int overlay_zero(struct overlay *overlay, uint64_t at, uint64_t len);

#endif
