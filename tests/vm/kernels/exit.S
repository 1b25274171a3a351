/* Exits with status 42: the shortest life a guest can have. */
#include "tests/vm/kernels/kernel.h"

start:
    movabs $(SAMARA_WINDOW + SAMARA_GPA_PLATFORM), %rax
    movl $EXIT_STATUS, PLATFORM_EXIT_KIND(%rax)
    movl $42, PLATFORM_EXIT_CODE(%rax)
    ring_doorbell

    .balign TRAP_STRIDE
trap_stubs:
    .skip SAMARA_VECTORS * TRAP_STRIDE, 0xf4

    .section .note.GNU-stack, "", @progbits
