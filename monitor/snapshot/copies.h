/*
 * Pages of guest memory as they were at one moment, on their way out of the process. A confined
 * monitor cannot map memory, so the address space for as many pages as RAM has is taken at set-up;
 * it is memory only while pages are in it.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_COPIES_H
#define SAMARA_MONITOR_SNAPSHOT_COPIES_H

#include <stddef.h>
#include <stdint.h>

struct copies {
    size_t count;      /* pages, ... */
    uint32_t *numbers; /* ... which of RAM each is, ascending, ... */
    uint8_t *pages;    /* ... and what was in it; NULL: there is no address space */
    size_t most;
};

/* For RAM of so many bytes. Where the host gives no address space there are no snapshots. */
void copies_open(struct copies *c, uint64_t ram);

/* There is room: no page is put twice. */
void copies_put(struct copies *c, uint32_t number, const uint8_t *page);

/* From page `at` on, how many lie side by side in RAM, at most `most`. */
size_t copies_run(const struct copies *c, size_t at, size_t most);

/* Forgets them and gives back the memory. */
void copies_clear(struct copies *c);

#endif
