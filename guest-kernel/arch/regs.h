/*
 * The program's registers as the kernel saves them at the top of a thread's kernel stack: Linux's
 * order, so that signal frames and debuggers find what they expect.
 */
#ifndef GUEST_ARCH_REGS_H
#define GUEST_ARCH_REGS_H

#ifndef __ASSEMBLER__
#include "guest-kernel/lib/base.h"

struct regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 orig_rax; /* system call number, or -1 */
    u64 rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct regs) == 168, "entry.S relies on it");

/* Does the system call that orig_rax names; its result is in rax. */
void syscall_dispatch(struct regs *regs);
#endif

#define REGS_SIZE 168
#define REGS_R15  0
#define REGS_R14  8
#define REGS_R13  16
#define REGS_R12  24
#define REGS_RBP  32
#define REGS_RBX  40
#define REGS_R11  48
#define REGS_R10  56
#define REGS_R9   64
#define REGS_R8   72
#define REGS_RAX  80
#define REGS_RCX  88
#define REGS_RDX  96
#define REGS_RSI  104
#define REGS_RDI  112
#define REGS_RIP  128

#endif
