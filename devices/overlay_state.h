/* An overlay from inside: overlay.c moves data, overlay_file.c makes and finds the file,
 * overlay_blocks.c tells snapshots what there is. */
#ifndef SAMARA_DEVICES_OVERLAY_STATE_H
#define SAMARA_DEVICES_OVERLAY_STATE_H

#include <stdatomic.h>

#include "devices/overlay.h"

/* Of the bitmap. Words are of 64 blocks. */
enum { OVERLAY_PAGE = 4096, PAGE_WORDS = OVERLAY_PAGE / 8, WORD_BLOCKS = 64 };
enum { PAGE_BLOCKS = PAGE_WORDS * WORD_BLOCKS };
#define PAGE_BYTES ((uint64_t)OVERLAY_PAGE * 8 * OVERLAY_BLOCK) /* of the disk */

enum change {
    EMPTY, /* no bit */
    SAME,
    CHANGED,
    WRITTEN /* but not known to be durable */
};

struct overlay {
    int fd, base_fd;
    struct overlay_base base;
    struct overlay *lower;    /* NULL: the base is next */
    uint64_t data;            /* where in the file */
    size_t pages;             /* of the bitmap */
    _Atomic uint64_t *bitmap; /* a bit for each block, the lowest first */
    uint8_t *changed;         /* enum change, by page of the bitmap */
    int lost; /* -errno of a flush that failed: the kernel tells it once, and has given up by then
               */
    _Atomic bool tracks;
    _Atomic uint64_t *written; /* while it tracks: blocks that were written, by anybody; a bitmap */
    _Atomic uint8_t *noted;    /* of each of its pages whether there may be any */
    _Atomic uint64_t written_count;
    uint8_t block[OVERLAY_BLOCK]; /* of the disk's thread */
};

static inline bool overlay_owns(const struct overlay *o, uint64_t block)
{
    uint64_t word = atomic_load_explicit(&o->bitmap[block / WORD_BLOCKS], memory_order_acquire);

    return word >> (block % WORD_BLOCKS) & 1;
}

/* Whose a block is: o, one beneath it, or NULL for the base. */
static inline const struct overlay *overlay_owner(const struct overlay *o, uint64_t block)
{
    while (o && !overlay_owns(o, block))
        o = o->lower;
    return o;
}

/* How much of [at, at + max) lies, from its start, in blocks of the same one, *in. */
size_t overlay_run(const struct overlay *o, uint64_t at, size_t max, const struct overlay **in);

/* Somebody has written there, or has tried to. */
void overlay_note(struct overlay *o, uint64_t at, uint64_t len);

size_t overlay_bitmap_pages(uint64_t size);

#endif
