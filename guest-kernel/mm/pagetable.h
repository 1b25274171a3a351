/*
 * The page tables of the program (PML4 slots 0 to 254), edited in place through the physical
 * window. Accessed and dirty bits are preset, so the processor never writes to a table. Kernel and
 * program both run in ring 3: what must not be reached is not present.
 *
 * Making an absent entry present needs no flush. Other changes are collected; each function below
 * has flushed them before it returns.
 */
#ifndef GUEST_MM_PAGETABLE_H
#define GUEST_MM_PAGETABLE_H

#include "guest-kernel/lib/base.h"

#define PTE_P      0x1ul
#define PTE_W      0x2ul
#define PTE_U      0x4ul
#define PTE_A      0x20ul
#define PTE_D      0x40ul
#define PTE_OWNED  0x200ul /* the page belongs to this mapping: freed with it, may be written */
#define PTE_SHARED 0x400ul /* the page belongs to a file and may be written in place */
#define PTE_NX     0x8000000000000000ul
#define PTE_FRAME  0x000ffffffffff000ul

#define PT_ENTRIES 512

/*
 * Entries are zero (nothing there) or name a page. One whose area allows no access names its page
 * but is not present (PROT_NONE keeps the contents).
 */
typedef u64 pte;

/* The entry of va, NULL if its table is absent. pt_slot makes the table; NULL: out of memory. */
pte *pt_find(u64 va);
pte *pt_slot(u64 va);

/* The entry's value for a page: prot is PROT_*, kind PTE_OWNED, PTE_SHARED or 0 (read-only until
 * copied). */
pte pt_entry(u64 gpa, u32 prot, u64 kind);

/* Replaces a present entry: stores it and flushes va. */
void pt_replace(pte *slot, u64 va, pte value);

/* Removes what is mapped in [start, end) and frees owned pages, and the tables of which nothing is
 * used outside of [floor, ceiling): nothing else is mapped there. */
void pt_unmap(u64 start, u64 end, u64 floor, u64 ceiling);

/* Gives the mapped pages of [start, end) the permissions of prot. */
void pt_protect(u64 start, u64 end, u32 prot);

/* Moves the entries of len bytes; nothing is mapped at the new place. False: out of memory, and
 * everything is where it was. */
bool pt_move(u64 from, u64 to, u64 len);

/* Entries in [start, end) that name a page. */
size_t pt_count(u64 start, u64 end);

#endif
