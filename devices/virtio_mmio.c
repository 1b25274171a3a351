/* See virtio_mmio.h. */
#include "devices/virtio_mmio.h"

#include <stddef.h>
#include <string.h>

#include "abi/virtio.h"
#include "abi/virtio_mmio.h"

static const uint64_t common_features = VIRTIO_FEATURE(VIRTIO_F_VERSION_1) |
                                        VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX) |
                                        VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC);

static uint64_t offered_features(const struct virtio_device *dev)
{
    return dev->ops->features | common_features;
}

static bool negotiated(const struct virtio_device *dev, unsigned bit)
{
    return dev->state.driver_features & VIRTIO_FEATURE(bit);
}

/* The selected queue, NULL if there is none. */
static struct virtqueue *selected(struct virtio_device *dev)
{
    return dev->state.queue_sel < dev->ops->queues ? &dev->queues[dev->state.queue_sel] : NULL;
}

static uint32_t read_magic(struct virtio_device *dev)
{
    (void)dev;
    return VIRTIO_MMIO_MAGIC_VALUE;
}

static uint32_t read_version(struct virtio_device *dev)
{
    (void)dev;
    return VIRTIO_MMIO_VERSION_2;
}

static uint32_t read_device_id(struct virtio_device *dev)
{
    return dev->ops->device_id;
}

static uint32_t read_vendor_id(struct virtio_device *dev)
{
    (void)dev;
    return VIRTIO_MMIO_VENDOR;
}

static uint32_t read_device_features(struct virtio_device *dev)
{
    uint32_t half = dev->state.device_features_sel;

    return half <= 1 ? (uint32_t)(offered_features(dev) >> (32 * half)) : 0;
}

static void write_device_features_sel(struct virtio_device *dev, uint32_t value)
{
    dev->state.device_features_sel = value;
}

static void write_driver_features(struct virtio_device *dev, uint32_t value)
{
    uint32_t half = dev->state.driver_features_sel;

    if (half > 1)
        return;
    if (dev->state.status & VIRTIO_STATUS_FEATURES_OK) {
        device_fault(dev, "features changed after FEATURES_OK");
        return;
    }
    dev->state.driver_features &= ~((uint64_t)UINT32_MAX << (32 * half));
    dev->state.driver_features |= (uint64_t)value << (32 * half);
}

static void write_driver_features_sel(struct virtio_device *dev, uint32_t value)
{
    dev->state.driver_features_sel = value;
}

static void write_queue_sel(struct virtio_device *dev, uint32_t value)
{
    dev->state.queue_sel = value;
}

static uint32_t read_queue_num_max(struct virtio_device *dev)
{
    const struct virtqueue *vq = selected(dev);

    return vq != NULL ? vq->max_size : 0;
}

/* The selected queue if it may be configured: what is ready is frozen. */
static struct virtqueue *configurable(struct virtio_device *dev)
{
    struct virtqueue *vq = selected(dev);

    if (vq == NULL || !vq->state.ready)
        return vq;
    device_fault(dev, "queue %u changed while ready", dev->state.queue_sel);
    return NULL;
}

static void write_queue_num(struct virtio_device *dev, uint32_t value)
{
    struct virtqueue *vq = configurable(dev);

    if (vq != NULL)
        vq->state.size = value <= vq->max_size ? (uint16_t)value : 0; /* 0 is refused at ready */
}

static uint32_t read_queue_ready(struct virtio_device *dev)
{
    const struct virtqueue *vq = selected(dev);

    return vq != NULL && vq->state.ready;
}

static void quiesce(struct virtio_device *dev)
{
    if (dev->ops->quiesce != NULL)
        dev->ops->quiesce(dev);
}

