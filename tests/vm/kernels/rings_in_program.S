/*
 * Resets the vsock device, puts its tx queue into the pages of the program's file, waits 2^32 cycles
 * (1 to 2 s) for somebody to make the file shorter and kicks: the monitor reads a ring that is not
 * there. Registers: Virtio 1.2, 4.2.2.
 */
#include "tests/vm/kernels/kernel.h"

#define RINGS 0x300000

#define STATUS              0x070
#define DRIVER_FEATURES_SEL 0x024
#define DRIVER_FEATURES     0x020
#define QUEUE_SEL           0x030
#define QUEUE_NUM           0x038
#define QUEUE_READY         0x044
#define QUEUE_NOTIFY        0x050
#define QUEUE_DESC_LOW      0x080
#define QUEUE_AVAIL_LOW     0x090
#define QUEUE_USED_LOW      0x0a0

.macro put reg, value
    movl $\value, \reg(%rbx)
.endm

start:
    movabs $(SAMARA_WINDOW + SAMARA_GPA_VIRTIO), %rbx
    put STATUS, 0
    put STATUS, 3
    put DRIVER_FEATURES_SEL, 0
    put DRIVER_FEATURES, 0
    put DRIVER_FEATURES_SEL, 1
    put DRIVER_FEATURES, 1
    put STATUS, 11
    put QUEUE_SEL, 1
    put QUEUE_NUM, 128
    put QUEUE_DESC_LOW, RINGS
    put QUEUE_AVAIL_LOW, RINGS + 0x1000
    put QUEUE_USED_LOW, RINGS + 0x2000
    put QUEUE_READY, 1
    put STATUS, 15
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, %rsi
1:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    sub %rsi, %rax
    shr $32, %rax
    jz 1b
    put QUEUE_NOTIFY, 1
2:
    jmp 2b

    no_traps
