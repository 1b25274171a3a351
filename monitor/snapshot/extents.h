/* From a bit for each page to extents. */
#ifndef SAMARA_MONITOR_SNAPSHOT_EXTENTS_H
#define SAMARA_MONITOR_SNAPSHOT_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/snapshot/records.h"

struct page_bits {
    const uint8_t *present; /* in the file, and not zero */
    const uint8_t *known;   /* a diff's: what is known and not present is EXTENT_ZERO. Or NULL:
                               what is not present is zero and in no extent */
    uint64_t pages;
};

/*
 * Writes the extents to `to`, at most `room`, and returns how many there are. Up to `absorb` zero
 * pages behind data count as data, since they are holes in the file: fewer extents, the same
 * memory.
 */
size_t extents_from_bits(const struct page_bits *bits, uint64_t absorb, struct saved_extent *to,
                         size_t room);

#endif
