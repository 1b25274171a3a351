/*
 * Pages of guest memory as they were at one moment, on their way out of the process, and two bits
 * for each page of RAM. A confined monitor cannot map memory, so the address space for as many
 * pages as RAM has is taken at set-up; it is memory only while a snapshot is taken.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_COPIES_H
#define SAMARA_MONITOR_SNAPSHOT_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct copies {
    size_t most;       /* pages of RAM */
    uint64_t *bits;    /* those that are of interest; NULL: there is no address space */
    uint64_t *written; /* those that the monitor has written: see guest_mem.h */
    size_t count;      /* pages that were copied, ... */
    uint32_t *numbers; /* ... which of RAM each is, ascending, ... */
    uint8_t *pages;    /* ... and what was in it */
    void *all;
    size_t size;
};

/* For RAM of so many bytes. Where the host gives no address space there are no snapshots. */
void copies_open(struct copies *c, uint64_t ram);

/* About so many will be put: takes the memory for them now. */
void copies_expect(struct copies *c, size_t pages);

/* There is room: no page is put twice. */
void copies_put(struct copies *c, uint32_t number, const uint8_t *page);

/* From copy `at` on, how many lie side by side in RAM, at most `most`. */
size_t copies_run(const struct copies *c, size_t at, size_t most);

/* Pages of RAM. */
static inline bool copies_bit(const struct copies *c, size_t page)
{
    return c->bits[page / 64] >> (page % 64) & 1;
}

/* The next run of pages with their bits set, from *first on, which becomes where it begins; how
 * many they are. 0: there is none. */
size_t copies_marked(const struct copies *c, size_t *first);

/* Forgets all of it and gives back the memory. */
void copies_clear(struct copies *c);

#endif
