/*
 * How a VM comes about, for vm.c. The machine is what KVM makes: it waits a good part of its time
 * (for RCU, for other processors). The contents are what the guest finds in it. Neither needs much
 * of the other, so two threads make them at once.
 */
#ifndef SAMARA_MONITOR_VM_SETUP_H
#define SAMARA_MONITOR_VM_SETUP_H

#include "monitor/vm.h"

/* Everything empty and closed, and who is called when. */
void vm_init(struct vm *vm, const struct vm_config *config);

void vm_close_cgroups(struct vm *vm);

/* RAM, which both sides start from. All return -1 with err. */
int vm_make_memory(struct vm *vm, struct err *err);

/* What other steps depend on: the program, the kernel's note, CPUID. Then all else: memory at the
 * first instruction, the loop and the devices. */
int vm_make_basis(struct vm *vm, struct err *err);
int vm_make_contents(struct vm *vm, struct err *err);

/* KVM's VM, memslots, interrupt controller and vCPU; with the basis made, the vCPU's features; with
 * the contents made, the platform page and the first instruction. */
int vm_make_machine(struct vm *vm, struct err *err);
int vm_set_features(struct vm *vm, struct err *err);
int vm_set_start(struct vm *vm, struct err *err);

/* What to add to kvmclock to get CLOCK_MONOTONIC, as far as two calls in a row can tell. */
int64_t vm_clock_offset(const struct vm *vm);

#endif
