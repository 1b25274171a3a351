/* The part of virtio_mmio.h that devices call. */
#include "devices/virtio_mmio.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "abi/virtio.h"
#include "abi/virtio_mmio.h"

enum { LINES_LOGGED = 16 };

void virtio_init(struct virtio_device *dev, const struct virtio_ops *ops,
                 const struct virtio_host *host)
{
    assert(ops->queues <= VIRTIO_MAX_QUEUES);
    *dev = (struct virtio_device){.ops = ops, .host = *host};
    for (unsigned i = 0; i < ops->queues; i++)
        vq_init(&dev->queues[i], host->mem, ops->queue_size);
}

bool virtio_active(const struct virtio_device *dev)
{
    return (dev->state.status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
           VIRTIO_STATUS_DRIVER_OK;
}

static void interrupt(struct virtio_device *dev, uint32_t reason)
{
    dev->state.interrupt_status |= reason;
    dev->host.irq(dev->host.ctx);
}

void virtio_notify(struct virtio_device *dev, unsigned queue)
{
    if (virtio_active(dev) && queue < dev->ops->queues)
        dev->ops->notify(dev, queue);
}

void virtio_signal(struct virtio_device *dev, unsigned queue_mask)
{
    bool due = false;

    for (unsigned i = 0; i < dev->ops->queues; i++)
        if (queue_mask >> i & 1)
            due |= vq_interrupt_due(&dev->queues[i]);
    if (due)
        interrupt(dev, VIRTIO_MMIO_INT_QUEUE);
}

/* Before DRIVER_OK there is nobody to tell, but the driver may have read already what it was. */
static void tell_configuration(struct virtio_device *dev)
{
    dev->untold = !(dev->state.status & VIRTIO_STATUS_DRIVER_OK);
    if (!dev->untold)
        interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_driver_ok(struct virtio_device *dev)
{
    if (dev->untold)
        tell_configuration(dev);
}

void virtio_config_changed(struct virtio_device *dev)
{
    dev->state.config_generation++;
    tell_configuration(dev);
}

static void __attribute__((format(printf, 2, 0)))
log_line(struct virtio_device *dev, const char *format, va_list args)
{
    char line[200];
    int len = snprintf(line, sizeof(line), "%s: ", dev->ops->name);

    if (dev->lines_logged == LINES_LOGGED)
        return;
    dev->lines_logged++;
    vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
    dev->host.log(dev->host.ctx, line);
}

void device_log(struct virtio_device *dev, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(dev, format, args);
    va_end(args);
}

void device_fault(struct virtio_device *dev, const char *format, ...)
{
    va_list args;

    if (dev->state.status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    dev->state.status |= VIRTIO_STATUS_NEEDS_RESET;
    va_start(args, format);
    log_line(dev, format, args);
    va_end(args);
    tell_configuration(dev); /* 2.1.2 */
}
