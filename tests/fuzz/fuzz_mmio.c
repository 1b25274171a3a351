/*
 * libFuzzer: a driver that accesses the transport's registers in any order, with any width and
 * value. Input: records of eight bytes, each an access. Beside the device there is a model of the
 * registers from the specification (Virtio 1.2, 4.2.2 and 2.1), so every answer is known: what a
 * read gives, which access asks for a reset, when a queue becomes ready and with what, when the
 * device is told of its activation, its reset and its notifications. Links to
 * tests/devices/fake_guest.c.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/devices/fake_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { QUEUES = 3, MAX = 16, CONFIG_BYTES = 12, RAM = FAKE_BYTES };
#define OFFERED (UINT64_C(1) << 5 | UINT64_C(3) << 28 | UINT64_C(1) << 32 | UINT64_C(1) << 40)

struct record {
    uint8_t action, offset;
    uint16_t more;
    uint32_t value;
};
_Static_assert(sizeof(struct record) == 8, "a record");

struct queue {
    uint64_t address[3];
    uint32_t size;
    bool ready;
};

static struct {
    uint32_t status, device_half, driver_half, queue, interrupts, generation;
    bool untold; /* a change before DRIVER_OK */
    uint64_t features;
    struct queue queues[QUEUES];
    unsigned activated, reset, notified[QUEUES];
} model, seen; /* of seen, the last line alone */

static struct fake_guest guest;
static struct virtio_device dev;
static const char config[CONFIG_BYTES] = "configured!";
static uint8_t config_written[CONFIG_BYTES], config_model[CONFIG_BYTES];

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

/* --- the device behind it --- */

static void toy_config_read(struct virtio_device *d, uint32_t offset, void *to, unsigned len)
{
    (void)d;
    must(offset <= CONFIG_BYTES && len <= CONFIG_BYTES - offset);
    memcpy(to, config + offset, len);
}

static void toy_config_write(struct virtio_device *d, uint32_t offset, const void *from,
                             unsigned len)
{
    (void)d;
    must(offset <= CONFIG_BYTES && len <= CONFIG_BYTES - offset);
    memcpy(config_written + offset, from, len);
}

static void toy_activate(struct virtio_device *d)
{
    must(virtio_active(d));
    seen.activated++;
}

/* Nothing of the queues is left by then. */
static void toy_reset(struct virtio_device *d)
{
    for (unsigned i = 0; i < QUEUES; i++)
        must(!d->queues[i].state.ready);
    seen.reset++;
}

static void toy_notify(struct virtio_device *d, unsigned queue)
{
    must(virtio_active(d) && queue < QUEUES);
    seen.notified[queue]++;
}

static const struct virtio_ops toy = {
    .name = "toy",
    .device_id = 99,
    .features = UINT64_C(1) << 5 | UINT64_C(1) << 40,
    .queues = QUEUES,
    .queue_size = MAX,
    .config_size = CONFIG_BYTES,
    .config_read = toy_config_read,
    .config_write = toy_config_write,
    .activate = toy_activate,
    .reset = toy_reset,
    .notify = toy_notify,
};

/* --- what the specification says --- */

static struct queue *selected(void)
{
    return model.queue < QUEUES ? &model.queues[model.queue] : NULL;
}

