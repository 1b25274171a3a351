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

/* All that the answer depends on. */
struct cpuid_key {
    char boot_id[36];
    uint32_t processor; /* family, model, stepping */
    char release[64];
    uint64_t device;    /* /dev/kvm's inode */
    uint64_t device_ns; /* and its last change */
};

/* Where the answer is kept. */
struct cpuid_cache {
    int dir, file; /* for making a new file, for reading the one there is; -1: cannot */
    struct cpuid_key key;
};

#define CPUID_CACHE_NONE                                                                           \
    {                                                                                              \
        .dir = -1, .file = -1                                                                      \
    }

/* Looks for the file in the directory dir, which is handed over (-1: there is none). This is what
 * takes paths; all else does not. */
void cpuid_cache_find(struct cpuid_cache *cache, int kvm, int dir);
void cpuid_cache_close(struct cpuid_cache *cache);

/* Fills the table from the cache's file, or from KVM, and then makes the file. -1 with err if KVM
 * will not say. */
int cpuid_load(struct cpuid_table *table, int kvm, const struct cpuid_cache *cache,
               struct err *err);

/* The entry for leaf and subleaf, or NULL. */
const struct kvm_cpuid_entry2 *cpuid_find(const struct cpuid_table *table, uint32_t leaf,
                                          uint32_t subleaf);

#endif
