#include "guest-kernel/drivers/virtio_mmio.h"
#include "abi/memory_map.h"
#include "abi/virtio.h"
#include "abi/virtio_mmio.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/page.h"

/* Plain mov in both directions: the monitor may decode the instruction. */
static u32 reg_read(const struct virtio_device *dev, u32 reg)
{
    u32 value;

    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(dev->regs + reg) : "memory");
    return value;
}

static void reg_write(const struct virtio_device *dev, u32 reg, u32 value)
{
    __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(dev->regs + reg) : "memory");
}

/* The high half is zero after reset. */
static void write_address(const struct virtio_device *dev, u32 reg_low, const volatile void *at)
{
    u64 gpa = (u64)(uintptr_t)at - SAMARA_WINDOW;

    reg_write(dev, reg_low, (u32)gpa);
    if (!dev->edge || gpa >> 32 != 0)
        reg_write(dev, reg_low + 4, (u32)(gpa >> 32));
}

static u64 offered_features(const struct virtio_device *dev)
{
    u64 high;

    reg_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    high = reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES);
    reg_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    return high << 32 | reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES);
}

/*
 * Virtio 1.2, 3.1.1. Each access costs an exit of 24 us. The low half of the features is enough to
 * ask samara for; it always has VERSION_1 and refuses nothing it offered.
 */
static bool negotiate(struct virtio_device *dev, u64 wanted)
{
    const u64 version_1 = VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
    u32 status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    u64 features;

    if (!dev->edge)
        reg_write(dev, VIRTIO_MMIO_STATUS, 0);
    reg_write(dev, VIRTIO_MMIO_STATUS, status);
    if (dev->edge)
        features = version_1 | reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES);
    else
        features = offered_features(dev);
    features &= wanted | version_1 | VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX);
    if (!(features & version_1))
        return false;
    reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, (u32)features);
    reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, (u32)(features >> 32));
    reg_write(dev, VIRTIO_MMIO_STATUS, status | VIRTIO_STATUS_FEATURES_OK);
    dev->features = features;
    dev->event_idx = features & VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX);
    return dev->edge || reg_read(dev, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_FEATURES_OK;
}

/* A device that the monitor has set up for us takes no register access at all. */
static bool is_preset(const struct boot_virtio *v, u32 id)
{
    return v->preset.queues > 0 && v->preset.device_id == id && v->preset.size <= VQ_MAX_SIZE &&
           v->preset.stride >= VIRTQ_BYTES(v->preset.size) && v->preset.gpa < SAMARA_RAM_LOW_END;
}

/* samara has chosen the vectors; other monitors' lines get the same ones, in the order of use. */
static u32 vector_of(const struct boot_virtio *v, bool edge)
{
    static u32 used;
    u32 vector = SAMARA_VECTOR_VIRTIO + used % SAMARA_VIRTIO_SLOTS;

    if (edge)
        return v->vector;
    used++;
    irq_route(v->vector, vector);
    return vector;
}

static struct virtio_device device_at(const struct boot_virtio *v, bool edge)
{
    return (struct virtio_device){
        .regs = SAMARA_WINDOW + v->gpa, .vector = v->vector, .edge = edge};
}

bool virtio_is(const struct boot_info *info, unsigned slot, u32 id)
{
    const struct boot_virtio *v = &info->virtio[slot];
    struct virtio_device d = device_at(v, info->platform_gpa != 0);

    if (v->size < VIRTIO_MMIO_CONFIG || v->gpa > SAMARA_WINDOW_SIZE - PAGE_SIZE)
        return false;
    if (v->device_id != 0)
        return v->device_id == id;
    /* samara speaks nothing else; asking costs two exits. */
    return reg_read(&d, VIRTIO_MMIO_DEVICE_ID) == id &&
           (d.edge || (reg_read(&d, VIRTIO_MMIO_MAGIC) == VIRTIO_MMIO_MAGIC_VALUE &&
                       reg_read(&d, VIRTIO_MMIO_VERSION) == VIRTIO_MMIO_VERSION_2));
}

bool virtio_begin(const struct boot_virtio *v, bool edge, u64 wanted, struct virtio_device *out)
{
    *out = device_at(v, edge);
    out->vector = vector_of(v, edge);
    return negotiate(out, wanted);
}

bool virtio_find(const struct boot_info *info, u32 id, u64 wanted, struct virtio_device *out)
{
    const bool edge = info->platform_gpa != 0;

    for (unsigned i = 0; i < info->virtio_count; i++) {
        const struct boot_virtio *v = &info->virtio[i];

        if (is_preset(v, id)) {
            *out = device_at(v, edge);
            out->preset = v->preset;
            out->event_idx = true;
            out->features = v->preset.features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1) |
                            VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX);
            return true;
        }
        if (virtio_is(info, i, id) && virtio_begin(v, edge, wanted, out))
            return true;
    }
    return false;
}

bool virtio_queue_setup(struct virtio_device *dev, u16 index, u16 size, struct vq *vq)
{
    unsigned pages;
    void *memory;
    u32 max;

    if (dev->preset.queues > 0) {
        memory = page_at(dev->preset.gpa + (u64)index * dev->preset.stride);
        vq_init(vq, (u16)dev->preset.size, memory, SAMARA_WINDOW, true);
        return index < dev->preset.queues;
    }
    reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, index);
    max = dev->edge ? size : reg_read(dev, VIRTIO_MMIO_QUEUE_NUM_MAX);
    if (max == 0)
        return false;
    while (size > max || size > VQ_MAX_SIZE)
        size /= 2;
    pages = (unsigned)((vq_bytes(size) + PAGE_SIZE - 1) / PAGE_SIZE);
    memory = pages_alloc(pages);
    if (memory == NULL)
        return false;
    memset(memory, 0, vq_bytes(size));
    vq_init(vq, size, memory, SAMARA_WINDOW, dev->event_idx);
    reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, size);
    write_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, vq->desc);
    write_address(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, vq->avail);
    write_address(dev, VIRTIO_MMIO_QUEUE_USED_LOW, vq->used);
    reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
    return true;
}

void virtio_start(struct virtio_device *dev)
{
    if (dev->preset.queues > 0)
        return;
    reg_write(dev, VIRTIO_MMIO_STATUS,
              VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                  VIRTIO_STATUS_DRIVER_OK);
}

void virtio_kick(struct virtio_device *dev, u16 index, struct vq *vq)
{
    if (vq_kick_due(vq))
        reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, index);
}

void virtio_notify(struct virtio_device *dev, u16 index)
{
    reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, index);
}

u32 virtio_config_read(struct virtio_device *dev, u32 offset)
{
    return reg_read(dev, VIRTIO_MMIO_CONFIG + offset);
}

void virtio_ack(struct virtio_device *dev)
{
    if (!dev->edge)
        reg_write(dev, VIRTIO_MMIO_INTERRUPT_ACK, reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS));
}
