/*
 * A clone goes back to the snapshot that it grew from, in place: only pages that have changed since
 * are dropped, what was mapped lies beneath them. Nothing of what the guest was told or said since
 * stays, in its memory, on its disks, in devices or here; it wakes as somebody else.
 *
 * The first time the page tables say what has changed, and from then on KVM's dirty log does.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_RESET_H
#define SAMARA_MONITOR_SNAPSHOT_RESET_H

#include <stdbool.h>

#include "monitor/control_proto.h"
#include "monitor/err.h"

struct vm;

struct reset {
    struct vm *vm;
    bool logs;      /* since the last time, without a gap */
    uint64_t pages; /* that were dropped the last time */
};

/* While the guest stands, in the vCPU thread, with the device lock, which is released while disks
 * are waited for. -1 with err: the VM is of no use any more. */
int reset_vm(struct reset *r, const struct control_reset *who, struct err *err);

#endif
