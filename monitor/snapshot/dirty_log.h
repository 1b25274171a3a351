/*
 * Which pages have changed: KVM's log has what the guest wrote, guest_mem what the monitor did
 * (Documentation/virt/kvm/api.rst, 4.8 and 4.117). Pages are numbered as RAM lies, without the
 * device hole; bitmaps have a bit for each.
 *
 * At the start all pages count as changed, and none is protected: that costs the guest nothing.
 * Each is protected as it is cleared, before whoever copies it looks at it.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_DIRTY_LOG_H
#define SAMARA_MONITOR_SNAPSHOT_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/err.h"

struct vm;

enum { DIRTY_GRAIN = 64 }; /* pages */

/* At set-up, before any log: true if this KVM can do it. */
bool dirty_log_offered(const struct vm *vm);

/* All below want the device lock; `written` is for the monitor's own writes. -1 with err. */
int dirty_log_start(struct vm *vm, uint64_t *written, struct err *err);

/* KVM forgets which pages it has mapped, and what it knows of the guest's page tables. If there is
 * a log, all pages count as changed. The guest does not run. */
int dirty_log_renew(struct vm *vm, struct err *err);

void dirty_log_stop(struct vm *vm);

/* Sets in `bits` what has changed since it was cleared; the rest becomes 0. */
int dirty_log_read(struct vm *vm, uint64_t *bits, struct err *err);

/* Clears the monitor's own, all of it. */
void dirty_log_clear_written(struct vm *vm);

/* Clears KVM's for the pages that `bits` has among [first, first + pages): multiples of
 * DIRTY_GRAIN, but for the end of RAM, and all below or all above the device hole. bits begins with
 * page `first`. */
int dirty_log_clear(struct vm *vm, uint64_t first, uint64_t pages, const uint64_t *bits,
                    struct err *err);

#endif
