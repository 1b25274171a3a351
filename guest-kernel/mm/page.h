/*
 * Physical pages. RAM above the high-water mark has never been touched: it is zero and costs the
 * host nothing, so it is neither cleared nor looked at. Freed pages are noted in a bitmap (itself
 * in RAM nobody touched before) and are preferred, because the host has already paid for them.
 */
#ifndef GUEST_MM_PAGE_H
#define GUEST_MM_PAGE_H

#include "abi/memory_map.h"
#include "guest-kernel/lib/base.h"

/* Where physical memory appears to the kernel. Unit tests on the host move it. */
#ifndef MM_WINDOW
#define MM_WINDOW SAMARA_WINDOW
#endif

static inline void *page_at(u64 gpa)
{
    return (void *)(uintptr_t)(MM_WINDOW + gpa);
}

static inline u64 page_gpa(const void *page)
{
    return (u64)(uintptr_t)page - MM_WINDOW;
}

/*
 * Hands over RAM: [free_start_gpa, ...) of ram_bytes, which lie at [0, SAMARA_RAM_LOW_END) and the
 * rest from SAMARA_RAM_HIGH_BASE. Once, before anything else here.
 */
void page_init(u64 free_start_gpa, u64 ram_bytes);

/* Keeps some pages back, untouched, and hands them out again: for the last words of a program that
 * ran out of memory. */
void page_keep_reserve(void);
void page_release_reserve(void);

/* One page, zeroed; NULL when there is none. */
void *page_alloc(void);

/* The same without clearing: *known_zero tells whether the page is all zero already. */
void *page_alloc_raw(bool *known_zero);
void page_free(void *page);

/* count pages in a row, not cleared; NULL when there is no such run. */
void *pages_alloc(unsigned count);
void pages_free(void *first, unsigned count);

/* Pages handed over at the start; pages that can still be allocated; those never touched. */
size_t pages_total(void);
size_t pages_free_count(void);
size_t pages_untouched(void);

#endif
