/* What a guest has seen of its processor has to be there. */
#include "monitor/snapshot/cpu_contract.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct cpuid_table then, now;
static struct err err;

static struct kvm_cpuid_entry2 *add(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
    struct kvm_cpuid_entry2 *e = &t->entries[t->head.nent++];

    *e = (struct kvm_cpuid_entry2){
        .function = leaf,
        .index = subleaf,
        .flags = leaf == 7 || leaf == 0xd ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0};
    return e;
}

static void add_vendor(struct cpuid_table *t, const char *text)
{
    struct kvm_cpuid_entry2 *e = add(t, 0, 0);

    memcpy(&e->ebx, text, 4);
    memcpy(&e->edx, text + 4, 4);
    memcpy(&e->ecx, text + 8, 4);
}

static void start(void)
{
    then.head.nent = now.head.nent = 0;
    add_vendor(&then, "GenuineIntel");
    add_vendor(&now, "GenuineIntel");
}

TestSuite(cpu_contract, .init = start);

static void assert_good(void)
{
    cr_assert_eq(cpu_contract_check(&then, &now, &err), 0, "%s", err.text);
}

static void assert_refused(const char *why)
{
    cr_assert_eq(cpu_contract_check(&then, &now, &err), -1, "%s", why);
    cr_assert_str_eq(err.text, why);
}

Test(cpu_contract, another_vendor_is_named)
{
    now.head.nent = 0;
    add_vendor(&now, "AuthenticAMD");
    assert_refused("another processor: the snapshot was taken on one of GenuineIntel, this is one "
                   "of AuthenticAMD (CPUID leaf 0x0)");
    then.head.nent = 0;
    add_vendor(&then, "\33[31mevil\nxy");
    assert_refused("another processor: the snapshot was taken on one of ?[31mevil?xy, this is one "
                   "of AuthenticAMD (CPUID leaf 0x0)");
}

static uint32_t *reg(struct kvm_cpuid_entry2 *e, unsigned i)
{
    return i == 0 ? &e->eax : i == 1 ? &e->ebx : i == 2 ? &e->ecx : &e->edx;
}

Test(cpu_contract, each_feature_that_is_missing_is_named)
{
    static const struct {
        uint32_t leaf, subleaf, reg;
    } all[] = {{1, 0, 2},          {1, 0, 3},          {7, 0, 1},          {7, 0, 2},
               {7, 0, 3},          {7, 1, 0},          {7, 1, 3},          {0xd, 0, 0},
               {0xd, 0, 3},        {0xd, 1, 0},        {0x80000001, 0, 2}, {0x80000001, 0, 3},
               {0x80000007, 0, 3}, {0x80000008, 0, 1}, {0x40000001, 0, 0}};
    static const char names[4][4] = {"EAX", "EBX", "ECX", "EDX"};
    char why[160];

    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            if (all[i].reg == 2 &&
                ((all[i].leaf == 1 && bit == 27) || (all[i].leaf == 7 && bit == 4)))
                continue; /* OSXSAVE, OSPKE */
            start();
            *reg(add(&then, all[i].leaf, all[i].subleaf), all[i].reg) = 1u << bit;
            *reg(add(&now, all[i].leaf, all[i].subleaf), all[i].reg) = ~(1u << bit);
            snprintf(why, sizeof(why),
                     "another processor: CPUID leaf 0x%x.%u %s bit %u was set where the snapshot "
                     "was taken and is not here",
                     all[i].leaf, all[i].subleaf, names[all[i].reg], bit);
            assert_refused(why);
            now.head.nent--; /* no such leaf at all */
            assert_refused(why);
            *reg(add(&now, all[i].leaf, all[i].subleaf), all[i].reg) = UINT32_MAX;
            assert_good(); /* more is no harm */
        }
    }
}

Test(cpu_contract, what_the_guests_own_registers_say_is_no_feature)
{
    add(&then, 1, 0)->ecx = 1u << 27;
    add(&then, 7, 0)->ecx = 1u << 4;
    add(&now, 1, 0);
    add(&now, 7, 0);
    assert_good();
}

Test(cpu_contract, the_layout_of_xsave_has_to_be_the_same)
{
    struct kvm_cpuid_entry2 *before = add(&then, 0xd, 2), *here = add(&now, 0xd, 2);

    before->eax = here->eax = 256;
    before->ebx = here->ebx = 576;
    assert_good();
    here->ebx = 832;
    assert_refused("another processor: CPUID leaf 0xd.2: the state lies elsewhere in XSAVE's area");
    here->ebx = 576;
    here->eax = 128;
    assert_refused("another processor: CPUID leaf 0xd.2: the state lies elsewhere in XSAVE's area");
    now.head.nent--;
    assert_refused("another processor: CPUID leaf 0xd.2: the state lies elsewhere in XSAVE's area");
    before->eax = 0; /* it had none */
    assert_good();
}
