/*
 * A disk's file of a snapshot on its way: an overlay, whose bitmap is written last. What it is
 * given comes from a monitor that may be broken, and is checked.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_DISK_WRITER_H
#define SAMARA_MONITOR_SNAPSHOT_DISK_WRITER_H

#include <stdbool.h>

#include "monitor/snapshot/state_file.h"
#include "devices/overlay.h"

struct disk_writer {
    int fd; /* -1: there is no such disk */
    struct overlay_base base;
    uint64_t *bits; /* as in the file */
    uint64_t blocks;
};

#define DISK_WRITER_CLOSED                                                                         \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* In an empty file, which is the writer's from here on in any case. -1 with err. */
int disk_writer_open(struct disk_writer *w, int fd, const struct overlay_base *base,
                     struct err *err);

/* Contents of blocks from `offset` on, `size` bytes (both multiples of 4096, within the disk):
 * those of zeroes become holes. May be given again: the last counts. -1 with err. */
int disk_writer_blocks(struct disk_writer *w, uint64_t offset, const void *bytes, uint64_t size,
                       struct err *err);

/* Writes the bitmap, and puts the record of disk `number`. -1 with err. */
int disk_writer_finish(struct disk_writer *w, unsigned number, struct snapshot_builder *to,
                       struct err *err);

void disk_writer_close(struct disk_writer *w);

#endif
