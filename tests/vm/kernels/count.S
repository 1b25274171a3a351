/* Counts in the clone_counter word of the platform page, for ever: whether it runs can be seen. */
#include "tests/vm/kernels/kernel.h"

start:
    movabs $(SAMARA_WINDOW + SAMARA_GPA_PLATFORM + PLATFORM_CLONE_COUNTER), %rbx
1:
    incq (%rbx)
    jmp 1b

    no_traps
