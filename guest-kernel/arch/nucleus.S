/*
 * The nucleus: everything of the kernel that runs in ring 0. On KVM without hardware
 * virtualisation an instruction here costs a microsecond, so a stub records what happened and leaves.
 *
 * Every stub finds the hardware's frame at its stack pointer: RIP, CS, RFLAGS, RSP, SS (exceptions
 * with an error code: that first). The high half of RIP tells program (below SAMARA_WINDOW_HIGH)
 * from kernel.
 *   exceptions  leave the frame where it is (top of exception_stack) and return into trap_entry.
 *   interrupts  are noted. From the program: return into irq_entry, which fetches the frame. From the
 *               kernel: return to where it was; if that is the restartable way out, to its beginning.
 *               Until irq_entry has fetched the frame, others go to a stack of their own: KVM without
 *               hardware virtualisation, put off its processor at the wrong moment, delivers one
 *               interrupt twice, the second time on irq_entry's first instruction.
 *   vector 3    from the kernel is the gate (gate.h).
 */
#include "abi/memory_map.h"
#include "guest-kernel/arch/gate.h"

#define STRIDE 64

    .section .nucleus, "ax", @progbits

/* Returns into ring 3 by a prepared frame. */
.macro leave_by frame
    lea \frame(%rip), %rsp
    iretq
.endm

.macro exception_stub vector
    movl $\vector, trap_vector(%rip)
    leave_by trap_frame
.endm

.macro interrupt_stub vector
    orl $(1 << (\vector - 32)), irq_notes(%rip)
    cmpl $SAMARA_WINDOW_HIGH, 4(%rsp)
    jae interrupted_kernel
    movl $kernel_interrupt_stack_low, tss_ist1(%rip)
    leave_by irq_frame
.endm

    .balign STRIDE
    .globl trap_stubs
trap_stubs:
    .set v, 0
    .rept 32
    .balign STRIDE
    .if v == 2                  /* NMI: nobody sends one */
    iretq
    .elseif v == 3
    cmpl $SAMARA_WINDOW_HIGH, 4(%rsp)
    jae gate_service
    exception_stub 3
    .elseif v == 8 || v == 18
    movl $v, trap_vector(%rip)
    leave_by fatal_frame
    .elseif v == 14
    movl $14, trap_vector(%rip)
    mov %rax, trap_rax(%rip)
    mov %cr2, %rax
    mov %rax, trap_cr2(%rip)
    leave_by fault_frame
    .else
    exception_stub v
    .endif
    .set v, v + 1
    .endr
    .rept SAMARA_VECTORS - 32
    .balign STRIDE
    interrupt_stub v
    .set v, v + 1
    .endr
    .balign STRIDE

interrupted_kernel:
    cmpl $way_out_low, (%rsp)
    jb 1f
    cmpl $way_out_end_low, (%rsp)
    jae 1f
    movl $way_out_low, (%rsp)
1:  iretq

gate_service:
    cmp $GATE_INVLPG, %r8d
    jb gate_halt
    je gate_invlpg
    cmp $GATE_WRMSR, %r8d
    jb gate_cr3
    je gate_wrmsr
    cmp $GATE_OUT8, %r8d
    ja gate_reset
    mov %edi, %edx              /* GATE_OUT8 */
    mov %esi, %eax
    out %al, %dx
    iretq
gate_reset:
    lidt no_table(%rip)
    ud2
gate_halt:
    cmpl $0, irq_notes(%rip)
    jne 1f
    sti                         /* takes effect after hlt: no interrupt slips between */
    hlt
1:  iretq
gate_invlpg:
    invlpg (%rdi)
    iretq
gate_cr3:
    mov %cr3, %rax
    mov %rax, %cr3
    iretq
gate_wrmsr:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
    wrmsr
    iretq

    .section .rodata
    .balign 16
no_table:
    .quad 0, 0
trap_frame:
    .quad trap_entry, SAMARA_SEL_USER_CS, 0x202, trap_stack_top, SAMARA_SEL_USER_DS
fault_frame:
    .quad trap_entry_fault, SAMARA_SEL_USER_CS, 0x202, trap_stack_top, SAMARA_SEL_USER_DS
irq_frame:
    .quad irq_entry, SAMARA_SEL_USER_CS, 0x202, trap_stack_top, SAMARA_SEL_USER_DS
fatal_frame:
    .quad fatal_entry, SAMARA_SEL_USER_CS, 0x202, trap_stack_top, SAMARA_SEL_USER_DS

    .section .note.GNU-stack, "", @progbits
