/*
 * What a real machine's firmware and early kernel would set up, written straight into guest memory:
 * page tables, GDT, TSS and IDT of abi/memory_map.h and abi/kernel_note.h.
 */
#ifndef SAMARA_MONITOR_BOOT_TABLES_H
#define SAMARA_MONITOR_BOOT_TABLES_H

#include <stdint.h>

#include "monitor/elf_image.h"
#include "monitor/guest_mem.h"

/* Bytes of page tables a guest with this much RAM needs; a multiple of 4096. */
uint64_t boot_page_tables_size(uint64_t ram);

/* Writes the page tables at `at` (page-aligned), the top one first. The kernel image's segments get
 * their own permissions; it must lie within the first 2 MiB. -1 with err. */
int boot_page_tables(const struct guest_mem *mem, uint64_t at, uint64_t ram,
                     const struct elf_image *kernel, struct err *err);

/* Writes GDT, TSS and IDT at SAMARA_GPA_TABLES. */
int boot_descriptor_tables(const struct guest_mem *mem, const struct samara_kernel_note *note,
                           struct err *err);

#endif
