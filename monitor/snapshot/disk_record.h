/*
 * What RECORD_DISK says of an overlay's file: which blocks it has, and what is in them. The
 * bitmap's digest is of each of its pages of 4096 bytes that has any bit, ascending: the page's
 * number (8 bytes), then the page. Blocks are digested in chunks of the disk, as memory is.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_DISK_RECORD_H
#define SAMARA_MONITOR_SNAPSHOT_DISK_RECORD_H

#include "monitor/snapshot/records_check.h"

/* Reads all of it, and puts its record. -1 with err. */
int disk_record_put(struct snapshot_builder *b, unsigned number, const struct overlay_base *base,
                    const struct overlay *overlay, struct err *err);

/* Errors begin with "disk-N: ". -1 with err. Whether it has the blocks that the record says; */
int disk_record_check(const struct saved_disk *d, const struct overlay *overlay, struct err *err);

/* ... and whether they are what they were, which reads all of them, and has nothing but zeroes
 * elsewhere. fd is its file. */
int disk_record_verify(const struct saved_disk *d, const struct overlay *overlay, int fd,
                       struct err *err);

/* The digests of its chunks. */
static inline const uint8_t *disk_digests(const struct saved_disk *d)
{
    return (const uint8_t *)(d + 1);
}

#endif
