/* All of a vCPU goes into another one. */
#include "monitor/vcpu_saved.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor/snapshot/records.h"

enum { TSC = 0x10, TSC_DEADLINE = 0x6e0, LSTAR = 0xc0000082, LVT_TIMER = 0x320 };

static struct err err;

/* --- MSRs, without any KVM --- */

Test(vcpu_saved, msrs_that_are_kept_are_taken)
{
    const struct kvm_msr_entry entries[] = {{.index = LSTAR, .reserved = 7, .data = 5},
                                            {.index = TSC, .data = 6}};
    struct vcpu_msrs to;

    memset(&to, 0xff, sizeof(to));
    cr_assert_eq(vcpu_take_msrs(&to, entries, 2, &err), 0);
    cr_assert_eq(to.head.nmsrs, 2);
    cr_assert_eq(to.entries[0].index, LSTAR);
    cr_assert_eq(to.entries[0].data, 5);
    cr_assert_eq(to.entries[0].reserved, 0);
    cr_assert_eq(to.entries[1].data, 6);
}

Test(vcpu_saved, msrs_that_are_none_of_a_snapshots_are_refused)
{
    const struct kvm_msr_entry entries[] = {{.index = TSC}, {.index = 0x1b, .data = 1}};
    struct vcpu_msrs to;

    cr_assert_eq(vcpu_take_msrs(&to, entries, 2, &err), -1);
    cr_assert_str_eq(err.text, "MSR 0x1b is none of a snapshot's");
}

Test(vcpu_saved, more_msrs_than_places_are_refused)
{
    static struct kvm_msr_entry entries[VCPU_MSRS + 1];
    struct vcpu_msrs to;

    for (unsigned i = 0; i <= VCPU_MSRS; i++)
        entries[i].index = TSC;
    cr_assert_eq(vcpu_take_msrs(&to, entries, VCPU_MSRS, &err), 0);
    cr_assert_eq(vcpu_take_msrs(&to, entries, VCPU_MSRS + 1, &err), -1);
    cr_assert_str_eq(err.text, "33 MSRs: not more than 32");
}

/* --- upon KVM --- */

struct machine {
    int kvm, fd;
    struct vcpu vcpu;
};

static bool machine_open(struct machine *m)
{
    static struct cpuid_table cpuid;
    struct cpuid_cache cache = CPUID_CACHE_NONE;
    const struct vcpu_start start = {.rip = 0x1000, .rsp = 0x2000, .cr3 = 0x3000};
    struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};

    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (m->kvm < 0)
        return false;
    m->vcpu = (struct vcpu)VCPU_CLOSED;
    m->fd = ioctl(m->kvm, KVM_CREATE_VM, 0L);
    cr_assert_geq(m->fd, 0);
    cr_assert_eq(ioctl(m->fd, KVM_ENABLE_CAP, &split), 0);
    cr_assert_eq(cpuid_load(&cpuid, m->kvm, &cache, &err), 0, "%s", err.text);
    cr_assert_eq(vcpu_create(&m->vcpu, m->kvm, m->fd, &err), 0, "%s", err.text);
    cr_assert_eq(vcpu_set_features(&m->vcpu, m->kvm, &cpuid, 0x1000, &err), 0, "%s", err.text);
    cr_assert_eq(vcpu_set_start(&m->vcpu, m->kvm, &cpuid, &start, &err), 0, "%s", err.text);
    return true;
}

static void machine_close(struct machine *m)
{
    vcpu_close(&m->vcpu);
    close(m->fd);
    close(m->kvm);
}

static uint64_t *msr(struct vcpu_saved *s, uint32_t index)
{
    for (unsigned i = 0; i < s->msrs.head.nmsrs; i++) {
        if (s->msrs.entries[i].index == index)
            return (uint64_t *)&s->msrs.entries[i].data;
    }
    cr_assert_fail("no MSR 0x%x", index);
    return NULL;
}

static void change_xsave(struct vcpu_saved *s)
{
    uint8_t *area = (uint8_t *)s->xsave.region;
    const uint64_t components = 7; /* x87, SSE, AVX: XCR0 has them where this runs */
    const uint32_t mxcsr = 0x5f80;

    for (unsigned i = 32; i < 160; i++)
        area[i] = i % 16 < 10 ? (uint8_t)(i * 3) : 0; /* 80 bits of each */
    for (unsigned i = 160; i < 416; i++)
        area[i] = (uint8_t)(i * 5);
    memcpy(area + 24, &mxcsr, sizeof(mxcsr));
    memcpy(area + 512, &components, sizeof(components));
    for (unsigned i = 576; i < 832; i++)
        area[i] = (uint8_t)(i * 7);
}

