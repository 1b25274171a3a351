/* See fake_guest.h. */
#include "tests/devices/fake_guest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void fake_open(struct fake_guest *guest)
{
    void *ram = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert(ram != MAP_FAILED);
    *guest = (struct fake_guest){.ram = ram};
    guest_mem_add(&guest->mem, FAKE_BASE, FAKE_BYTES, ram, NULL);
}

void fake_close(struct fake_guest *guest)
{
    munmap(guest->ram, FAKE_BYTES);
}

void *fake_at(struct fake_guest *guest, uint64_t gpa)
{
    assert(gpa >= FAKE_BASE && gpa < FAKE_BASE + FAKE_BYTES);
    return guest->ram + (gpa - FAKE_BASE);
}

static void count_irq(void *ctx)
{
    ((struct fake_guest *)ctx)->irqs++;
}

static void keep_line(void *ctx, const char *line)
{
    struct fake_guest *guest = ctx;

    guest->lines++;
    snprintf(guest->line, sizeof(guest->line), "%s", line);
}

struct virtio_host fake_host(struct fake_guest *guest)
{
    return (struct virtio_host){
        .mem = &guest->mem, .irq = count_irq, .log = keep_line, .ctx = guest};
}

void fake_place(struct fake_guest *guest, unsigned index, uint16_t size, struct vq_state *state)
{
    uint64_t base = (uint64_t)(index + 1) * FAKE_RINGS;
    struct fake_queue *queue = &guest->queue[index];

    *queue = (struct fake_queue){.size = size,
                                 .desc = fake_at(guest, base),
                                 .avail = fake_at(guest, base + 0x4000),
                                 .used = fake_at(guest, base + 0x8000)};
    memset(queue->desc, 0, FAKE_RINGS);
    state->size = size;
    state->desc = base;
    state->avail = base + 0x4000;
    state->used = base + 0x8000;
}

void fake_desc(struct fake_guest *guest, unsigned queue, uint16_t at, uint64_t gpa, uint32_t len,
               uint16_t flags, uint16_t next)
{
    guest->queue[queue].desc[at] =
        (struct virtq_desc){.addr = gpa, .len = len, .flags = flags, .next = next};
}

void fake_add(struct fake_guest *guest, unsigned queue, uint16_t head)
{
    struct fake_queue *q = &guest->queue[queue];

    q->avail->ring[q->added++ % q->size] = head;
    q->avail->idx = q->added;
}

bool fake_used(struct fake_guest *guest, unsigned queue, struct virtq_used_elem *elem)
{
    struct fake_queue *q = &guest->queue[queue];

    if (q->used->idx == q->seen)
        return false;
    *elem = q->used->ring[q->seen++ % q->size];
    return true;
}

void fake_set_used_event(struct fake_guest *guest, unsigned queue, uint16_t event)
{
    guest->queue[queue].avail->ring[guest->queue[queue].size] = event;
}

uint16_t fake_avail_event(struct fake_guest *guest, unsigned queue)
{
    const struct fake_queue *q = &guest->queue[queue];
    uint16_t event;

    memcpy(&event, &q->used->ring[q->size], sizeof(event));
    return event;
}

uint32_t fake_reg(struct fake_guest *guest, uint32_t offset)
{
    return (uint32_t)virtio_mmio_ops.read(guest->dev, offset, 4);
}

void fake_set_reg(struct fake_guest *guest, uint32_t offset, uint32_t value)
{
    virtio_mmio_ops.write(guest->dev, offset, 4, value);
}

static void set_features(struct fake_guest *guest, uint64_t features)
{
    features |= VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
    for (uint32_t half = 0; half < 2; half++) {
        fake_set_reg(guest, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
        fake_set_reg(guest, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * half)));
    }
}

static void set_queue(struct fake_guest *guest, unsigned index, uint16_t size)
{
    struct vq_state state;

    fake_place(guest, index, size, &state);
    fake_set_reg(guest, VIRTIO_MMIO_QUEUE_SEL, index);
    fake_set_reg(guest, VIRTIO_MMIO_QUEUE_NUM, size);
    fake_set_reg(guest, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)state.desc);
    fake_set_reg(guest, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)state.avail);
    fake_set_reg(guest, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)state.used);
    fake_set_reg(guest, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fake_prepare(struct fake_guest *guest, uint64_t features, unsigned count, uint16_t size)
{
    uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

    fake_set_reg(guest, VIRTIO_MMIO_STATUS, 0);
    fake_set_reg(guest, VIRTIO_MMIO_STATUS, status);
    set_features(guest, features);
    fake_set_reg(guest, VIRTIO_MMIO_STATUS, status | VIRTIO_STATUS_FEATURES_OK);
    for (unsigned i = 0; i < count; i++)
        set_queue(guest, i, size);
}

void fake_start(struct fake_guest *guest, uint64_t features, unsigned count, uint16_t size)
{
    fake_prepare(guest, features, count, size);
    fake_set_reg(guest, VIRTIO_MMIO_STATUS,
                 VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                     VIRTIO_STATUS_DRIVER_OK);
}

void fake_kick(struct fake_guest *guest, unsigned queue)
{
    fake_set_reg(guest, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

bool fake_needs_reset(struct fake_guest *guest)
{
    return fake_reg(guest, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}
