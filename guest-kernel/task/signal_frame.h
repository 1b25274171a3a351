/*
 * What a handler finds on its stack, and sigreturn takes back (x86-64 ABI of Linux:
 * arch/x86/include/asm/sigframe.h, uapi/asm/{sigcontext,ucontext}.h):
 *
 *   higher   red zone of the interrupted code (128 bytes)
 *            FPU image, 64-aligned; XSAVE format with a 4-byte end mark, or FXSAVE
 *            siginfo
 *            ucontext: flags, altstack, registers, mask
 *   lower    return address (sa_restorer); RSP + 8 is 16-aligned here
 *
 * Pure computation on memory the caller has prepared.
 */
#ifndef GUEST_KERNEL_TASK_SIGNAL_FRAME_H
#define GUEST_KERNEL_TASK_SIGNAL_FRAME_H

#include "guest-kernel/arch/regs.h"
#include "guest-kernel/task/signal.h"

struct sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    u16 cs, gs, fs, ss;
    u64 err, trapno, oldmask, cr2;
    u64 fpstate; /* program address of the FPU image, 0 for none */
    u64 reserved[8];
};
_Static_assert(sizeof(struct sigcontext) == 256, "sigcontext_64");

struct ucontext {
    u64 flags;
    u64 link;
    struct sigstack stack;
    struct sigcontext context;
    sigset mask;
};
_Static_assert(offsetof(struct ucontext, mask) == 296, "ucontext");

struct signal_frame {
    u64 return_address;
    struct ucontext uc;
    struct siginfo info;
};
_Static_assert(offsetof(struct signal_frame, info) == 312, "rt_sigframe");

enum {
    UC_FP_XSTATE = 1,
    UC_SIGCONTEXT_SS = 2,
    UC_STRICT_RESTORE_SS = 4,

    FRAME_RED_ZONE = 128,
    FRAME_FPU_ALIGN = 64,
    FXSAVE_BYTES = 512,
    XSAVE_HEADER_BYTES = 64,
    FPU_SW_OFFSET = 464, /* struct fpu_sw_bytes in the FXSAVE area */
    FPU_END_MARK_BYTES = 4,
};

#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u

struct fpu_sw_bytes {
    u32 magic1;
    u32 extended_size; /* whole image with its end mark */
    u64 xfeatures;
    u32 xstate_size;
    u32 padding[7];
};
_Static_assert(sizeof(struct fpu_sw_bytes) == 48, "_fpx_sw_bytes");

struct signal_frame_place {
    u64 frame; /* address of struct signal_frame; RSP of the handler */
    u64 fpu;
    u64 end; /* of everything: prepare [frame, end) */
};

/* Where a frame goes below sp (already less the red zone, or the top of the alternate stack), with
 * an image of fpu_size bytes. False if it would pass zero. */
bool signal_frame_place(struct signal_frame_place *out, u64 sp, size_t fpu_size, u64 xfeatures);

/* Registers into a context and back. Of what comes back only the arithmetic flags are the
 * program's to choose; selectors are ours, and RIP must be below the window: false otherwise. */
void signal_context_save(struct sigcontext *context, const struct regs *regs);
bool signal_context_restore(const struct sigcontext *context, struct regs *regs);

/* Writes the marks around a saved image of size bytes by which the program knows its format. */
void signal_fpu_mark(void *image, size_t size, u64 xfeatures);

/*
 * Makes an image that the program may have changed safe to load: bits the processor would refuse
 * are cleared. has_xsave tells whether the program's image carried valid marks; without them only
 * the FXSAVE part counts and the rest is set to its initial state.
 */
void signal_fpu_sanitize(void *image, size_t size, u64 xfeatures, bool has_xsave);

/* True if the image's marks say it is an XSAVE image of exactly size bytes. */
bool signal_fpu_marked(const void *image, size_t size, u64 xfeatures);

#endif
