/*
 * Finds the device behind a guest-physical address. A table, set up before the guest runs; an
 * access holds the device lock. Nobody there: reads give all ones, writes go nowhere, as on a real
 * bus.
 */
#ifndef SAMARA_MONITOR_MMIO_BUS_H
#define SAMARA_MONITOR_MMIO_BUS_H

#include <stdint.h>

#include "monitor/device_lock.h"
#include "monitor/err.h"

#define MMIO_BUS_REGIONS 16

/* offset + size never exceeds the region; size is 1, 2, 4 or 8. Alignment is the device's matter.
 */
struct mmio_ops {
    uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
    void (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);
};

struct mmio_region {
    uint64_t gpa;
    uint64_t size;
    const struct mmio_ops *ops;
    void *dev;
};

struct mmio_bus {
    struct device_lock *lock;
    unsigned count;
    struct mmio_region regions[MMIO_BUS_REGIONS];
};

void mmio_bus_init(struct mmio_bus *bus, struct device_lock *lock);

/* Fails (-1) when the range is empty, wraps, overlaps another or the table is full. `dev` stays the
 * caller's and must outlive the bus. */
int mmio_bus_add(struct mmio_bus *bus, uint64_t at, uint64_t size, const struct mmio_ops *ops,
                 void *dev, struct err *err);

/* One access of `len` bytes at `at`, data little-endian as in KVM's exit record. Odd lengths and
 * accesses that leave a region count as unmapped. */
void mmio_bus_read(struct mmio_bus *bus, uint64_t at, void *data, unsigned len);
void mmio_bus_write(struct mmio_bus *bus, uint64_t at, const void *data, unsigned len);

#endif
