/*
 * The program's address space: areas and the pages behind them. There is one, because there is one
 * program. All addresses and lengths come from the program and are checked here.
 */
#ifndef GUEST_MM_MAP_H
#define GUEST_MM_MAP_H

#include "guest-kernel/lib/base.h"
#include "guest-kernel/mm/area.h"

#define MM_LOWEST 0x10000ul       /* as Linux's mmap_min_addr */
#define MM_TOP    0x7f8000000000ul /* SAMARA_WINDOW: the program has everything below */

#define STACK_SIZE 0x800000ul

/* Bits of a page fault's error code. */
enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_FETCH = 16 };

enum fault_result {
    FAULT_OK,
    FAULT_SEGV_MAPERR, /* no area there */
    FAULT_SEGV_ACCERR, /* the area does not allow it */
    FAULT_BUS,         /* beyond the end of the file */
};

/* Chooses the places of stack and mappings at random and empties the address space. */
void mm_init(void);

/* Resolves a page fault of the program at addr. Out of memory ends the program. */
enum fault_result mm_fault(u64 addr, u32 error);

/*
 * Maps `len` bytes as `a` says (a.start and a.end are ignored; a.file: a reference is taken).
 * fixed: exactly at hint, replacing what is there; else near hint or at the top. Returns the address
 * or -errno.
 */
long mm_map(u64 hint, u64 len, bool fixed, struct area a);
long mm_unmap(u64 addr, u64 len);
long mm_protect(u64 addr, u64 len, u32 prot);

/* Maps the pages of [start, end) now, as far as areas and memory allow. */
void mm_populate(u64 start, u64 end);

/* Copies into mapped, owned pages whatever the protection says; false if a page is missing. */
bool mm_poke(u64 addr, const void *src, size_t len);

/* Sets where brk() starts; maps the main stack and returns its top. exec only. */
void mm_set_brk(u64 start);
u64 mm_map_stack(bool executable);

/* Drops mappings of a file's pages from offset `from` on: it was truncated, they may go away. */
void mm_file_truncated(const struct file *file, u64 from);

/* Text of /proc/self/maps from offset on: bytes written to buf, 0 at the end. */
ssize_t proc_maps(char *buf, size_t size, u64 offset);

/* Bytes mapped and bytes in RAM, for /proc/self/statm and getrusage. */
u64 mm_virtual_bytes(void);
u64 mm_resident_bytes(void);

/* The areas, for the other files of this folder. */
extern struct area_set mm_areas;

#endif
