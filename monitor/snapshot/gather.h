/*
 * All of a stopped VM but its memory, as records for a snapshot's state.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_GATHER_H
#define SAMARA_MONITOR_SNAPSHOT_GATHER_H

#include "monitor/vm.h"

/* Records one after the other, each behind a struct record_head, padded to 8. Of fixed size, since
 * a confined monitor can take no more memory. */
struct record_head {
    uint32_t kind, version;
    uint64_t size; /* bytes of the payload */
};

enum { RECORDS_BYTES = 512 << 10 };

struct record_buffer {
    size_t used;
    _Alignas(VM_PAGE) uint8_t bytes[RECORDS_BYTES];
};

/* In the vCPU thread, which stands, with the device lock. diff: names the snapshot that it grew
 * from. -1 with err. */
int snapshot_gather(struct vm *vm, bool diff, struct record_buffer *to, struct err *err);

/* The record at *at, which moves behind it; NULL at the end. The payload lies behind the head. */
const struct record_head *record_next(const struct record_buffer *from, size_t *at);

#endif
