/* See mmio_bus.h. */
#include "monitor/mmio_bus.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

void mmio_bus_init(struct mmio_bus *bus, struct device_lock *lock)
{
    *bus = (struct mmio_bus){.lock = lock};
}

static bool regions_overlap(const struct mmio_region *region, uint64_t at, uint64_t size)
{
    return at < region->gpa ? size > region->gpa - at : region->size > at - region->gpa;
}

int mmio_bus_add(struct mmio_bus *bus, uint64_t at, uint64_t size, const struct mmio_ops *ops,
                 void *dev, struct err *err)
{
    if (size == 0 || size > UINT64_MAX - at)
        return err_set(err, "bus: bad region %#llx + %#llx", (unsigned long long)at,
                       (unsigned long long)size);
    for (unsigned i = 0; i < bus->count; i++)
        if (regions_overlap(&bus->regions[i], at, size))
            return err_set(err, "bus: overlapping region at %#llx", (unsigned long long)at);
    if (bus->count == MMIO_BUS_REGIONS)
        return err_set(err, "bus: more than %d regions", MMIO_BUS_REGIONS);
    bus->regions[bus->count++] =
        (struct mmio_region){.gpa = at, .size = size, .ops = ops, .dev = dev};
    return 0;
}

static const struct mmio_region *find(const struct mmio_bus *bus, uint64_t at, unsigned len)
{
    if (len != 1 && len != 2 && len != 4 && len != 8)
        return NULL;
    for (unsigned i = 0; i < bus->count; i++) {
        const struct mmio_region *region = &bus->regions[i];

        if (at >= region->gpa && at - region->gpa < region->size &&
            len <= region->size - (at - region->gpa))
            return region;
    }
    return NULL;
}

void mmio_bus_read(struct mmio_bus *bus, uint64_t at, void *data, unsigned len)
{
    const struct mmio_region *region = find(bus, at, len);
    uint64_t value;

    if (region == NULL) {
        memset(data, 0xff, len);
        return;
    }
    device_lock_take(bus->lock);
    value = region->ops->read(region->dev, at - region->gpa, len);
    device_lock_release(bus->lock);
    memcpy(data, &value, len);
}

void mmio_bus_write(struct mmio_bus *bus, uint64_t at, const void *data, unsigned len)
{
    const struct mmio_region *region = find(bus, at, len);
    uint64_t value = 0;

    if (region == NULL)
        return;
    memcpy(&value, data, len);
    device_lock_take(bus->lock);
    region->ops->write(region->dev, at - region->gpa, len, value);
    device_lock_release(bus->lock);
}
