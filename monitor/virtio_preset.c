/* See virtio_preset.h; the sequence is Virtio 1.2, 3.1.1 and 4.2.3. */
#include "monitor/virtio_preset.h"

#include "abi/virtio.h"
#include "abi/virtio_mmio.h"

enum { PAGE = 4096 };

struct registers {
    struct mmio_bus *bus;
    uint64_t at;
};

static void put(const struct registers *r, uint64_t offset, uint32_t value)
{
    mmio_bus_write(r->bus, r->at + offset, &value, sizeof(value));
}

static uint32_t get(const struct registers *r, uint64_t offset)
{
    uint32_t value;

    mmio_bus_read(r->bus, r->at + offset, &value, sizeof(value));
    return value;
}

uint64_t virtio_preset_stride(const struct virtio_preset *p)
{
    return (VIRTQ_BYTES(p->size) + PAGE - 1) / PAGE * PAGE;
}

static void set_queue(const struct registers *r, const struct virtio_preset *p, uint32_t index)
{
    uint64_t desc = p->gpa + index * virtio_preset_stride(p);
    uint64_t avail = desc + VIRTQ_AVAIL_OFFSET(p->size);
    uint64_t used = desc + VIRTQ_USED_OFFSET(p->size);

    put(r, VIRTIO_MMIO_QUEUE_SEL, index);
    put(r, VIRTIO_MMIO_QUEUE_NUM, p->size);
    put(r, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)desc);
    put(r, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(desc >> 32));
    put(r, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)avail);
    put(r, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(avail >> 32));
    put(r, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)used);
    put(r, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(used >> 32));
    put(r, VIRTIO_MMIO_QUEUE_READY, 1);
}

int virtio_preset_apply(const struct virtio_preset *p, struct mmio_bus *bus, uint64_t regs,
                        struct err *err)
{
    const struct registers r = {bus, regs};
    const uint64_t features =
        VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX) | p->features;
    const uint32_t found = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    const uint32_t running = found | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK;

    put(&r, VIRTIO_MMIO_STATUS, found);
    put(&r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    put(&r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
    put(&r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    put(&r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    put(&r, VIRTIO_MMIO_STATUS, found | VIRTIO_STATUS_FEATURES_OK);
    for (uint32_t i = 0; i < p->queues; i++)
        set_queue(&r, p, i);
    put(&r, VIRTIO_MMIO_STATUS, running);
    if (get(&r, VIRTIO_MMIO_STATUS) != running)
        return err_set(err, "device %u does not take its preset queues", p->device_id);
    return 0;
}
