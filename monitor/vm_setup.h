/*
 * The parts of which a VM comes about, for vm_create.c.
 */
#ifndef SAMARA_MONITOR_VM_SETUP_H
#define SAMARA_MONITOR_VM_SETUP_H

#include "monitor/vm.h"

/* In the monitor: waits for what vm_pass gives. -1 with err, empty if the keeper has said why. */
int vm_receive(struct vm *vm, struct err *err);

/* How many descriptors at most are open in the monitor while those with a role get their numbers.
 */
unsigned vm_count_descriptors(const struct vm_config *config);

/* Descriptors 0 and 1 become /dev/null: the streams have their own, and what the program closes
 * must be closed, in both processes. Standard error stays: it is ours too. */
int vm_use_null(struct vm_opened *o, struct err *err);

void vm_close_cgroups(struct vm *vm);

/* Network interfaces (vm_nets.c): the keeper opens them, and in the end closes what it started; the
 * monitor makes devices of them, and frees these. */
int vm_open_nets(struct vm *vm, struct err *err);
void vm_close_peers(struct vm *vm);
int vm_add_nets(struct vm *vm, struct err *err);
void vm_free_nets(struct vm *vm);

/* virtio_host's log. */
void vm_log_line(void *ctx, const char *line);

/* RAM, which both sides start from. All return -1 with err. */
int vm_map_memory(struct vm *vm, struct err *err);

/* What other steps depend on: CPUID (from our own directory's cache); the program and the kernel's
 * note, which strangers have written. Then the loop and the devices. */
int vm_load_cpuid(struct vm *vm, struct err *err);
int vm_open_pagemap(struct vm *vm, struct err *err);
int vm_check_files(struct vm *vm, struct err *err);
int vm_make_devices(struct vm *vm, struct err *err);

/* KVM's VM, memslots, interrupt controller and vCPU; with the basis made, the vCPU's features and
 * what lies in memory; with the devices made, their queues, the platform page and the first
 * instruction. */
int vm_make_machine(struct vm *vm, struct err *err);
int vm_set_features(struct vm *vm, struct err *err);
int vm_load_memory(struct vm *vm, struct err *err);
int vm_set_start(struct vm *vm, struct err *err);

/* The platform page of a clone: another individual, at another time. who NULL: made up here, which
 * a confined monitor cannot. -1 with err. */
int vm_renew_platform(struct vm *vm, const struct control_reset *who, struct err *err);

/* Returns when the thread that asks KVM has ended. */
void vm_await_machine(struct vm *vm);

/* The loop can go no further. */
void vm_loop_failed(struct vm *vm, const struct err *err);

/* What to add to kvmclock to get CLOCK_MONOTONIC, as far as two calls in a row can tell. */
int64_t vm_clock_offset(const struct vm *vm);

#endif