static void write_queue_ready(struct virtio_device *dev, uint32_t value)
{
    struct virtqueue *vq = selected(dev);

    if (vq == NULL || (value == 1 && vq->state.ready))
        return;
    if (value == 0) {
        quiesce(dev);
        vq_reset(vq);
        return;
    }
    if (value != 1 || dev->state.status & VIRTIO_STATUS_DRIVER_OK ||
        !(dev->state.status & VIRTIO_STATUS_FEATURES_OK))
        device_fault(dev, "queue %u made ready at the wrong time", dev->state.queue_sel);
    else if (!vq_make_ready(vq, negotiated(dev, VIRTIO_F_EVENT_IDX),
                            negotiated(dev, VIRTIO_F_INDIRECT_DESC)))
        device_fault(dev, "queue %u: %s", dev->state.queue_sel, vq->broken);
}

static void write_queue_notify(struct virtio_device *dev, uint32_t value)
{
    if (value >= dev->ops->queues)
        device_fault(dev, "notification of queue %u, which does not exist", value);
    virtio_notify(dev, value);
}

static uint32_t read_interrupt_status(struct virtio_device *dev)
{
    return dev->state.interrupt_status;
}

static void write_interrupt_ack(struct virtio_device *dev, uint32_t value)
{
    dev->state.interrupt_status &= ~value;
}

static uint32_t read_status(struct virtio_device *dev)
{
    return dev->state.status;
}

static void reset_device(struct virtio_device *dev)
{
    quiesce(dev);
    for (unsigned i = 0; i < dev->ops->queues; i++)
        vq_reset(&dev->queues[i]);
    dev->state = (struct virtio_state){.config_generation = dev->state.config_generation};
    dev->untold = false;
    if (dev->ops->reset != NULL)
        dev->ops->reset(dev);
}

static bool features_acceptable(const struct virtio_device *dev)
{
    return negotiated(dev, VIRTIO_F_VERSION_1) &&
           (dev->state.driver_features & ~offered_features(dev)) == 0;
}

/* Bits are only ever added, but for a reset by writing zero (2.1.1). */
static void write_status(struct virtio_device *dev, uint32_t value)
{
    uint32_t before = dev->state.status;
    uint32_t added = value & 0xff & ~before & ~(uint32_t)VIRTIO_STATUS_NEEDS_RESET;

    if (value == 0) {
        reset_device(dev);
        return;
    }
    if (added & VIRTIO_STATUS_FEATURES_OK && !features_acceptable(dev))
        added &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK; /* the driver reads it back: 3.1.1 */
    dev->state.status |= added & ~(uint32_t)VIRTIO_STATUS_DRIVER_OK;
    if (!(added & VIRTIO_STATUS_DRIVER_OK))
        return;
    if (!(dev->state.status & VIRTIO_STATUS_FEATURES_OK)) {
        device_fault(dev, "DRIVER_OK without FEATURES_OK");
        return;
    }
    dev->state.status |= VIRTIO_STATUS_DRIVER_OK;
    if (virtio_active(dev))
        dev->ops->activate(dev);
    virtio_driver_ok(dev);
}

