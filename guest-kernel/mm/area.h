/*
 * Areas: what each range of the program's addresses is. A sorted array with binary search: lookups
 * dominate, and moving a few thousand entries of 48 bytes costs less than a tree's cache misses.
 * Neighbours that continue each other are one area. Nothing here knows of page tables.
 */
#ifndef GUEST_MM_AREA_H
#define GUEST_MM_AREA_H

#include "guest-kernel/lib/base.h"

struct file;

enum {
    PROT_NONE = 0,
    PROT_READ = 1,
    PROT_WRITE = 2,
    PROT_EXEC = 4,
};

enum area_kind {
    AREA_ANON,  /* zero pages on demand */
    AREA_FILE,  /* pages of an open file; the area holds a reference to it */
    AREA_IMAGE, /* pages of the program's file, which lies in RAM */
};

enum {
    AREA_SHARED = 1 << 0, /* writes go to the file */
    AREA_STACK = 1 << 1,
    AREA_HEAP = 1 << 2,
};

struct area {
    u64 start, end; /* page-aligned, start < end */
    u8 kind;        /* enum area_kind */
    u8 prot;        /* PROT_* */
    u8 flags;       /* AREA_* */
    struct file *file;
    u64 offset; /* of start: in the file, or the physical address in the image; anon: 0 */
};

struct area_set {
    struct area *areas; /* sorted, disjoint; kmalloc'd */
    size_t count;
    size_t room;
    /* No gap of gap_len bytes or more lies within [gap_end, gap_high); gap_len 0: nothing known. */
    u64 gap_len, gap_end, gap_high;
};

/* Index of the first area that ends above addr (it may start above it too); count if none. */
size_t area_index(const struct area_set *set, u64 addr);

/* The area that contains addr, or NULL. Valid until the set changes. */
struct area *area_find(const struct area_set *set, u64 addr);

/* Adds an area whose range is free, merging it with its neighbours. Takes over the caller's
 * reference to a.file. False: out of memory, nothing changed. */
bool area_insert(struct area_set *set, struct area a);

/* Removes [start, end), splitting areas at its ends. False: out of memory, nothing changed. */
bool area_remove(struct area_set *set, u64 start, u64 end);

/* Splits the area that contains addr there, if any. False: out of memory. */
bool area_split(struct area_set *set, u64 addr);

/* Sets the protection of every area within [start, end), splitting and merging. */
bool area_protect(struct area_set *set, u64 start, u64 end, u8 prot);

/* True if [start, end) is covered by areas without a hole. */
bool area_covers(const struct area_set *set, u64 start, u64 end);

/* Where the areas that follow each other from addr on end; addr if none is there. */
u64 area_covered_end(const struct area_set *set, u64 addr);

/* True if no area overlaps [start, end). */
bool area_is_free(const struct area_set *set, u64 start, u64 end);

/* The highest free range of len bytes within [low, high): its start, or 0. */
u64 area_gap(struct area_set *set, u64 low, u64 high, u64 len);

/* Offset (see struct area) of an address in a. */
static inline u64 area_offset_of(const struct area *a, u64 addr)
{
    return a->kind == AREA_ANON ? 0 : a->offset + (addr - a->start);
}

#endif
