/* See signal_frame.h. */
#include "guest-kernel/task/signal_frame.h"
#include "abi/memory_map.h"
#include "guest-kernel/lib/string.h"

enum {
    MXCSR_OFFSET = 24,
    MXCSR_MASK = 0xffff,
    /* CF PF AF ZF SF TF DF OF RF AC: what Linux lets sigreturn change (FIX_EFLAGS). */
    FLAGS_OF_PROGRAM = 0x50dd5,
    FLAGS_FIXED = 0x202, /* IF and the bit that is always one */
};

bool signal_frame_place(struct signal_frame_place *out, u64 sp, size_t fpu_size, u64 xfeatures)
{
    size_t image = fpu_size + (xfeatures ? FPU_END_MARK_BYTES : 0);

    if (sp < image + sizeof(struct signal_frame) + FRAME_FPU_ALIGN + 16)
        return false;
    out->fpu = (sp - image) & ~(u64)(FRAME_FPU_ALIGN - 1);
    out->end = out->fpu + image;
    out->frame = ((out->fpu - sizeof(struct signal_frame)) & ~15ull) - 8;
    return true;
}

void signal_context_save(struct sigcontext *context, const struct regs *regs)
{
    *context = (struct sigcontext){.r8 = regs->r8,
                                   .r9 = regs->r9,
                                   .r10 = regs->r10,
                                   .r11 = regs->r11,
                                   .r12 = regs->r12,
                                   .r13 = regs->r13,
                                   .r14 = regs->r14,
                                   .r15 = regs->r15,
                                   .rdi = regs->rdi,
                                   .rsi = regs->rsi,
                                   .rbp = regs->rbp,
                                   .rbx = regs->rbx,
                                   .rdx = regs->rdx,
                                   .rax = regs->rax,
                                   .rcx = regs->rcx,
                                   .rsp = regs->rsp,
                                   .rip = regs->rip,
                                   .rflags = regs->rflags,
                                   .cs = SAMARA_SEL_USER_CS,
                                   .ss = SAMARA_SEL_USER_DS};
}

bool signal_context_restore(const struct sigcontext *context, struct regs *regs)
{
    if (context->rip >= SAMARA_WINDOW)
        return false;
    *regs = (struct regs){.r8 = context->r8,
                          .r9 = context->r9,
                          .r10 = context->r10,
                          .r11 = context->r11,
                          .r12 = context->r12,
                          .r13 = context->r13,
                          .r14 = context->r14,
                          .r15 = context->r15,
                          .rdi = context->rdi,
                          .rsi = context->rsi,
                          .rbp = context->rbp,
                          .rbx = context->rbx,
                          .rdx = context->rdx,
                          .rax = context->rax,
                          .rcx = context->rcx,
                          .rsp = context->rsp,
                          .rip = context->rip,
                          .rflags = (context->rflags & FLAGS_OF_PROGRAM) | FLAGS_FIXED,
                          .cs = SAMARA_SEL_USER_CS,
                          .ss = SAMARA_SEL_USER_DS,
                          .orig_rax = UINT64_MAX};
    return true;
}

void signal_fpu_mark(void *image, size_t size, u64 xfeatures)
{
    const struct fpu_sw_bytes sw = {.magic1 = FP_XSTATE_MAGIC1,
                                    .extended_size = (u32)size + FPU_END_MARK_BYTES,
                                    .xfeatures = xfeatures,
                                    .xstate_size = (u32)size};
    const u32 end = FP_XSTATE_MAGIC2;

    if (!xfeatures) {
        memset((u8 *)image + FPU_SW_OFFSET, 0, sizeof(sw));
        return;
    }
    memcpy((u8 *)image + FPU_SW_OFFSET, &sw, sizeof(sw));
    memcpy((u8 *)image + size, &end, sizeof(end));
}

bool signal_fpu_marked(const void *image, size_t size, u64 xfeatures)
{
    struct fpu_sw_bytes sw;

    if (!xfeatures)
        return false;
    memcpy(&sw, (const u8 *)image + FPU_SW_OFFSET, sizeof(sw));
    return sw.magic1 == FP_XSTATE_MAGIC1 && sw.xstate_size == size &&
           sw.extended_size == size + FPU_END_MARK_BYTES;
}

void signal_fpu_sanitize(void *image, size_t size, u64 xfeatures, bool has_xsave)
{
    const u64 fpu_and_sse = 3;
    u64 *header = (u64 *)(void *)((u8 *)image + FXSAVE_BYTES);
    u32 mxcsr;

    memcpy(&mxcsr, (u8 *)image + MXCSR_OFFSET, sizeof(mxcsr));
    mxcsr &= MXCSR_MASK;
    memcpy((u8 *)image + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    if (!xfeatures)
        return;
    if (!has_xsave)
        memset(header, 0, size - FXSAVE_BYTES);
    header[0] = has_xsave ? header[0] & xfeatures : fpu_and_sse;
    memset(header + 1, 0, XSAVE_HEADER_BYTES - sizeof(*header));
}
