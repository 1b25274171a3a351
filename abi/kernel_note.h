/*
 * The ELF note by which a guest kernel tells a monitor that it can be entered directly in 64-bit
 * ring 3 with every table already laid out. A kernel without it is entered by its PVH note.
 *
 * Entry state: CPL 3, CS/SS as in memory_map.h, RSP = stack_top, RDI = address of the flattened
 * device tree and RSI = its size (RDI in the physical window), RDX = guest-physical address of the
 * top page table (CR3), interrupts enabled, paging on with the window mapped, LSTAR =
 * syscall_entry, TSS.RSP0 = exception_stack, IST1 = interrupt_stack, IST2 = fault_stack (double
 * fault, NMI, machine check). Vector v enters at trap_stubs + v * trap_stride; vectors 0-31 by RSP0
 * except 2, 8 and 18, vectors from 32 by IST1; vector 3 alone is callable from ring 3.
 */
#ifndef SAMARA_ABI_KERNEL_NOTE_H
#define SAMARA_ABI_KERNEL_NOTE_H

#define SAMARA_NOTE_NAME    "samara"
#define SAMARA_NOTE_ENTRY   1 /* n_type */
#define SAMARA_NOTE_VERSION 1

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Note descriptor; all addresses are virtual. */
struct samara_kernel_note {
    uint32_t version; /* SAMARA_NOTE_VERSION */
    uint32_t trap_stride;
    uint64_t entry;
    uint64_t stack_top;
    uint64_t syscall_entry;
    uint64_t trap_stubs;
    uint64_t exception_stack;
    uint64_t interrupt_stack;
    uint64_t fault_stack;
};
_Static_assert(sizeof(struct samara_kernel_note) == 64, "note layout");
#endif

#endif
