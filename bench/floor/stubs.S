/*
 * What C cannot say: the process's entry, a system call, and the guest's whole program.
 */
    .section .note.GNU-stack, "", @progbits
    .text

    .globl _start
_start:
    xor %ebp, %ebp
    and $-16, %rsp
    call floor_main
    mov %eax, %edi
    mov $231, %eax /* exit_group */
    syscall

/* long sys(long number, long a, long b, long c, long d, long e, long f) */
    .globl sys
sys:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    mov 8(%rsp), %r9
    syscall
    ret

/* Ring 3, 64-bit, position independent: RDI holds the address of device space. */
    .globl guest_code, guest_code_end
guest_code:
    movl $0x68, (%rdi)
    jmp .
guest_code_end:
