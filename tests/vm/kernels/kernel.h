/*
 * What the tiny test kernels share: the samara note with every address pointing at something that
 * is there, and the platform page and doorbell at their places in the window. A kernel defines `start`,
 * entered in 64-bit ring 3 as abi/kernel_note.h says.
 */
#ifndef TESTS_VM_KERNELS_KERNEL_H
#define TESTS_VM_KERNELS_KERNEL_H

#include "abi/kernel_note.h"
#include "abi/memory_map.h"
#include "tests/vm/kernels/platform.h"

#define TRAP_STRIDE 16
#ifndef RING0_STACK
#define RING0_STACK stack_top
#endif

    .section .note.samara, "a", @note
    .balign 4
    .long 7, 64, SAMARA_NOTE_ENTRY
    .asciz SAMARA_NOTE_NAME
    .balign 4
    .long SAMARA_NOTE_VERSION, TRAP_STRIDE
    .quad start, stack_top, trap_stubs, trap_stubs
    .quad RING0_STACK, RING0_STACK, RING0_STACK

    .bss
    .balign 16
    .skip 4096
stack_top:

    .text
    .globl start

/* Stubs for a kernel that takes none; the last thing in its file. */
.macro no_traps
    .balign TRAP_STRIDE
trap_stubs:
    .rept SAMARA_VECTORS
    .balign TRAP_STRIDE
    iretq
    .endr
    .skip TRAP_STRIDE
    .section .note.GNU-stack, "", @progbits
.endm

/* Exit kind and code are in the page; %rbx is clobbered. */
.macro ring_doorbell
    movabs $(SAMARA_WINDOW + SAMARA_GPA_DOORBELL), %rbx
    movl $1, (%rbx)
1:  jmp 1b
.endm

#endif
