/* The processor's part of a thread: kernel stack, FPU state, segment bases. */
#ifndef GUEST_ARCH_THREAD_H
#define GUEST_ARCH_THREAD_H

#include "guest-kernel/arch/regs.h"
#include "guest-kernel/lib/base.h"

struct arch_thread {
    u64 kernel_rsp;    /* while it does not run */
    struct regs *regs; /* the program's registers, at the top of the kernel stack */
    void *fpu;         /* arch_fpu_size() bytes, 64-aligned; owned by the thread's creator */
    u64 fs_base;
    u64 gs_base;
};

/* Chooses XSAVE or FXSAVE and how FS is set. Once, before any thread exists. */
void arch_fpu_init(void);

/* Bytes of an FPU image, and the XSAVE features in it (0: FXSAVE). */
size_t arch_fpu_size(void);
u64 arch_xfeatures(void);

/* The registers' FPU state to and from memory (64-aligned). A restored image must be one of ours
 * or validated: the instruction faults on reserved bits. */
void arch_fpu_save_to(void *area);
void arch_fpu_restore_from(const void *area);

/* Unmasked exceptions that the registers hold, bits as in MXCSR: of SSE or of the x87. */
u32 arch_fpu_exceptions(bool simd);

/* Fills area with the state a new program starts with. */
void arch_fpu_clean(void *area);

/*
 * Prepares a thread whose kernel stack ends at stack_top (16-aligned). Its registers are zero but
 * for the selectors and flags; the first switch to it goes straight to the program. The caller has
 * set t->fpu and filled it.
 */
void arch_thread_init(struct arch_thread *t, void *stack_top);

/* Goes on with `to`; returns when somebody switches back to `from`. */
void arch_switch(struct arch_thread *from, struct arch_thread *to);

/* Makes t the running thread without saving the one before (boot only); never returns. */
_Noreturn void arch_start(struct arch_thread *t);

/* The running thread's segment bases. Setting refuses (false) an address in the window or a
 * non-canonical one. */
u64 arch_get_fs(void);
u64 arch_get_gs(void);
bool arch_set_fs_base(u64 base);
bool arch_set_gs_base(u64 base);

#endif
