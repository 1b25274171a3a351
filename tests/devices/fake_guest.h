/*
 * A guest for device tests: memory, a driver's side of the rings without any scruples, and the
 * transport's registers. Everything is at fixed addresses, so that tests can damage it.
 */
#ifndef SAMARA_TESTS_DEVICES_FAKE_GUEST_H
#define SAMARA_TESTS_DEVICES_FAKE_GUEST_H

#include "abi/virtio.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_vsock.h"
#include "devices/virtio_mmio.h"

enum {
    FAKE_BASE = 0x1000, /* of guest memory: address zero is nowhere */
    FAKE_BYTES = 24 << 20,
    FAKE_QUEUES = 4,
    FAKE_RINGS = 0x10000, /* queue i is at (i + 1) * FAKE_RINGS */
    FAKE_DATA = 0x100000, /* from here on data */
};

struct fake_queue {
    uint16_t size, added, seen;
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
};

struct fake_guest {
    uint8_t *ram;
    struct guest_mem mem;
    struct fake_queue queue[FAKE_QUEUES];
    struct virtio_device *dev;
    unsigned irqs, lines;
    char line[256]; /* the last one logged */
};

void fake_open(struct fake_guest *guest);
void fake_close(struct fake_guest *guest);
void *fake_at(struct fake_guest *guest, uint64_t gpa);
struct virtio_host fake_host(struct fake_guest *guest);

/* Places queue `index` and says where in state; the rings are zeroed. */
void fake_place(struct fake_guest *guest, unsigned index, uint16_t size, struct vq_state *state);

void fake_desc(struct fake_guest *guest, unsigned queue, uint16_t at, uint64_t gpa, uint32_t len,
               uint16_t flags, uint16_t next);
/* Makes the chain at head available. */
void fake_add(struct fake_guest *guest, unsigned queue, uint16_t head);
/* Takes a used entry; false if there is none. */
bool fake_used(struct fake_guest *guest, unsigned queue, struct virtq_used_elem *elem);
void fake_set_used_event(struct fake_guest *guest, unsigned queue, uint16_t event);
uint16_t fake_avail_event(struct fake_guest *guest, unsigned queue);

uint32_t fake_reg(struct fake_guest *guest, uint32_t offset);
void fake_set_reg(struct fake_guest *guest, uint32_t offset, uint32_t value);
/* Reset, features (VERSION_1 is added), queues 0..count-1, and no DRIVER_OK yet. */
void fake_prepare(struct fake_guest *guest, uint64_t features, unsigned count, uint16_t size);
/* The same and DRIVER_OK. */
void fake_start(struct fake_guest *guest, uint64_t features, unsigned count, uint16_t size);
void fake_kick(struct fake_guest *guest, unsigned queue);
bool fake_needs_reset(struct fake_guest *guest);

#endif