/* One half of an address of the selected queue: field is its offset in struct vq_state. */
static void set_address(struct virtio_device *dev, size_t field, unsigned shift, uint32_t value)
{
    struct virtqueue *vq = configurable(dev);
    uint64_t address;

    if (vq == NULL)
        return;
    memcpy(&address, (char *)&vq->state + field, sizeof(address));
    address = (address & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
    memcpy((char *)&vq->state + field, &address, sizeof(address));
}

static void write_queue_desc_low(struct virtio_device *dev, uint32_t value)
{
    set_address(dev, offsetof(struct vq_state, desc), 0, value);
}

static void write_queue_desc_high(struct virtio_device *dev, uint32_t value)
{
    set_address(dev, offsetof(struct vq_state, desc), 32, value);
}

static void write_queue_avail_low(struct virtio_device *dev, uint32_t value)
{
    set_address(dev, offsetof(struct vq_state, avail), 0, value);
}

static void write_queue_avail_high(struct virtio_device *dev, uint32_t value)
{
    set_address(dev, offsetof(struct vq_state, avail), 32, value);
}

static void write_queue_used_low(struct virtio_device *dev, uint32_t value)
{
    set_address(dev, offsetof(struct vq_state, used), 0, value);
}

static void write_queue_used_high(struct virtio_device *dev, uint32_t value)
{
    set_address(dev, offsetof(struct vq_state, used), 32, value);
}

static uint32_t read_config_generation(struct virtio_device *dev)
{
    return dev->state.config_generation;
}

struct reg {
    uint16_t offset;
    const char *name;
    uint32_t (*read)(struct virtio_device *dev);              /* NULL: write-only */
    void (*write)(struct virtio_device *dev, uint32_t value); /* NULL: read-only */
};

static const struct reg regs[] = {
    {VIRTIO_MMIO_MAGIC, "MagicValue", read_magic, NULL},
    {VIRTIO_MMIO_VERSION, "Version", read_version, NULL},
    {VIRTIO_MMIO_DEVICE_ID, "DeviceID", read_device_id, NULL},
    {VIRTIO_MMIO_VENDOR_ID, "VendorID", read_vendor_id, NULL},
    {VIRTIO_MMIO_DEVICE_FEATURES, "DeviceFeatures", read_device_features, NULL},
    {VIRTIO_MMIO_DEVICE_FEATURES_SEL, "DeviceFeaturesSel", NULL, write_device_features_sel},
    {VIRTIO_MMIO_DRIVER_FEATURES, "DriverFeatures", NULL, write_driver_features},
    {VIRTIO_MMIO_DRIVER_FEATURES_SEL, "DriverFeaturesSel", NULL, write_driver_features_sel},
    {VIRTIO_MMIO_QUEUE_SEL, "QueueSel", NULL, write_queue_sel},
    {VIRTIO_MMIO_QUEUE_NUM_MAX, "QueueNumMax", read_queue_num_max, NULL},
    {VIRTIO_MMIO_QUEUE_NUM, "QueueNum", NULL, write_queue_num},
    {VIRTIO_MMIO_QUEUE_READY, "QueueReady", read_queue_ready, write_queue_ready},
    {VIRTIO_MMIO_QUEUE_NOTIFY, "QueueNotify", NULL, write_queue_notify},
    {VIRTIO_MMIO_INTERRUPT_STATUS, "InterruptStatus", read_interrupt_status, NULL},
    {VIRTIO_MMIO_INTERRUPT_ACK, "InterruptACK", NULL, write_interrupt_ack},
    {VIRTIO_MMIO_STATUS, "Status", read_status, write_status},
    {VIRTIO_MMIO_QUEUE_DESC_LOW, "QueueDescLow", NULL, write_queue_desc_low},
    {VIRTIO_MMIO_QUEUE_DESC_HIGH, "QueueDescHigh", NULL, write_queue_desc_high},
    {VIRTIO_MMIO_QUEUE_AVAIL_LOW, "QueueAvailLow", NULL, write_queue_avail_low},
    {VIRTIO_MMIO_QUEUE_AVAIL_HIGH, "QueueAvailHigh", NULL, write_queue_avail_high},
    {VIRTIO_MMIO_QUEUE_USED_LOW, "QueueUsedLow", NULL, write_queue_used_low},
    {VIRTIO_MMIO_QUEUE_USED_HIGH, "QueueUsedHigh", NULL, write_queue_used_high},
    {VIRTIO_MMIO_CONFIG_GENERATION, "ConfigGeneration", read_config_generation, NULL},
};

enum { REGS = sizeof(regs) / sizeof(regs[0]) };

static const struct reg *find_reg(uint64_t offset)
{
    for (unsigned i = 0; i < REGS; i++)
        if (regs[i].offset == offset)
            return &regs[i];
    return NULL;
}

static bool in_config(const struct virtio_device *dev, uint64_t offset, unsigned size)
{
    uint64_t at = offset - VIRTIO_MMIO_CONFIG;

    return at <= dev->ops->config_size && size <= dev->ops->config_size - at;
}

/* A register nobody has reads as all ones, which is also how absent shared memory is told (4.2.2).
 */
static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio_device *dev = opaque;
    const struct reg *reg = find_reg(offset);
    uint64_t value = 0;

    if (offset >= VIRTIO_MMIO_CONFIG) {
        if (!in_config(dev, offset, size))
            return UINT64_MAX;
        dev->ops->config_read(dev, (uint32_t)(offset - VIRTIO_MMIO_CONFIG), &value, size);
        return value;
    }
    if (reg == NULL)
        return UINT64_MAX;
    if (size == 4 && reg->read != NULL)
        return reg->read(dev);
    device_fault(dev, "%u-byte read of %s", size, reg->name);
    return 0;
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_device *dev = opaque;
    const struct reg *reg = find_reg(offset);

    if (offset >= VIRTIO_MMIO_CONFIG) {
        if (in_config(dev, offset, size) && dev->ops->config_write != NULL)
            dev->ops->config_write(dev, (uint32_t)(offset - VIRTIO_MMIO_CONFIG), &value, size);
        return;
    }
    if (reg == NULL)
        return;
    if (size == 4 && reg->write != NULL)
        reg->write(dev, (uint32_t)value);
    else
        device_fault(dev, "%u-byte write of %s", size, reg->name);
}

