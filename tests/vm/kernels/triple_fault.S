/* Faults, with ring-0 stacks where there is no memory: neither the fault nor the double fault after it
 * can be delivered. */
#include "abi/memory_map.h"

#define RING0_STACK (SAMARA_WINDOW + SAMARA_WINDOW_SIZE - 0x1000)
#include "tests/vm/kernels/kernel.h"

start:
    ud2

    .balign TRAP_STRIDE
trap_stubs:
    .skip SAMARA_VECTORS * TRAP_STRIDE, 0xf4

    .section .note.GNU-stack, "", @progbits
