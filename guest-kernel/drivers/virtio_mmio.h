/*
 * The virtio-mmio v2 transport (Virtio 1.2, 4.2), driver's side. Under samara interrupts are MSIs:
 * edges, so InterruptStatus is left alone, since each access of a register costs an exit.
 */
#ifndef GUEST_KERNEL_DRIVERS_VIRTIO_MMIO_H
#define GUEST_KERNEL_DRIVERS_VIRTIO_MMIO_H

#include "guest-kernel/boot/boot_info.h"
#include "guest-kernel/drivers/virtqueue.h"

struct virtio_device {
    u64 regs; /* virtual address */
    u32 vector;
    bool edge; /* samara's MSI: nothing to acknowledge */
    bool event_idx;
    u64 features;              /* what was agreed upon */
    struct boot_preset preset; /* queues > 0: the monitor has initialised the device already */
};

/*
 * Looks for the first device of type `id` among info's and brings it to FEATURES_OK with VERSION_1
 * and, if offered, EVENT_IDX and the bits of `wanted` it has. False if there is none or it refuses.
 */
bool virtio_find(const struct boot_info *info, u32 id, u64 wanted, struct virtio_device *out);

/* The two halves of that, for who has several: is the device in this slot of that type; brings it
 * to FEATURES_OK. */
bool virtio_is(const struct boot_info *info, unsigned slot, u32 id);
bool virtio_begin(const struct boot_virtio *v, bool edge, u64 wanted, struct virtio_device *out);

/* Makes queue `index` of at most `size` (128 or less under samara) entries ready. False if the
 * device lacks it or memory ends. */
bool virtio_queue_setup(struct virtio_device *dev, u16 index, u16 size, struct vq *vq);

/* Sets DRIVER_OK. */
void virtio_start(struct virtio_device *dev);

/* Tells the device about queue `index`, unless it asked not to be told. */
void virtio_kick(struct virtio_device *dev, u16 index, struct vq *vq);

/* Tells it in any case. */
void virtio_notify(struct virtio_device *dev, u16 index);

/* Reads a 32-bit word of the configuration space; retry against ConfigGeneration is the caller's.
 */
u32 virtio_config_read(struct virtio_device *dev, u32 offset);

/* At the start of an interrupt handler. */
void virtio_ack(struct virtio_device *dev);

#endif
