/* Never ends and never leaves ring 3: what a kick, a signal and a timeout have to stop. */
#include "tests/vm/kernels/kernel.h"

start:
    jmp start

    .balign TRAP_STRIDE
trap_stubs:
    .rept SAMARA_VECTORS
    .balign TRAP_STRIDE
    iretq
    .endr
    .skip TRAP_STRIDE

    .section .note.GNU-stack, "", @progbits
