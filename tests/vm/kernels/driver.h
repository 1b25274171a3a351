/*
 * The hostile kernel's half of the rings: a driver that does what it is told, right or wrong. Slots
 * are those of monitor/boot.h. Waiting is polling, and bounded.
 */
#ifndef TESTS_VM_KERNELS_DRIVER_H
#define TESTS_VM_KERNELS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/memory_map.h"
#include "abi/virtio.h"
#include "abi/virtio_mmio.h"

enum { VSOCK_SLOT = 0, DISK_SLOT = 1, NET_SLOT = 9 };
enum { QUEUES = 3, QUEUE_MAX = 256, DATA_BYTES = 8 << 20 };

/* Of one device: the rings of the last one that was set up are at these places. */
struct ring {
    uint16_t size, added, seen;
    volatile struct virtq_desc *desc;
    volatile struct virtq_avail *avail;
    volatile struct virtq_used *used;
};
extern struct ring rings[QUEUES];

/* What chains are made of: memory that nobody has put anything into, behind the program's file. */
static uint8_t *const data = (uint8_t *)(SAMARA_WINDOW + (32 << 20));

uint64_t gpa_of(const volatile void *at);
void fill(volatile void *at, uint8_t byte, size_t len);
void copy(volatile void *to, const volatile void *from, size_t len);

uint32_t reg(unsigned slot, uint32_t offset);
void set_reg(unsigned slot, uint32_t offset, uint32_t value);
bool is_there(unsigned slot);
unsigned queues_of(unsigned slot);
bool needs_reset(unsigned slot);
/* Within a second or so. */
bool comes_to_need_reset(unsigned slot);

/* Reset, then VERSION_1 and these features: FEATURES_OK is set. */
void begin(unsigned slot, uint64_t features);
/* Says where queue `index` is to be, without making it ready. */
void place(unsigned slot, unsigned index, uint16_t size);
void make_ready(unsigned slot);
void driver_ok(unsigned slot);
/* All of these, with every queue of the device. */
void start_device(unsigned slot, uint64_t features, uint16_t size);

void put_desc(unsigned queue, uint16_t at, uint64_t gpa, uint32_t len, uint16_t flags,
              uint16_t next);
void add(unsigned queue, uint16_t head);
void kick(unsigned slot, unsigned queue);
/* Takes a used entry if there is one. */
bool take_used(unsigned queue, struct virtq_used_elem *elem);
/* Waits for one, within a second or so. */
bool await_used(unsigned queue, struct virtq_used_elem *elem);

/* Resets vsock and says it on the program's standard output. */
void say(const char *text);
_Noreturn void leave(uint32_t code);
/* Leaves with `step` if it is not so. */
void must(bool fact, uint32_t step);
uint64_t cycles(void);

#endif
