/*
 * What the monitor runs of a clone before the clone itself (abi/platform.h, `touch`): it reaches
 * pages in the window, so that KVM maps them now. Nothing is changed, the stack not used.
 *
 *     RDI  address of the first page     RSI  how many, not 0     EDX  0 to read, 1 to write
 */
#include "abi/memory_map.h"
#include "abi/platform_doorbell.h"

    .section .text.touch_pages, "ax"

    .globl touch_pages
    .type touch_pages, @function
touch_pages:
    test %edx, %edx
    jnz 2f
1:  testb $0, (%rdi)
    add $4096, %rdi
    dec %rsi
    jnz 1b
    jmp 3f
2:  lock orb $0, (%rdi)
    add $4096, %rdi
    dec %rsi
    jnz 2b
3:  movabs $(SAMARA_WINDOW + SAMARA_GPA_DOORBELL + SAMARA_DOORBELL_TOUCHED), %rdi
    movl %edx, (%rdi)
    jmp 3b
    .size touch_pages, . - touch_pages
