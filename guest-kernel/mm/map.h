/*
 * The program's address space: areas and the pages behind them. There is one, because there is one
 * program. Addresses and lengths come from the program and are checked here; results are Linux's.
 */
#ifndef GUEST_MM_MAP_H
#define GUEST_MM_MAP_H

#include "guest-kernel/lib/base.h"
#include "guest-kernel/mm/area.h"

#define MM_LOWEST  0x10000ul        /* as Linux's mmap_min_addr */
#define MM_TOP     0x7f8000000000ul /* SAMARA_WINDOW: the program has everything below */
#define STACK_SIZE 0x800000ul

/* Bits of a page fault's error code. */
enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_FETCH = 16 };

enum fault_result {
    FAULT_OK,
    FAULT_SEGV_MAPERR, /* no area there */
    FAULT_SEGV_ACCERR, /* the area does not allow it */
    FAULT_BUS,         /* beyond the end of the file */
};

/* Chooses the places of stack and mappings at random. Once, before exec. */
void mm_init(void);

/* Resolves a page fault of the program at addr. Out of memory ends the program. */
enum fault_result mm_fault(u64 addr, u32 error);

/*
 * Maps len bytes as `a` says; a.start and a.end are ignored, and a reference to a.file is taken.
 * fixed: exactly at hint, replacing what is there; else at hint if that is free, or at the top.
 * The address, or -errno.
 */
long mm_map(u64 hint, u64 len, bool fixed, struct area a);
long mm_unmap(u64 addr, u64 len);
long mm_protect(u64 addr, u64 len, u32 prot);
long mm_remap(u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr);

/* Forgets the contents of a range: zeroes or the file's own come back (madvise DONTNEED). */
long mm_discard(u64 addr, u64 len);

/* Page-aligned range within the program's addresses: *end is set, or false. */
bool mm_range(u64 addr, u64 len, u64 *end);

/* The break: set where it starts (exec), move it. Returns the break as it is afterwards. */
void mm_set_brk(u64 start);
u64 mm_brk(u64 wanted);

/* Maps the main stack; its top, or 0 when out of memory. exec only. */
u64 mm_map_stack(bool executable);

/* Maps the pages of [start, end) now, as far as areas and memory allow. */
void mm_populate(u64 start, u64 end);

/* Copies into mapped pages that are the program's own, whatever their protection; false if one is
 * missing. */
bool mm_poke(u64 addr, const void *src, size_t len);

/* Text of /proc/self/maps from offset on: bytes written to buf, 0 at the end. */
ssize_t proc_maps(char *buf, size_t size, u64 offset);

/* Bytes mapped and bytes with a page, for /proc and getrusage. */
u64 mm_virtual_bytes(void);
u64 mm_resident_bytes(void);

/* The areas, for the other files of this folder. */
extern struct area_set mm_areas;

#endif
