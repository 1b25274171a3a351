/*
 * What every virtio device shares, whatever its transport: device ids, status and feature bits, and
 * the split virtqueue's layout in guest memory. Section numbers are those of Virtio 1.2. All fields
 * are little-endian, as is every machine that compiles this.
 */
#ifndef SAMARA_ABI_VIRTIO_H
#define SAMARA_ABI_VIRTIO_H

#include <stdint.h>

/* Device ids (5). */
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_VSOCK = 19,
};

/* Device status (2.1). */
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

/* Feature bit numbers (6); VIRTIO_FEATURE(VIRTIO_F_VERSION_1) is the mask. */
enum {
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
};
#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

/* Descriptor flags (2.7.5). */
enum {
    VIRTQ_DESC_F_NEXT = 1,
    VIRTQ_DESC_F_WRITE = 2, /* the device writes this buffer */
    VIRTQ_DESC_F_INDIRECT = 4,
};

enum { VIRTQ_AVAIL_F_NO_INTERRUPT = 1 }; /* 2.7.6, ignored with EVENT_IDX */
enum { VIRTQ_USED_F_NO_NOTIFY = 1 };     /* 2.7.8, ignored with EVENT_IDX */

struct virtq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};
_Static_assert(sizeof(struct virtq_desc) == 16, "2.7.5");

/* The available ring: this head, u16 ring[size], u16 used_event. */
struct virtq_avail {
    uint16_t flags;
    uint16_t idx;
    uint16_t ring[];
};
_Static_assert(sizeof(struct virtq_avail) == 4, "2.7.6");

struct virtq_used_elem {
    uint32_t id;
    uint32_t len; /* bytes the device wrote */
};
_Static_assert(sizeof(struct virtq_used_elem) == 8, "2.7.8");

/* The used ring: this head, elements[size], u16 avail_event. */
struct virtq_used {
    uint16_t flags;
    uint16_t idx;
    struct virtq_used_elem ring[];
};
_Static_assert(sizeof(struct virtq_used) == 4, "2.7.8");

/* Alignment and bytes of the three parts for a queue of `size` entries (2.7). */
#define VIRTQ_DESC_ALIGN        16
#define VIRTQ_AVAIL_ALIGN       2
#define VIRTQ_USED_ALIGN        4
#define VIRTQ_DESC_BYTES(size)  (16u * (uint32_t)(size))
#define VIRTQ_AVAIL_BYTES(size) (6u + 2u * (uint32_t)(size))
#define VIRTQ_USED_BYTES(size)  (6u + 8u * (uint32_t)(size))

/* The three parts in one piece of memory, as samara's driver and the monitor's presets lay them
 * out. */
#define VIRTQ_AVAIL_OFFSET(size) VIRTQ_DESC_BYTES(size)
#define VIRTQ_USED_OFFSET(size)                                                                    \
    ((VIRTQ_AVAIL_OFFSET(size) + VIRTQ_AVAIL_BYTES(size) + VIRTQ_USED_ALIGN - 1) /                 \
     VIRTQ_USED_ALIGN * VIRTQ_USED_ALIGN)
#define VIRTQ_BYTES(size) (VIRTQ_USED_OFFSET(size) + VIRTQ_USED_BYTES(size))

/* With EVENT_IDX: having moved an index from `before` to `now`, must the other side, which asked to
 * hear about the entry at `event`, be told? (2.7.7.1) */
static inline int virtq_event_due(uint16_t event, uint16_t now, uint16_t before)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

#endif
