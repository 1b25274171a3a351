/*
 * The virtio-mmio transport, version 2 (Virtio 1.2, 4.2), and what every device says to it. The
 * transport owns status, features, queues and the interrupt; a device is a struct that begins with
 * struct virtio_device and a table of operations.
 *
 * Interrupts are edges (an MSI each). InterruptStatus is kept for drivers that read it, but nothing
 * depends on that: every interrupt the guest wants is sent.
 */
#ifndef SAMARA_DEVICES_VIRTIO_MMIO_H
#define SAMARA_DEVICES_VIRTIO_MMIO_H

#include <stdint.h>

#include "devices/virtqueue.h"
#include "monitor/guest_mem.h"
#include "monitor/mmio_bus.h"

#define VIRTIO_MAX_QUEUES 8

struct virtio_device;

/* All run with the device lock held. config_write, reset and quiesce may be NULL. */
struct virtio_ops {
    const char *name;
    uint32_t device_id;
    uint64_t features; /* beside VERSION_1, EVENT_IDX and INDIRECT_DESC, which all have */
    uint16_t queues;
    uint16_t queue_size; /* the largest allowed */
    uint32_t config_size;
    /* [offset, offset + len) lies in the configuration. */
    void (*config_read)(struct virtio_device *dev, uint32_t offset, void *to, unsigned len);
    void (*config_write)(struct virtio_device *dev, uint32_t offset, const void *from,
                         unsigned len);
    void (*activate)(struct virtio_device *dev); /* DRIVER_OK; queues not ready stay unused */
    void (*reset)(struct virtio_device *dev);    /* after it the queues' requests have lapsed */
    void (*notify)(struct virtio_device *dev, unsigned queue); /* only while active */
    /* Before a queue goes: returns when nobody uses its requests any more. It may wait, with the
     * device lock released. NULL: nobody does beyond the other operations. */
    void (*quiesce)(struct virtio_device *dev);
};

/* What the VM gives a device. */
struct virtio_host {
    const struct guest_mem *mem;
    void (*irq)(void *ctx);                   /* one edge */
    void (*log)(void *ctx, const char *line); /* a line without newline; must not block */
    void *ctx;
};

/* What a snapshot keeps of the transport, beside the queues. Version 1. */
struct virtio_state {
    uint64_t driver_features;
    uint32_t status;
    uint32_t device_features_sel, driver_features_sel;
    uint32_t queue_sel;
    uint32_t interrupt_status;
    uint32_t config_generation; /* outlives a reset, as the driver's reading may */
};
_Static_assert(sizeof(struct virtio_state) == 32, "saved layout");

struct virtio_device {
    const struct virtio_ops *ops;
    struct virtio_host host;
    struct virtio_state state;
    bool untold; /* the configuration changed after the reset and before DRIVER_OK */
    unsigned lines_logged;
    struct virtqueue queues[VIRTIO_MAX_QUEUES];
};

/* For mmio_bus_add, with dev a struct virtio_device. The register page is 4 KiB. */
extern const struct mmio_ops virtio_mmio_ops;
#define VIRTIO_MMIO_SIZE 0x1000

void virtio_init(struct virtio_device *dev, const struct virtio_ops *ops,
                 const struct virtio_host *host);

/* DRIVER_OK set and not NEEDS_RESET: the device may use its queues. */
bool virtio_active(const struct virtio_device *dev);

/* As if the guest had written QueueNotify: for ioeventfds and for what a snapshot has to kick. */
void virtio_notify(struct virtio_device *dev, unsigned queue);

/* At most one interrupt for all the queues in the mask (1 << queue), if any of them is due one. */
void virtio_signal(struct virtio_device *dev, unsigned queue_mask);

/* What config_read tells is not what it was: a new generation, and an interrupt, if need be as soon
 * as DRIVER_OK is set. */
void virtio_config_changed(struct virtio_device *dev);

/* The transport's: DRIVER_OK was set, and the driver hears of what it may have missed. */
void virtio_driver_ok(struct virtio_device *dev);

/*
 * Puts a new device where another was when a snapshot of it was taken, by the registers that the
 * guest used then: features, queues, status. Nothing moves before virtio_go_on. -1 with err if the
 * device would not have taken it: it does not offer a feature, a queue lies elsewhere.
 */
int virtio_load(struct virtio_device *dev, const struct virtio_state *state,
                const struct vq_state *queues, struct err *err);

/* Activates it, if it was active, and takes up what waits in its queues. */
void virtio_go_on(struct virtio_device *dev);

/* Logs one line that begins with the device's name; at most 16 per VM, faults included. */
void device_log(struct virtio_device *dev, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The guest broke the rules: sets DEVICE_NEEDS_RESET, tells the guest, logs one line. The device
 * does nothing more until reset, nor does it log again. */
void device_fault(struct virtio_device *dev, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
