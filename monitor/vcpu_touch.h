/*
 * Has a vCPU reach pages before the guest runs, so that KVM has mapped them by then: KVM maps for
 * page tables of the guest's own only what the guest reaches. It runs a routine of the guest
 * kernel's (abi/platform.h, `touch`), with no interrupts; whatever else comes of that, or if it
 * is no such routine, is the end of it, and reaches no device.
 */
#ifndef SAMARA_MONITOR_VCPU_TOUCH_H
#define SAMARA_MONITOR_VCPU_TOUCH_H

#include "monitor/vcpu.h"
#include "monitor/vcpu_saved.h"

/* In the vCPU thread: `saved` is what was loaded, of a clone that has not run. -1 with err. */
int vcpu_touch_begin(struct vcpu *v, const struct vcpu_saved *saved, struct err *err);

/* From that address on. False: it did not come to an end, or was kicked; no further ones then. */
bool vcpu_touch(struct vcpu *v, uint64_t routine, uint64_t address, uint64_t pages, bool write);

/* All as it was. -1 with err. */
int vcpu_touch_end(struct vcpu *v, const struct vcpu_saved *saved, struct err *err);

#endif