/* --- from a snapshot --- */

static int load_queue(struct virtio_device *dev, uint32_t index, const struct vq_state *from,
                      struct err *err)
{
    struct virtqueue *vq = &dev->queues[index];

    if (from->ready > 1)
        return err_set(err, "queue %u: neither ready nor not", index);
    dev->state.queue_sel = index;
    write_queue_num(dev, from->size);
    vq->state.desc = from->desc;
    vq->state.avail = from->avail;
    vq->state.used = from->used;
    if (!from->ready)
        return 0;
    if (!(dev->state.status & VIRTIO_STATUS_FEATURES_OK))
        return err_set(err, "queue %u: ready without FEATURES_OK", index);
    if (!vq_make_ready(vq, negotiated(dev, VIRTIO_F_EVENT_IDX),
                       negotiated(dev, VIRTIO_F_INDIRECT_DESC)))
        return err_set(err, "queue %u: %s", index, vq->broken);
    vq->state.next_avail = from->next_avail;
    vq->state.next_used = from->next_used;
    vq->state.signalled = from->signalled;
    return 0;
}

int virtio_load(struct virtio_device *dev, const struct virtio_state *state,
                const struct vq_state *queues, struct err *err)
{
    const uint32_t before_queues = state->status & ~(uint32_t)VIRTIO_STATUS_DRIVER_OK & 0xff;

    write_status(dev, 0);
    dev->state.driver_features = state->driver_features;
    write_status(dev, before_queues);
    if ((dev->state.status ^ state->status) & VIRTIO_STATUS_FEATURES_OK)
        return err_set(err, "%s: features 0x%llx were agreed upon, this one has 0x%llx",
                       dev->ops->name, (unsigned long long)state->driver_features,
                       (unsigned long long)offered_features(dev));
    if (state->status & VIRTIO_STATUS_DRIVER_OK && !(state->status & VIRTIO_STATUS_FEATURES_OK))
        return err_set(err, "%s: DRIVER_OK without FEATURES_OK", dev->ops->name);
    for (uint32_t i = 0; i < dev->ops->queues; i++) {
        if (load_queue(dev, i, &queues[i], err) != 0)
            return err_in(err, "%s", dev->ops->name);
    }
    dev->state = *state;
    dev->state.status &= 0xff;
    return 0;
}

void virtio_go_on(struct virtio_device *dev)
{
    if (!virtio_active(dev))
        return;
    dev->ops->activate(dev);
    for (unsigned i = 0; i < dev->ops->queues; i++)
        virtio_notify(dev, i);
}

const struct mmio_ops virtio_mmio_ops = {.read = mmio_read, .write = mmio_write};
