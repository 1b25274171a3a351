/* Threads as the processor sees them; see thread.h. */
#include "guest-kernel/arch/thread.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/cpu.h"
#include "guest-kernel/arch/gate.h"
#include "guest-kernel/lib/string.h"

enum {
    FXSAVE_SIZE = 512,
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
    CPUID1_OSXSAVE = 1 << 27, /* ecx */
    CPUID7_FSGSBASE = 1 << 0, /* ebx */
};

extern u64 cpu_stack_top;
void switch_stack(u64 *save_rsp, u64 new_rsp);
void way_out(void);

static u64 xfeatures;
static size_t fpu_size = FXSAVE_SIZE;
static bool has_fsgsbase;
static u64 fs_shadow, gs_shadow; /* without FSGSBASE the bases cannot be read in ring 3 */

static u64 xgetbv0(void)
{
    u32 low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (u64)high << 32 | low;
}

void arch_fpu_init(void)
{
    if (cpuid(1, 0).ecx & CPUID1_OSXSAVE) {
        xfeatures = xgetbv0();
        fpu_size = cpuid(0xd, 0).ebx;
    }
    if (cpuid(0, 0).eax >= 7)
        has_fsgsbase = cpuid(7, 0).ebx & CPUID7_FSGSBASE;
}

size_t arch_fpu_size(void)
{
    return fpu_size;
}

u64 arch_xfeatures(void)
{
    return xfeatures;
}

void arch_fpu_save_to(void *area)
{
    if (xfeatures)
        __asm__ volatile("xsave64 (%0)"
                         :
                         : "r"(area), "a"((u32)xfeatures), "d"((u32)(xfeatures >> 32))
                         : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void arch_fpu_restore_from(const void *area)
{
    if (xfeatures)
        __asm__ volatile("xrstor64 (%0)"
                         :
                         : "r"(area), "a"((u32)xfeatures), "d"((u32)(xfeatures >> 32))
                         : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

u32 arch_fpu_exceptions(bool simd)
{
    enum { MXCSR_MASKS = 7, ALL = 0x3f };
    u16 status, control;
    u32 mxcsr;

    if (simd) {
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        return mxcsr & ~(mxcsr >> MXCSR_MASKS) & ALL;
    }
    __asm__ volatile("fnstsw %0\n fnstcw %1" : "=m"(status), "=m"(control));
    return status & ~(u32)control & ALL;
}

void arch_fpu_clean(void *area)
{
    const u16 control = 0x37f; /* x87: all exceptions masked, extended precision */
    const u32 mxcsr = 0x1f80;  /* SSE: the same */

    memset(area, 0, fpu_size);
    memcpy(area, &control, sizeof(control));
    memcpy((u8 *)area + 24, &mxcsr, sizeof(mxcsr));
}

void arch_thread_init(struct arch_thread *t, void *stack_top)
{
    u64 *sp;

    t->regs = (struct regs *)stack_top - 1;
    *t->regs = (struct regs){
        .orig_rax = (u64)-1, .cs = SAMARA_SEL_USER_CS, .ss = SAMARA_SEL_USER_DS, .rflags = 0x202};
    sp = (u64 *)(void *)t->regs;
    *--sp = (u64)(uintptr_t)way_out; /* where switch_stack's ret goes */
    sp -= 6;                         /* the registers it pops: way_out does not look at them */
    memset(sp, 0, 6 * sizeof(*sp));
    t->kernel_rsp = (u64)(uintptr_t)sp;
}

static void set_base(u32 msr, u64 base)
{
    if (msr == MSR_FS_BASE)
        fs_shadow = base;
    else
        gs_shadow = base;
    if (!has_fsgsbase)
        gate_wrmsr(msr, base);
    else if (msr == MSR_FS_BASE)
        __asm__ volatile("wrfsbase %0" : : "r"(base));
    else
        __asm__ volatile("wrgsbase %0" : : "r"(base));
}

u64 arch_get_fs(void)
{
    u64 base = fs_shadow;

    if (has_fsgsbase)
        __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

u64 arch_get_gs(void)
{
    u64 base = gs_shadow;

    if (has_fsgsbase)
        __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

bool arch_set_fs_base(u64 base)
{
    if (base >= SAMARA_WINDOW)
        return false;
    set_base(MSR_FS_BASE, base);
    return true;
}

bool arch_set_gs_base(u64 base)
{
    if (base >= SAMARA_WINDOW)
        return false;
    set_base(MSR_GS_BASE, base);
    return true;
}

static void load(struct arch_thread *t)
{
    cpu_stack_top = (u64)(uintptr_t)(t->regs + 1);
    arch_fpu_restore_from(t->fpu);
    if (t->fs_base != arch_get_fs())
        set_base(MSR_FS_BASE, t->fs_base);
    if (t->gs_base != arch_get_gs())
        set_base(MSR_GS_BASE, t->gs_base);
}

void arch_switch(struct arch_thread *from, struct arch_thread *to)
{
    arch_fpu_save_to(from->fpu);
    from->fs_base = arch_get_fs();
    from->gs_base = arch_get_gs();
    load(to);
    switch_stack(&from->kernel_rsp, to->kernel_rsp);
}

_Noreturn void arch_start(struct arch_thread *t)
{
    u64 boot_rsp;

    load(t);
    switch_stack(&boot_rsp, t->kernel_rsp);
    __builtin_unreachable();
}
