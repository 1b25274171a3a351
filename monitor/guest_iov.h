/*
 * For devices/virtqueue.c alone: the host address of a guest range, so that data moves between
 * descriptors and files without a second copy. Whoever else needs guest memory copies.
 */
#ifndef SAMARA_MONITOR_GUEST_IOV_H
#define SAMARA_MONITOR_GUEST_IOV_H

#include "monitor/guest_mem.h"

/* NULL if [at, at + len) does not lie in one region. */
void *guest_iov(const struct guest_mem *mem, gpa_t at, uint64_t len);

#endif
