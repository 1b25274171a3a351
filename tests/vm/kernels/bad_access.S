/* One register access that the specification forbids, a byte of Status (Virtio 1.2, 4.2.2.2): the
 * device says so in a line on standard error. */
#include "tests/vm/kernels/kernel.h"

start:
    movabs $(SAMARA_WINDOW + SAMARA_GPA_VIRTIO), %rbx
    movb $1, 0x70(%rbx)
1:
    jmp 1b

    no_traps
