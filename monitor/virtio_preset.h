/*
 * Plays the driver's part of a virtio device's initialisation through the device's own registers,
 * before the guest runs: what would be twenty exits of the guest are twenty function calls. The
 * guest learns of it from the device tree (SAMARA_PROP_PRESET, abi/platform.h).
 */
#ifndef SAMARA_MONITOR_VIRTIO_PRESET_H
#define SAMARA_MONITOR_VIRTIO_PRESET_H

#include <stdint.h>

#include "monitor/err.h"
#include "monitor/mmio_bus.h"

struct virtio_preset {
    uint32_t device_id;
    uint32_t queues;   /* 0: none */
    uint32_t size;     /* entries of each queue */
    uint32_t features; /* beside VERSION_1 and EVENT_IDX */
    uint64_t
        gpa; /* of zeroed, page-aligned memory for them: queues * virtio_preset_stride() bytes */
};

/* Bytes from queue to queue; a multiple of 4096. */
uint64_t virtio_preset_stride(const struct virtio_preset *preset);

/* Brings the device behind the registers at `regs` to DRIVER_OK. -1 with err if it does not take
 * it. */
int virtio_preset_apply(const struct virtio_preset *preset, struct mmio_bus *bus, uint64_t regs,
                        struct err *err);

#endif
