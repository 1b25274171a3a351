/* Waiting for readiness: what poll, select and epoll share. */
#ifndef SAMARA_GUEST_FS_POLL_H
#define SAMARA_GUEST_FS_POLL_H

#include "guest-kernel/lib/base.h"

#define NS_PER_MS 1000000ul

/* How many are ready, noting them in set; negative: an error that ends the wait. */
typedef long (*scan_fn)(void *set);

/* timeout_ns UINT64_MAX: no limit. Ready files, 0 when the time is over, or -errno. */
long poll_until_ready(scan_fn scan, void *set, u64 timeout_ns);

/* Time-out arguments: in milliseconds, negative for none; or a timespec, 0 for none. */
u64 poll_timeout_ms(int ms);
long poll_timeout_timespec(u64 address, u64 *timeout);

/* A signal mask for the time of a call, from a pointer that may be 0. */
long poll_mask_begin(u64 address, u64 size);
void poll_mask_end(u64 address, long result);

#endif
