/* See gather.h. */
#include "monitor/snapshot/gather.h"

#include <string.h>

#include "abi/virtio.h"
#include "monitor/boot.h"
#include "monitor/kvm.h"
#include "monitor/snapshot/records.h"
#include "monitor/vcpu_saved.h"

_Static_assert(sizeof(struct kvm_cpuid_entry2) * CPUID_ENTRIES + sizeof(struct vcpu_saved) +
                       sizeof(struct saved_virtio) * SAMARA_VIRTIO_SLOTS + (256 << 10) <
                   RECORDS_BYTES,
               "what is always there, and the most that vsock writes");

/* --- the buffer --- */

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* Room for a payload of `most` bytes; NULL with err. */
static void *begin(const struct record_buffer *b, size_t most, struct err *err)
{
    if (most > RECORDS_BYTES - sizeof(struct record_head) ||
        b->used > RECORDS_BYTES - sizeof(struct record_head) - padded(most)) {
        err_set(err, "the state is larger than %d KiB", RECORDS_BYTES >> 10);
        return NULL;
    }
    return (void *)(uintptr_t)(b->bytes + b->used + sizeof(struct record_head));
}

/* Its size has become known. */
static void finish(struct record_buffer *b, uint32_t kind, size_t size)
{
    struct record_head *head = (struct record_head *)(b->bytes + b->used);

    *head = (struct record_head){.kind = kind, .version = 1, .size = size};
    memset((uint8_t *)(head + 1) + size, 0, padded(size) - size);
    b->used += sizeof(*head) + padded(size);
}

static int put(struct record_buffer *b, uint32_t kind, const void *payload, size_t size,
               struct err *err)
{
    void *to = begin(b, size, err);

    if (!to)
        return -1;
    memcpy(to, payload, size);
    finish(b, kind, size);
    return 0;
}

const struct record_head *record_next(const struct record_buffer *from, size_t *at)
{
    const struct record_head *head = (const struct record_head *)(from->bytes + *at);

    if (*at >= from->used)
        return NULL;
    *at += sizeof(*head) + padded(head->size);
    return head;
}

/* --- what it was made from --- */

static int put_config(const struct vm *vm, struct record_buffer *b, struct err *err)
{
    const char *program = vm->opened.program.path;
    size_t size = strlen(program);
    struct saved_config *c = begin(b, sizeof(*c) + size, err);

    if (!c)
        return -1;
    *c = (struct saved_config){.program_size = (uint32_t)size, .samara = SAMARA_VERSION};
    memcpy(c->kernel, vm->opened.cpuid_cache.key.release, sizeof(c->kernel));
    c->kernel[sizeof(c->kernel) - 1] = '\0';
    memcpy(c + 1, program, size);
    finish(b, RECORD_CONFIG, sizeof(*c) + size);
    return put(b, RECORD_CPUID, vm->cpuid.entries,
               vm->cpuid.head.nent * sizeof(vm->cpuid.entries[0]), err);
}

/* --- the processor and its clock --- */

static int put_vcpu(struct vm *vm, struct record_buffer *b, struct err *err)
{
    static struct vcpu_saved saved; /* of the one thread that gets here */

    if (vcpu_save(&vm->vcpu, &saved, err) != 0)
        return err_in(err, "vCPU");
    for (unsigned i = 0; i < VCPU_PARTS; i++) {
        const struct vcpu_part *p = &vcpu_parts[i];
        const uint8_t *from = (const uint8_t *)&saved + p->offset;
        size_t size = p->size;

        if (p->record == RECORD_MSRS) {
            from = (const uint8_t *)saved.msrs.entries;
            size = saved.msrs.head.nmsrs * sizeof(saved.msrs.entries[0]);
        }
        if (put(b, p->record, from, size, err) != 0)
            return -1;
    }
    return 0;
}

static int put_clock(const struct vm *vm, struct record_buffer *b, struct err *err)
{
    struct kvm_clock_data clock = {0};
    struct samara_platform page;
    struct saved_clock saved;

    if (KVM_CALL(vm->fd, KVM_GET_CLOCK, &clock, err) < 0)
        return -1;
    platform_read(&vm->platform, &page);
    saved = (struct saved_clock){.kvmclock_ns = clock.clock,
                                 .real_ns = page.wall_base_ns + clock.clock,
                                 .tsc_khz = page.tsc_khz};
    return put(b, RECORD_CLOCK, &saved, sizeof(saved), err);
}

/* --- devices --- */

static int put_device(struct virtio_device *dev, unsigned slot, struct record_buffer *b,
                      struct err *err)
{
    struct saved_virtio s = {.slot = slot,
                             .device_id = dev->ops->device_id,
                             .features = dev->ops->features,
                             .queue_count = dev->ops->queues,
                             .config_size = dev->ops->config_size,
                             .transport = dev->state};

    if (s.config_size > sizeof(s.config))
        s.config_size = sizeof(s.config);
    dev->ops->config_read(dev, 0, s.config, s.config_size);
    for (unsigned i = 0; i < dev->ops->queues; i++)
        s.queues[i] = dev->queues[i].state;
    return put(b, RECORD_VIRTIO, &s, sizeof(s), err);
}

static int put_vsock(const struct vm *vm, struct record_buffer *b, struct err *err)
{
    void *to = begin(b, vsock_saved_most(), err);

    if (!to)
        return -1;
    finish(b, RECORD_VSOCK, vsock_save(vm->vsock, to));
    return 0;
}

static int put_devices(struct vm *vm, struct record_buffer *b, struct err *err)
{
    if (put_device(vsock_device(vm->vsock), BOOT_VSOCK_SLOT, b, err) != 0)
        return -1;
    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        if (put_device(block_device(vm->disks[i].block), BOOT_DISK_SLOT + i, b, err) != 0)
            return -1;
    }
    for (unsigned i = 0; i < vm->config->net_count; i++) {
        if (put_device(net_device(vm->nets[i].net), BOOT_NET_SLOT + i, b, err) != 0)
            return -1;
    }
    return put_vsock(vm, b, err);
}

int snapshot_gather(struct vm *vm, bool diff, struct record_buffer *to, struct err *err)
{
    to->used = 0;
    if (diff && put(to, RECORD_PARENT, vm->restored->chain.path, strlen(vm->restored->chain.path),
                    err) != 0)
        return -1;
    if (put_config(vm, to, err) != 0 || put_vcpu(vm, to, err) != 0 || put_clock(vm, to, err) != 0)
        return -1;
    return put_devices(vm, to, err);
}
