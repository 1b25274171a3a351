/*
 * The virtio-mmio transport, version 2 (Virtio 1.2, 4.2.2): register offsets. All registers are 32
 * bits wide but the configuration space, which takes 1, 2, 4 and 8 byte accesses.
 */
#ifndef SAMARA_ABI_VIRTIO_MMIO_H
#define SAMARA_ABI_VIRTIO_MMIO_H

#define VIRTIO_MMIO_MAGIC_VALUE 0x74726976 /* "virt" */
#define VIRTIO_MMIO_VERSION_2   2
#define VIRTIO_MMIO_VENDOR      0x616d6173 /* "sama" */

enum {
    VIRTIO_MMIO_MAGIC = 0x000,               /* R */
    VIRTIO_MMIO_VERSION = 0x004,             /* R */
    VIRTIO_MMIO_DEVICE_ID = 0x008,           /* R, 0: no device */
    VIRTIO_MMIO_VENDOR_ID = 0x00c,           /* R */
    VIRTIO_MMIO_DEVICE_FEATURES = 0x010,     /* R */
    VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014, /* W */
    VIRTIO_MMIO_DRIVER_FEATURES = 0x020,     /* W */
    VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024, /* W */
    VIRTIO_MMIO_QUEUE_SEL = 0x030,           /* W */
    VIRTIO_MMIO_QUEUE_NUM_MAX = 0x034,       /* R */
    VIRTIO_MMIO_QUEUE_NUM = 0x038,           /* W */
    VIRTIO_MMIO_QUEUE_READY = 0x044,         /* RW */
    VIRTIO_MMIO_QUEUE_NOTIFY = 0x050,        /* W, queue index */
    VIRTIO_MMIO_INTERRUPT_STATUS = 0x060,    /* R */
    VIRTIO_MMIO_INTERRUPT_ACK = 0x064,       /* W */
    VIRTIO_MMIO_STATUS = 0x070,              /* RW, writing 0 resets */
    VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080,      /* W */
    VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084,     /* W */
    VIRTIO_MMIO_QUEUE_AVAIL_LOW = 0x090,     /* W */
    VIRTIO_MMIO_QUEUE_AVAIL_HIGH = 0x094,    /* W */
    VIRTIO_MMIO_QUEUE_USED_LOW = 0x0a0,      /* W */
    VIRTIO_MMIO_QUEUE_USED_HIGH = 0x0a4,     /* W */
    VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc,   /* R */
    VIRTIO_MMIO_CONFIG = 0x100,              /* RW */
};

/* InterruptStatus and InterruptACK bits. */
enum {
    VIRTIO_MMIO_INT_QUEUE = 1,
    VIRTIO_MMIO_INT_CONFIG = 2,
};

#endif
