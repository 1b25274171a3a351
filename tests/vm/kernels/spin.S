/* Never ends and never leaves ring 3: what a kick, a signal and a timeout have to stop. */
#include "tests/vm/kernels/kernel.h"

start:
    jmp start

    no_traps
