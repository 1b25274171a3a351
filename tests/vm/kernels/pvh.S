/*
 * Has a PVH note and none of samara's: entered in 32-bit protected mode with EBX at hvm_start_info.
 * Exits with 43 if that has a magic number, one module that is an ELF file, memory at 1 MiB and the
 * program's path on the command line; else with the number of the check that failed.
 */
#include "abi/memory_map.h"
#include "tests/vm/kernels/platform.h"

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18              /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start - SAMARA_WINDOW

    .text
    .code32
    .globl start
start:
    mov $1, %eax
    cmpl $0x336ec578, (%ebx)
    jne out
    inc %eax                    /* 2: one module */
    cmpl $1, 12(%ebx)
    jne out
    inc %eax                    /* 3: which is an ELF file */
    mov 16(%ebx), %esi
    mov (%esi), %esi
    cmpl $0x464c457f, (%esi)
    jne out
    inc %eax                    /* 4: memory that begins at 1 MiB */
    mov 40(%ebx), %esi
    mov 48(%ebx), %ecx
1:  cmpl $SAMARA_GPA_KERNEL, (%esi)
    je 2f
    add $24, %esi
    dec %ecx
    jnz 1b
    jmp out
2:  inc %eax                    /* 5: a command line that begins as it should */
    mov 24(%ebx), %esi
    cmpl $0x74726976, (%esi)    /* "virt" */
    jne out
    mov $43, %eax
out:
    movl $EXIT_STATUS, SAMARA_GPA_PLATFORM + PLATFORM_EXIT_KIND
    mov %eax, SAMARA_GPA_PLATFORM + PLATFORM_EXIT_CODE
    movl $1, SAMARA_GPA_DOORBELL
3:  jmp 3b

    .section .note.GNU-stack, "", @progbits
