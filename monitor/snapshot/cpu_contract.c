/* See cpu_contract.h. Leaves are those of Intel's and AMD's manuals (CPUID), and KVM's own. */
#include "monitor/snapshot/cpu_contract.h"

#include <string.h>

enum cpuid_register { EAX, EBX, ECX, EDX };
static const char *const register_names[] = {"EAX", "EBX", "ECX", "EDX"};

/* Each bit that was set has to be set. */
struct features {
    uint32_t leaf, subleaf;
    enum cpuid_register reg;
    uint32_t ignored; /* bits that say how things are, not what there is */
};

static const struct features features[] = {
    {0x1, 0, ECX, 1u << 27},                                                  /* OSXSAVE: of CR4 */
    {0x1, 0, EDX, 0},        {0x7, 0, EBX, 0},        {0x7, 0, ECX, 1u << 4}, /* OSPKE: of CR4 */
    {0x7, 0, EDX, 0},        {0x7, 1, EAX, 0},        {0x7, 1, EDX, 0},
    {0xd, 0, EAX, 0}, /* what XCR0 may have */
    {0xd, 0, EDX, 0},        {0xd, 1, EAX, 0},        {0x80000001, 0, ECX, 0},
    {0x80000001, 0, EDX, 0}, {0x80000007, 0, EDX, 0}, {0x80000008, 0, EBX, 0},
    {0x40000001, 0, EAX, 0}, /* KVM_CPUID_FEATURES */
};

static uint32_t value_of(const struct kvm_cpuid_entry2 *e, enum cpuid_register reg)
{
    const uint32_t values[] = {e->eax, e->ebx, e->ecx, e->edx};

    return values[reg];
}

static unsigned lowest_bit(uint32_t bits)
{
    return (unsigned)__builtin_ctz(bits);
}

static int check_features(const struct cpuid_table *then, const struct cpuid_table *now,
                          const struct features *f, struct err *err)
{
    const struct kvm_cpuid_entry2 *before = cpuid_find(then, f->leaf, f->subleaf);
    const struct kvm_cpuid_entry2 *here = cpuid_find(now, f->leaf, f->subleaf);
    uint32_t missing;

    if (!before)
        return 0;
    missing = value_of(before, f->reg) & ~(here ? value_of(here, f->reg) : 0) & ~f->ignored;
    if (missing == 0)
        return 0;
    return err_set(err,
                   "another processor: CPUID leaf 0x%x.%u %s bit %u was set where the snapshot was "
                   "taken and is not here",
                   f->leaf, f->subleaf, register_names[f->reg], lowest_bit(missing));
}

static void vendor_of(const struct cpuid_table *t, char to[13])
{
    const struct kvm_cpuid_entry2 *e = cpuid_find(t, 0, 0);

    memset(to, 0, 13);
    if (!e)
        return;
    memcpy(to, &e->ebx, 4);
    memcpy(to + 4, &e->edx, 4);
    memcpy(to + 8, &e->ecx, 4);
    for (unsigned i = 0; i < 12; i++)
        to[i] = to[i] >= ' ' && to[i] <= '~' ? to[i] : '?';
}

/* The places of registers in XSAVE's area: it is kept as it lies. */
static int check_layout(const struct cpuid_table *then, const struct cpuid_table *now,
                        struct err *err)
{
    for (uint32_t i = 0; i < then->head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &then->entries[i], *here;

        if (e->function != 0xd || e->index < 2 || e->eax == 0)
            continue;
        here = cpuid_find(now, 0xd, e->index);
        if (!here || here->eax != e->eax || here->ebx != e->ebx)
            return err_set(err,
                           "another processor: CPUID leaf 0xd.%u: the state lies elsewhere in "
                           "XSAVE's area",
                           e->index);
    }
    return 0;
}

int cpu_contract_check(const struct cpuid_table *then, const struct cpuid_table *now,
                       struct err *err)
{
    char before[13], here[13];

    vendor_of(then, before);
    vendor_of(now, here);
    if (strcmp(before, here) != 0)
        return err_set(err,
                       "another processor: the snapshot was taken on one of %s, this is one of %s "
                       "(CPUID leaf 0x0)",
                       before, here);
    for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (check_features(then, now, &features[i], err) != 0)
            return -1;
    }
    return check_layout(then, now, err);
}
