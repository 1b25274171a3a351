/*
 * What a block device keeps its data in: a file or block device of the host that was opened,
 * checked and locked by the keeper (monitor/disk_open.h).
 *
 * Offsets and lengths are bytes, in range and multiples of a sector; the caller has seen to that.
 * Functions that move data take it from a request or put it there (virtqueue.h) and return what
 * they have moved, or -errno. They may block unless DISK_NOWAIT is among the flags.
 */
#ifndef SAMARA_DEVICES_DISK_H
#define SAMARA_DEVICES_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/disk_file.h"
#include "devices/overlay.h"

#define DISK_SIZE_MAX (UINT64_C(16) << 40)

struct disk {
    int fd;                   /* -1: none */
    int overlay_fd;           /* -1: fd itself is written */
    struct overlay_base base; /* its size is the disk's, a multiple of 512 */
    bool read_only;
    bool temporary;          /* the overlay's file has no name: nobody will find it again */
    struct overlay *overlay; /* once disk_start was called */
};

#define DISK_NONE                                                                                  \
    {                                                                                              \
        .fd = -1, .overlay_fd = -1                                                                 \
    }

/* Reads the overlay's file, if there is one. -1 with err. */
int disk_start(struct disk *disk, struct err *err);

static inline uint64_t disk_size(const struct disk *disk)
{
    return disk->base.size;
}

/* Moves max bytes, or with DISK_NOWAIT less. A file that has become shorter gives -EIO. */
ssize_t disk_read(const struct disk *disk, struct vq_request *to, uint64_t at, size_t max,
                  unsigned flags);
ssize_t disk_write(const struct disk *disk, struct vq_request *from, uint64_t at, size_t max,
                   unsigned flags);

/* What was written before is on stable storage, as far as the host's file system promises. Without,
 * what an overlay has got may be forgotten. */
int disk_flush(const struct disk *disk);

/* Gives the space back where the file can do that; what is read there afterwards is anything. */
int disk_discard(const struct disk *disk, uint64_t at, uint64_t len);

/* Reads as zeroes afterwards; may_unmap: and may lose its space. */
int disk_zero(const struct disk *disk, uint64_t at, uint64_t len, bool may_unmap);

void disk_close(struct disk *disk);

#endif
