/* The entry of hostile.c: the device tree's address and size are in the registers of a call's first two
 * arguments already. */
#include "tests/vm/kernels/kernel.h"

start:
    call hostile
1:
    jmp 1b

    no_traps
