/*
 * Ways between program and kernel, all in ring 3: the system call, the second halves of exceptions
 * and interrupts (the first are in nucleus.S), and the one way back.
 *
 * One processor: entries save what they need at fixed addresses first. An interrupt may arrive at
 * any instruction; the nucleus only notes it while RIP is in the kernel.
 */
#include "abi/kernel_note.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/regs.h"

    .text

/* Pushes the general registers of struct regs below orig_rax; \rax is where the program's RAX is. */
.macro push_registers rax
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push \rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    xor %ebp, %ebp
    cld
.endm

/* Pushes SS, RSP, RFLAGS, CS, RIP of the hardware's frame at the end of a stack. */
.macro push_frame top
    pushq \top-8(%rip)
    pushq \top-16(%rip)
    pushq \top-24(%rip)
    pushq \top-32(%rip)
    pushq \top-40(%rip)
.endm

    .globl kernel_entry
kernel_entry:
    xor %ebp, %ebp
    call kernel_main
    ud2

/* LSTAR. RCX and R11 hold the program's RIP and RFLAGS. */
    .balign 64
    .globl syscall_entry
syscall_entry:
    mov %rcx, cpu_rcx(%rip)
    mov %cs, %ecx
    test $3, %cl
    jz 2f
1:  mov %rsp, cpu_rsp(%rip)
    mov cpu_stack_top(%rip), %rsp
    pushq $SAMARA_SEL_USER_DS
    pushq cpu_rsp(%rip)
    push %r11
    pushq $SAMARA_SEL_USER_CS
    pushq cpu_rcx(%rip)
    push %rax
    push_registers %rax
    mov %rsp, %rdi
    call syscall_dispatch
    jmp way_out
2:  lea 1b(%rip), %rcx         /* hardware arrives here at CPL 0; R11 is already right */
    sysretq

/*
 * Back to the program. Reads only memory until it is done, so that the nucleus can start it over
 * when an interrupt is noted after the check.
 */
    .globl way_out, way_out_end
way_out:
    cmpq $0, irq_notes(%rip)    /* and work_pending, its neighbour */
    jne 1f
    mov cpu_stack_top(%rip), %rsp
    sub $REGS_SIZE, %rsp
    mov REGS_R15(%rsp), %r15
    mov REGS_R14(%rsp), %r14
    mov REGS_R13(%rsp), %r13
    mov REGS_R12(%rsp), %r12
    mov REGS_RBP(%rsp), %rbp
    mov REGS_RBX(%rsp), %rbx
    mov REGS_R11(%rsp), %r11
    mov REGS_R10(%rsp), %r10
    mov REGS_R9(%rsp), %r9
    mov REGS_R8(%rsp), %r8
    mov REGS_RAX(%rsp), %rax
    mov REGS_RCX(%rsp), %rcx
    mov REGS_RDX(%rsp), %rdx
    mov REGS_RSI(%rsp), %rsi
    mov REGS_RDI(%rsp), %rdi
    add $REGS_RIP, %rsp
    iretq                       /* ring 3 to ring 3 */
way_out_end:
1:  mov cpu_stack_top(%rip), %rsp
    sub $REGS_SIZE, %rsp
    mov %rsp, %rdi
    call task_return_work
    jmp way_out

    .globl trap_entry, trap_entry_fault
trap_entry:
    mov %rax, trap_rax(%rip)
trap_entry_fault:
    cmpl $SAMARA_WINDOW_HIGH, exception_stack_top-36(%rip)
    jae 1f
3:  mov cpu_stack_top(%rip), %rsp
    push_frame exception_stack_top
    pushq $-1
    push_registers trap_rax(%rip)
    mov %rsp, %rdi
    mov trap_vector(%rip), %esi
    mov exception_stack_top-48(%rip), %edx
    mov trap_cr2(%rip), %rcx
    call trap_from_program
    jmp way_out
1:  cmpl $SAMARA_WINDOW_HIGH, exception_stack_top-12(%rip)
    jb 3b                       /* not on a stack of ours: the program jumped here */
    push_frame exception_stack_top
    jmp 2f

    .globl fatal_entry
fatal_entry:                    /* double fault, machine check: on the fault stack */
    mov %rax, trap_rax(%rip)
    push_frame fault_stack_top
2:  pushq $-1
    push_registers trap_rax(%rip)
    mov %rsp, %rdi
    mov trap_vector(%rip), %esi
    mov exception_stack_top-48(%rip), %edx
    mov trap_cr2(%rip), %rcx
    call trap_from_kernel
    ud2

    .globl irq_entry
irq_entry:
    mov %rax, trap_rax(%rip)
    mov cpu_stack_top(%rip), %rsp
    push_frame interrupt_stack_top
    movl $interrupt_stack_low, tss_ist1(%rip)
    pushq $-1
    push_registers trap_rax(%rip)
    jmp way_out                 /* the note makes it look */

/* void switch_stack(u64 *save_rsp, u64 new_rsp) */
    .globl switch_stack
switch_stack:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .section .note.samara, "a", @note
    .balign 4
    .long 2f - 1f, 4f - 3f, SAMARA_NOTE_ENTRY
1:  .asciz SAMARA_NOTE_NAME
2:  .balign 4
3:  .long SAMARA_NOTE_VERSION, 64
    .quad kernel_entry, boot_stack_top, syscall_entry, trap_stubs
    .quad exception_stack_top, interrupt_stack_top, fault_stack_top
4:
    .data
    .balign 64
    .globl irq_notes, work_pending, cpu_stack_top, trap_cr2, trap_vector, boot_stack_top
irq_notes:     .long 0          /* these two are read as one */
work_pending:  .long 0
cpu_stack_top: .quad boot_stack_top
cpu_rcx:       .quad 0
cpu_rsp:       .quad 0
    .globl trap_rax
trap_rax:      .quad 0
trap_cr2:      .quad 0
trap_vector:   .quad 0

    .globl trap_stack_top, exception_stack_top, interrupt_stack_top, fault_stack_top
    .globl kernel_interrupt_stack_top
    .bss
    .balign 64
    .skip 448
exception_stack_top:
    .skip 448
interrupt_stack_top:
    .skip 448
kernel_interrupt_stack_top:
    .skip 448
fault_stack_top:
    .balign 64
    .skip 6144
trap_stack_top:
    .skip 16384
boot_stack_top:
    .skip 64

    .section .note.GNU-stack, "", @progbits