/* As a guest might have left it. */
static void change_all(struct vcpu_saved *s)
{
    uint64_t *gpr = (uint64_t *)&s->regs;
    uint32_t timer = 0x40000 | 0x55; /* by the deadline */

    for (unsigned i = 0; i < 16; i++)
        gpr[i] = 0x1111 * (i + 1);
    s->sregs.fs.base = 0x7fff12345000;
    s->sregs.gs.base = 0x123456789000;
    change_xsave(s);
    for (unsigned i = 0; i < 4; i++)
        s->debugregs.db[i] = 0x5000 + i * 8;
    memcpy(s->lapic.regs + LVT_TIMER, &timer, sizeof(timer));
    *msr(s, LSTAR) = 0xffffffff81000000;
    *msr(s, 0xc0000102) = 0x777000;
    *msr(s, TSC_DEADLINE) = *msr(s, TSC) + (UINT64_C(1) << 40);
}

static void assert_same(const struct vcpu_saved *a, const struct vcpu_saved *b)
{
    for (unsigned i = 0; i < VCPU_PARTS; i++) {
        const struct vcpu_part *p = &vcpu_parts[i];

        if (p->record != RECORD_MSRS)
            cr_assert_arr_eq((const uint8_t *)a + p->offset, (const uint8_t *)b + p->offset,
                             p->size, "record %u", p->record);
    }
    cr_assert_eq(a->msrs.head.nmsrs, b->msrs.head.nmsrs);
    for (unsigned i = 0; i < a->msrs.head.nmsrs; i++) {
        const struct kvm_msr_entry *m = &a->msrs.entries[i];

        cr_assert_eq(m->index, b->msrs.entries[i].index);
        if (m->index != TSC && m->index != TSC_DEADLINE && m->index != 0x3b)
            cr_assert_eq(m->data, b->msrs.entries[i].data, "MSR 0x%x", m->index);
    }
}

Test(vcpu_saved, all_of_it_goes_into_another_one)
{
    static struct vcpu_saved first, second, third;
    struct machine a, b;
    uint64_t left;

    if (!machine_open(&a)) {
        fprintf(stderr, "!!! no /dev/kvm: that a vCPU is saved and loaded is not tested\n");
        cr_skip_test();
    }
    cr_assert(machine_open(&b));
    cr_assert_eq(vcpu_save(&a.vcpu, &first, &err), 0, "%s", err.text);
    change_all(&first);
    cr_assert_eq(vcpu_load(&a.vcpu, &first, 0, &err), 0, "%s", err.text);
    cr_assert_eq(vcpu_save(&a.vcpu, &second, &err), 0, "%s", err.text);
    cr_assert_eq(second.sregs.fs.base, 0x7fff12345000);
    cr_assert_eq(second.debugregs.db[3], 0x5018);
    cr_assert_arr_eq((uint8_t *)second.xsave.region + 160, (uint8_t *)first.xsave.region + 160,
                     256);
    cr_assert_eq(vcpu_load(&b.vcpu, &second, 0, &err), 0, "%s", err.text);
    cr_assert_eq(vcpu_save(&b.vcpu, &third, &err), 0, "%s", err.text);
    assert_same(&second, &third);
    left = *msr(&third, TSC_DEADLINE) - *msr(&third, TSC);
    cr_assert_leq(left, UINT64_C(1) << 40, "no more than was left");
    cr_assert_geq(left, UINT64_C(1) << 39, "and not all of it gone");
    cr_assert_eq(vcpu_load(&b.vcpu, &second, (UINT64_C(1) << 40) - (UINT64_C(1) << 38), &err), 0);
    cr_assert_eq(vcpu_save(&b.vcpu, &third, &err), 0, "%s", err.text);
    left = *msr(&third, TSC_DEADLINE) - *msr(&third, TSC);
    cr_assert_leq(left, UINT64_C(1) << 38, "the rest has passed");
    cr_assert_geq(left, UINT64_C(1) << 37, "and not more");
    machine_close(&a);
    machine_close(&b);
}
