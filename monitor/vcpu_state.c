/*
 * The vCPU's registers before its first instruction: 64-bit ring 3 with everything on
 * (kernel_note.h), or 32-bit protected mode for a PVH kernel.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "abi/memory_map.h"
#include "monitor/kvm.h"
#include "monitor/vcpu.h"

enum {
    CR0_PAGED = (int)0x80050033, /* PG, AM, WP, NE, ET, MP, PE */
    CR0_PVH = 0x11,              /* ET, PE */
    CR4_BASE = 0x620,            /* PAE, OSFXSR, OSXMMEXCPT */
    CR4_FSGSBASE = 1 << 16,
    CR4_OSXSAVE = 1 << 18,
    EFER_BITS = 0xd01,        /* SCE, LME, LMA, NXE */
    CPUID1_XSAVE = 1 << 26,   /* ecx */
    CPUID7_FSGSBASE = 1 << 0, /* ebx */
    XCR0_WANTED = 0xe7,       /* x87, SSE, AVX, AVX-512 */
    MSR_STAR = (int)0xc0000081,
    MSR_LSTAR = (int)0xc0000082,
    MSR_SFMASK = (int)0xc0000084,
    MSR_KVMCLOCK = 0x4b564d01,
    SFMASK_BITS = 0x47500, /* AC, NT, IOPL, DF, TF; never IF */
    APIC_ENABLED_BSP = 0x900,
};

static uint64_t xcr0_for(const struct cpuid_table *cpuid)
{
    const struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0xd, 0);

    return e ? e->eax & XCR0_WANTED : 3;
}

static bool has(const struct cpuid_table *cpuid, uint32_t leaf, bool ecx, uint32_t bit)
{
    const struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, leaf, 0);

    return e && ((ecx ? e->ecx : e->ebx) & bit);
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, uint8_t dpl, bool wide)
{
    return (struct kvm_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .dpl = dpl,
                                .db = !wide,
                                .s = 1,
                                .l = wide,
                                .g = 1};
}

static struct kvm_segment task_segment(uint64_t base, uint16_t selector)
{
    return (struct kvm_segment){
        .base = base, .limit = 0x67, .selector = selector, .type = 11, .present = 1};
}

void vcpu_ring3_code(struct kvm_sregs *s)
{
    s->cs = segment(SAMARA_SEL_USER_CS, 11, 3, true);
    s->ss = segment(SAMARA_SEL_USER_DS, 3, 3, false);
}

static void set_ring3(struct kvm_sregs *s, const struct vcpu_start *start, uint64_t cr4)
{
    const uint64_t tables = SAMARA_WINDOW + SAMARA_GPA_TABLES;

    vcpu_ring3_code(s);
    s->ds = s->es = s->fs = s->gs = s->ss;
    s->tr = task_segment(tables + SAMARA_TSS_OFFSET, SAMARA_SEL_TSS);
    s->gdt = (struct kvm_dtable){.base = tables, .limit = SAMARA_GDT_BYTES - 1};
    s->idt =
        (struct kvm_dtable){.base = tables + SAMARA_IDT_OFFSET, .limit = SAMARA_VECTORS * 16 - 1};
    s->cr0 = (uint32_t)CR0_PAGED;
    s->cr3 = start->cr3;
    s->cr4 = cr4;
    s->efer = EFER_BITS;
}

static void set_pvh(struct kvm_sregs *s)
{
    s->cs = segment(0x8, 11, 0, false);
    s->ss = s->ds = s->es = s->fs = s->gs = segment(0x10, 3, 0, false);
    s->tr = task_segment(0, 0);
    s->cr0 = CR0_PVH;
}

static struct kvm_sregs special_registers(const struct vcpu_start *start, uint64_t cr4)
{
    struct kvm_sregs s = {.ldt = {.unusable = 1}, .apic_base = SAMARA_GPA_LAPIC | APIC_ENABLED_BSP};

    if (start->pvh)
        set_pvh(&s);
    else
        set_ring3(&s, start, cr4);
    return s;
}

static struct kvm_regs registers(const struct vcpu_start *start)
{
    return (struct kvm_regs){.rip = start->rip,
                             .rsp = start->rsp,
                             .rdi = start->rdi,
                             .rsi = start->rsi,
                             .rdx = start->rdx,
                             .rbx = start->start_info,
                             .rflags = start->pvh ? 0x2 : 0x202};
}

/* With KVM_CAP_SYNC_REGS the first KVM_RUN takes them along, which spares two calls of 5 us. */
static int set_registers(struct vcpu *v, int kvm, const struct kvm_regs *r,
                         const struct kvm_sregs *s, struct err *err)
{
    const int both = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;

    if ((kvm_capability(kvm, KVM_CAP_SYNC_REGS) & both) == both) {
        v->run->s.regs.regs = *r;
        v->run->s.regs.sregs = *s;
        v->run->kvm_dirty_regs = (uint64_t)both;
        return 0;
    }
    if (KVM_CALL(v->fd, KVM_SET_SREGS, (void *)(uintptr_t)s, err) < 0)
        return -1;
    return KVM_CALL(v->fd, KVM_SET_REGS, (void *)(uintptr_t)r, err);
}

static int set_msrs(struct vcpu *v, uint64_t syscall_entry, struct err *err)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry e[4];
    } m = {.head = {.nmsrs = 4},
           .e = {{.index = (uint32_t)MSR_STAR, .data = 0x0023001000000000},
                 {.index = (uint32_t)MSR_LSTAR, .data = syscall_entry},
                 {.index = (uint32_t)MSR_SFMASK, .data = SFMASK_BITS},
                 {.index = MSR_KVMCLOCK, .data = SAMARA_GPA_KVMCLOCK | 1}}};
    int set = KVM_CALL(v->fd, KVM_SET_MSRS, &m, err);

    if (set >= 0 && set < 4)
        return err_set(err, "KVM_SET_MSRS: KVM refuses MSR 0x%x", m.e[set].index);
    return set < 0 ? -1 : 0;
}

static int set_xcr0(struct vcpu *v, int kvm, const struct cpuid_table *cpuid, struct err *err)
{
    struct kvm_xcrs x = {.nr_xcrs = 1};

    if (kvm_capability(kvm, KVM_CAP_XCRS) <= 0)
        return 0;
    x.xcrs[0].value = xcr0_for(cpuid);
    return KVM_CALL(v->fd, KVM_SET_XCRS, &x, err);
}

static bool has_xsave(const struct cpuid_table *cpuid)
{
    return has(cpuid, 1, true, CPUID1_XSAVE);
}

int vcpu_set_features(struct vcpu *v, int kvm, const struct cpuid_table *cpuid,
                      uint64_t syscall_entry, struct err *err)
{
    if (KVM_CALL(v->fd, KVM_SET_CPUID2, (void *)(uintptr_t)cpuid, err) < 0)
        return -1;
    if (!syscall_entry)
        return 0;
    if (has_xsave(cpuid) && set_xcr0(v, kvm, cpuid, err) < 0)
        return -1;
    return set_msrs(v, syscall_entry, err);
}

int vcpu_set_start(struct vcpu *v, int kvm, const struct cpuid_table *cpuid,
                   const struct vcpu_start *start, struct err *err)
{
    uint64_t cr4 = CR4_BASE | (has_xsave(cpuid) ? CR4_OSXSAVE : 0) |
                   (has(cpuid, 7, false, CPUID7_FSGSBASE) ? CR4_FSGSBASE : 0);
    const struct kvm_sregs s = special_registers(start, cr4);
    const struct kvm_regs r = registers(start);

    return set_registers(v, kvm, &r, &s, err);
}
