/*
 * Guest RAM as at most two regions of host memory (below and above the device hole), reached by
 * copy only. The guest changes it at any moment: copy once, check the copy, use the copy.
 *
 * The host mappings belong to whoever added them and must outlive the struct. No lock for regions:
 * they are added before the guest runs and never change.
 */
#ifndef SAMARA_MONITOR_GUEST_MEM_H
#define SAMARA_MONITOR_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/memory_map.h"
#include "monitor/err.h"

#define GUEST_REGIONS 2

/* A guest-physical address; a struct so that nobody adds to it or dereferences it by accident. */
typedef struct {
    uint64_t value;
} gpa_t;

static inline gpa_t gpa(uint64_t value)
{
    return (gpa_t){value};
}

/* Of `ram` bytes, those below the device hole; the rest begins at SAMARA_RAM_HIGH_BASE. */
static inline uint64_t ram_below_hole(uint64_t ram)
{
    return ram < SAMARA_RAM_LOW_END ? ram : SAMARA_RAM_LOW_END;
}

struct guest_region {
    uint64_t gpa;
    uint64_t size;
    uint8_t *host;
};

struct guest_mem {
    unsigned count;
    struct guest_region regions[GUEST_REGIONS];
    /* Pages that the host has written, a bit each, counted over all regions in order: what KVM's
     * dirty log does not have. NULL: nobody wants to know. Under the device lock. */
    uint64_t *written;
};

/* Adds a region. Fails (-1) when it is empty, wraps, overlaps another or is one too many. */
int guest_mem_add(struct guest_mem *mem, uint64_t at, uint64_t size, void *host, struct err *err);

/* True if [at, at + len) lies in one region. len may be 0. */
bool guest_contains(const struct guest_mem *mem, gpa_t at, uint64_t len);

/* Copy out of and into guest memory. False, and nothing copied, if the range is not RAM. The copy
 * that guest_read makes is final: the compiler cannot read the guest's memory again. */
bool guest_read(const struct guest_mem *mem, gpa_t at, void *to, size_t len);
bool guest_write(const struct guest_mem *mem, gpa_t at, const void *from, size_t len);

/* Whoever writes by other means says so afterwards: [host, host + len) lies in one region. */
void guest_mem_wrote(const struct guest_mem *mem, const void *host, size_t len);

/* Atomic or of a naturally aligned 64-bit word, for mailboxes that the guest takes by exchange.
 * *before is what was there. False if it is not RAM or not aligned. */
bool guest_or64(const struct guest_mem *mem, gpa_t at, uint64_t bits, uint64_t *before);

#endif
