/*
 * All that a stopped vCPU is, for a snapshot: KVM's own structures, one after the other, as
 * Documentation/virt/kvm/api.rst has them. Each part is a record of the state file.
 */
#ifndef SAMARA_MONITOR_VCPU_SAVED_H
#define SAMARA_MONITOR_VCPU_SAVED_H

#include <stddef.h>

#include "monitor/vcpu.h"

enum { VCPU_MSRS = 32, VCPU_PARTS = 9 };

struct vcpu_msrs {
    struct kvm_msrs head;
    struct kvm_msr_entry entries[VCPU_MSRS];
};

/* Its XCR0 has no more than what KVM_GET_XSAVE has room for. */
struct vcpu_saved {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;
    struct vcpu_msrs msrs; /* those that this KVM knows */
    struct kvm_vcpu_events events;
    struct kvm_lapic_state lapic;
    struct kvm_debugregs debugregs;
    struct kvm_mp_state mp_state;
};

/* A part of it as bytes. */
struct vcpu_part {
    uint32_t record; /* enum snapshot_record_kind */
    size_t offset, size;
};
extern const struct vcpu_part vcpu_parts[VCPU_PARTS];

/* In the vCPU thread: the result of an access that the guest has made reaches its registers. */
int vcpu_complete_access(struct vcpu *v, struct err *err);

/* In the vCPU thread, which is outside of KVM_RUN; completes an access under way. -1 with err. */
int vcpu_save(struct vcpu *v, struct vcpu_saved *to, struct err *err);

/* A new vCPU with its features set becomes that one. What was left until a timer of the local
 * APIC's (TSC deadline) is so many ticks less. -1 with err. */
int vcpu_load(struct vcpu *v, const struct vcpu_saved *from, uint64_t passed, struct err *err);

/* Of one that was loaded and has not run since: what goes on by itself is put back. -1 with err. */
int vcpu_load_time(struct vcpu *v, const struct vcpu_saved *from, uint64_t passed, struct err *err);

/* Puts the kept MSRs into `to`, or says which is none that is ever kept. -1 with err. */
int vcpu_take_msrs(struct vcpu_msrs *to, const struct kvm_msr_entry *entries, size_t count,
                   struct err *err);

#endif
