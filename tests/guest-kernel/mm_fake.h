/*
 * A machine for the unit tests of guest-kernel/mm: RAM at MM_WINDOW, an empty top page table, and
 * the few functions memory management calls elsewhere in the kernel.
 */
#ifndef TESTS_GUEST_KERNEL_MM_FAKE_H
#define TESTS_GUEST_KERNEL_MM_FAKE_H

#include "guest-kernel/lib/base.h"

#define FAKE_FREE_START 0x400000ul

struct file;

/* RAM, page allocator, page tables and an empty address space; called again: the last one only. */
void fake_machine(u64 ram_bytes);

/* Flushes asked for since the test began. */
extern unsigned fake_flushes, fake_reloads;

/* The program's byte at addr through the page tables; NULL if the page is not present. */
u8 *fake_byte(u64 addr);

/* A file of zero-filled pages that counts its references. */
struct file *fake_file(unsigned pages);

#endif
