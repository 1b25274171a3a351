/*
 * Which pages of a mapping there is anything in: reading one that was never written would take
 * memory for it. Told by /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_TOUCHED_H
#define SAMARA_MONITOR_SNAPSHOT_TOUCHED_H

#include <stdint.h>

enum { TOUCHED_PAGES = 512 };

/* Opens it under a descriptor of /proc; -1: it is not there. */
int touched_open(int proc);

/* Sets bit n of `bits` if page n from `at` on (page-aligned) is in memory or swapped out. Without
 * pagemap (-1) all of them might be. */
void touched_pages(int pagemap, const void *at, unsigned pages, uint64_t bits[TOUCHED_PAGES / 64]);

/* The same for pages that are no file's: what a private mapping has of its own. */
void private_pages(int pagemap, const void *at, unsigned pages, uint64_t bits[TOUCHED_PAGES / 64]);

#endif