static bool is_active(void)
{
    return (model.status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
           VIRTIO_STATUS_DRIVER_OK;
}

/* Told now, or as DRIVER_OK comes. */
static void expect_change(void)
{
    if (model.status & VIRTIO_STATUS_DRIVER_OK)
        model.interrupts |= VIRTIO_MMIO_INT_CONFIG;
    else
        model.untold = true;
}

static void fault(void)
{
    if (model.status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    model.status |= VIRTIO_STATUS_NEEDS_RESET;
    expect_change();
}

static void expect_reset(void)
{
    const uint32_t generation = model.generation;

    model.status = model.device_half = model.driver_half = model.queue = model.interrupts = 0;
    model.features = 0;
    model.untold = false;
    for (unsigned i = 0; i < QUEUES; i++)
        model.queues[i] = (struct queue){.size = MAX};
    model.generation = generation;
    model.reset++;
}

static void expect_status(uint32_t value)
{
    uint32_t added = value & 0xff & ~model.status & ~(uint32_t)VIRTIO_STATUS_NEEDS_RESET;

    if (value == 0) {
        expect_reset();
        return;
    }
    if (model.features & ~OFFERED || !(model.features & UINT64_C(1) << VIRTIO_F_VERSION_1))
        added &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
    model.status |= added & ~(uint32_t)VIRTIO_STATUS_DRIVER_OK;
    if (!(added & VIRTIO_STATUS_DRIVER_OK))
        return;
    if (!(model.status & VIRTIO_STATUS_FEATURES_OK)) {
        fault();
        return;
    }
    model.status |= VIRTIO_STATUS_DRIVER_OK;
    model.activated += is_active();
    if (model.untold)
        expect_change();
    model.untold = false;
}

static bool in_ram(uint64_t at, uint64_t bytes, uint64_t align)
{
    return at % align == 0 && at >= FAKE_BASE && at <= FAKE_BASE + (uint64_t)RAM &&
           bytes <= FAKE_BASE + (uint64_t)RAM - at;
}

static bool is_sound(const struct queue *q)
{
    return q->size >= 1 && q->size <= MAX && (q->size & (q->size - 1)) == 0 &&
           in_ram(q->address[0], 16 * (uint64_t)q->size, 16) &&
           in_ram(q->address[1], 6 + 2 * (uint64_t)q->size, 2) &&
           in_ram(q->address[2], 6 + 8 * (uint64_t)q->size, 4);
}

static void expect_ready(uint32_t value)
{
    struct queue *q = selected();
    const bool in_time =
        (model.status & VIRTIO_STATUS_FEATURES_OK) && !(model.status & VIRTIO_STATUS_DRIVER_OK);

    if (q == NULL || (value == 1 && q->ready))
        return;
    if (value == 0)
        *q = (struct queue){.size = MAX};
    else if (value == 1 && in_time && is_sound(q))
        q->ready = true;
    else
        fault();
}

static void expect_features(uint32_t value)
{
    const unsigned shift = 32 * model.driver_half;

    if (model.driver_half > 1)
        return;
    if (model.status & VIRTIO_STATUS_FEATURES_OK)
        fault();
    else
        model.features = (model.features & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value
                                                                                   << shift;
}

static void expect_address(uint64_t offset, uint32_t value)
{
    const unsigned part = (unsigned)(offset - VIRTIO_MMIO_QUEUE_DESC_LOW) / 16;
    const unsigned shift = offset & 4 ? 32 : 0;
    struct queue *q = selected();

    if (q == NULL)
        return;
    if (q->ready)
        fault();
    else
        q->address[part] = (q->address[part] & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value
                                                                                       << shift;
}

static void expect_size(uint32_t value)
{
    struct queue *q = selected();

    if (q != NULL && q->ready)
        fault();
    else if (q != NULL)
        q->size = value;
}

static void expect_notify(uint32_t value)
{
    if (value >= QUEUES)
        fault();
    else if (is_active())
        model.notified[value]++;
}

static bool is_write_only(uint64_t offset)
{
    static const uint16_t offsets[] = {0x14, 0x20, 0x24, 0x30, 0x38, 0x50, 0x64,
                                       0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4};

    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        if (offsets[i] == offset)
            return true;
    }
    return false;
}

/* True for a register that can be read; *value is what it gives. */
static bool is_readable(uint64_t offset, uint32_t *value)
{
    const struct queue *q = selected();

    switch (offset) {
    case VIRTIO_MMIO_MAGIC:
        *value = 0x74726976;
        return true;
    case VIRTIO_MMIO_VERSION:
        *value = 2;
        return true;
    case VIRTIO_MMIO_DEVICE_ID:
        *value = 99;
        return true;
    case VIRTIO_MMIO_VENDOR_ID:
        *value = VIRTIO_MMIO_VENDOR;
        return true;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        *value = model.device_half > 1 ? 0 : (uint32_t)(OFFERED >> (32 * model.device_half));
        return true;
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        *value = q != NULL ? MAX : 0;
        return true;
    case VIRTIO_MMIO_QUEUE_READY:
        *value = q != NULL && q->ready;
        return true;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        *value = model.interrupts;
        return true;
    case VIRTIO_MMIO_STATUS:
        *value = model.status;
        return true;
    case VIRTIO_MMIO_CONFIG_GENERATION:
        *value = model.generation;
        return true;
    default:
        return false;
    }
}

static void expect_write(uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        model.device_half = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        expect_features(value);
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        model.driver_half = value;
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        model.queue = value;
        break;
    case VIRTIO_MMIO_QUEUE_NUM:
        expect_size(value);
        break;
    case VIRTIO_MMIO_QUEUE_READY:
        expect_ready(value);
        break;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        expect_notify(value);
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        model.interrupts &= ~value;
        break;
    case VIRTIO_MMIO_STATUS:
        expect_status(value);
        break;
    default:
        expect_address(offset, value);
    }
}

/* --- accesses --- */

static bool in_config(uint64_t offset, unsigned size)
{
    return offset >= VIRTIO_MMIO_CONFIG && offset - VIRTIO_MMIO_CONFIG + size <= CONFIG_BYTES;
}

static void read_one(uint64_t offset, unsigned size)
{
    const uint64_t got = virtio_mmio_ops.read(&dev, offset, size);
    uint64_t bytes = 0;
    uint32_t value;

    if (offset >= VIRTIO_MMIO_CONFIG) {
        if (in_config(offset, size))
            memcpy(&bytes, config + (offset - VIRTIO_MMIO_CONFIG), size);
        must(got == (in_config(offset, size) ? bytes : UINT64_MAX));
        return;
    }
    if (size == 4 && is_readable(offset, &value)) {
        must(got == value);
    } else if (is_write_only(offset) || is_readable(offset, &value)) {
        must(got == 0);
        fault();
    } else {
        must(got == UINT64_MAX);
    }
}

static void write_one(uint64_t offset, unsigned size, uint64_t value)
{
    const bool both = offset == VIRTIO_MMIO_STATUS || offset == VIRTIO_MMIO_QUEUE_READY;
    uint32_t unused;

    if (offset >= VIRTIO_MMIO_CONFIG) {
        if (in_config(offset, size))
            memcpy(config_model + (offset - VIRTIO_MMIO_CONFIG), &value, size);
    } else if (size == 4 && (both || is_write_only(offset))) {
        expect_write(offset, (uint32_t)value);
    } else if (is_write_only(offset) || is_readable(offset, &unused)) {
        fault();
    }
    virtio_mmio_ops.write(&dev, offset, size, value);
}

static void check(void)
{
    must(dev.state.status == model.status);
    must(dev.state.interrupt_status == model.interrupts);
    must(dev.state.driver_features == model.features);
    must(virtio_active(&dev) == is_active());
    must(seen.activated == model.activated && seen.reset == model.reset);
    must(memcmp(seen.notified, model.notified, sizeof(seen.notified)) == 0);
    must(memcmp(config_written, config_model, CONFIG_BYTES) == 0);
    must(guest.lines <= 16);
    for (unsigned i = 0; i < QUEUES; i++) {
        const struct queue *q = &model.queues[i];
        const struct vq_state *state = &dev.queues[i].state;

        must(state->ready == q->ready);
        must(state->desc == q->address[0] && state->avail == q->address[1] &&
             state->used == q->address[2]);
        must(!q->ready || state->size == q->size);
    }
}

/* What drivers do in this order, so that the fuzzer need not find it; sizes, alignment and the end
 * of memory are not always theirs. */
static void usual_way(const struct record *record)
{
    const uint64_t base = FAKE_BASE + (record->value & (record->more & 4 ? 0x1ffffff : 0xfffff0));
    const uint32_t size = record->more >> 8;

    write_one(VIRTIO_MMIO_STATUS, 4, record->more & 1 ? 0 : 3);
    write_one(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4, 1);
    write_one(VIRTIO_MMIO_DRIVER_FEATURES, 4, 1);
    write_one(VIRTIO_MMIO_STATUS, 4, 11);
    write_one(VIRTIO_MMIO_QUEUE_SEL, 4, record->offset % QUEUES);
    write_one(VIRTIO_MMIO_QUEUE_NUM, 4, record->more & 8 ? size : 1u << size % 5);
    write_one(VIRTIO_MMIO_QUEUE_DESC_LOW, 4, base);
    write_one(VIRTIO_MMIO_QUEUE_AVAIL_LOW, 4, base + 0x100);
    write_one(VIRTIO_MMIO_QUEUE_USED_LOW, 4, base + 0x200);
    write_one(VIRTIO_MMIO_QUEUE_READY, 4, 1);
    if (record->more & 2)
        write_one(VIRTIO_MMIO_STATUS, 4, 15);
}

static void act(const struct record *record)
{
    static const unsigned sizes[] = {4, 1, 2, 8};
    static const uint32_t values[] = {0, 1, 2, 3, 8, 11, 15, 16};
    const unsigned size = sizes[record->action / 8 % 8 < 4 ? 0 : record->action / 8 % 4];
    const uint64_t offset = record->more & 0x8000 ? 0x100 + record->offset % 24u : record->offset;
    const uint64_t value = record->more & 0x4000 ? values[record->value % 8] : record->value;

    switch (record->action % 8) {
    case 0:
    case 1:
        read_one(offset, size);
        break;
    case 2:
        usual_way(record);
        break;
    case 3:
        virtio_config_changed(&dev);
        model.generation++;
        expect_change();
        break;
    case 4:
        device_fault(&dev, "as the device likes");
        fault();
        break;
    default:
        write_one(record->action & 0x80 ? offset : offset & ~3u, size,
                  size == 8 ? value << 32 | value : value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_host host;
    struct record record;

    if (guest.ram == NULL)
        fake_open(&guest);
    guest.lines = 0;
    host = fake_host(&guest);
    virtio_init(&dev, &toy, &host);
    guest.dev = &dev;
    memset(&model, 0, sizeof(model));
    memset(&seen, 0, sizeof(seen));
    memset(config_written, 0, sizeof(config_written));
    memset(config_model, 0, sizeof(config_model));
    for (unsigned i = 0; i < QUEUES; i++)
        model.queues[i].size = MAX;
    for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
        memcpy(&record, data, sizeof(record));
        act(&record);
        check();
    }
    return 0;
}
