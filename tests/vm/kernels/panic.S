/* Panics with a text that would clear the user's terminal if the monitor let it through. */
#include "tests/vm/kernels/kernel.h"

start:
    movabs $(SAMARA_WINDOW + SAMARA_GPA_PLATFORM), %rax
    lea text(%rip), %rsi
    lea PLATFORM_PANIC_TEXT(%rax), %rdi
    mov $(text_end - text), %ecx
    mov %ecx, PLATFORM_PANIC_LENGTH(%rax)
    rep movsb
    movl $EXIT_PANIC, PLATFORM_EXIT_KIND(%rax)
    ring_doorbell

    .balign TRAP_STRIDE
trap_stubs:
    .skip SAMARA_VECTORS * TRAP_STRIDE, 0xf4

    .section .rodata
text:
    .ascii "one\n\033[2Jtwo\ttab\r\007bell\b\177 \302\233csi\377 \303\251t\303\251\n"
text_end:

    .section .note.GNU-stack, "", @progbits
