/*
 * May a guest that has seen one processor go on upon another? Only if that has all that the first
 * one had: a guest asks once what there is and relies on it.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_CPU_CONTRACT_H
#define SAMARA_MONITOR_SNAPSHOT_CPU_CONTRACT_H

#include "monitor/cpuid.h"

/* then: what the guest was given; now: what this host's KVM can give. -1 with err, which names the
 * first difference: leaf, register, bit. */
int cpu_contract_check(const struct cpuid_table *then, const struct cpuid_table *now,
                       struct err *err);

#endif
