/*
 * The guest's CPUID: what KVM supports. KVM_GET_SUPPORTED_CPUID takes 300 us, so the answer is kept
 * in a file of the user's own for as long as boot, kernel, processor and /dev/kvm stay the same.
 */
#ifndef SAMARA_MONITOR_CPUID_H
#define SAMARA_MONITOR_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "monitor/err.h"

#define CPUID_ENTRIES 256 /* KVM_MAX_CPUID_ENTRIES: more it never has */

struct cpuid_table {
    struct kvm_cpuid2 head; /* nent entries follow; laid out for KVM_SET_CPUID2 */
    struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
};

/* Fills the table from the file in the directory dir, or from KVM and then the file; dir -1: from
 * KVM. -1 with err if KVM will not say. */
int cpuid_load(struct cpuid_table *table, int kvm, int dir, struct err *err);

/* The entry for leaf and subleaf, or NULL. */
const struct kvm_cpuid_entry2 *cpuid_find(const struct cpuid_table *table, uint32_t leaf,
                                          uint32_t subleaf);

#endif
