/* See restored.h. */
#include "monitor/snapshot/restored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/virtio.h"
#include "monitor/boot.h"
#include "monitor/fd_close.h"
#include "monitor/kvm.h"
#include "monitor/snapshot/cpu_contract.h"
#include "monitor/vm.h"
#include "monitor/vm_setup.h"

/* --- with the caller's rights --- */

static int open_file(int dir, const char *name, struct err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return err_sys(err, "open %s", name);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        fd_close(&fd);
        return err_set(err, "%s: not a regular file", name);
    }
    return fd;
}

static int read_header(struct restored *r, struct err *err)
{
    _Alignas(8) uint8_t bytes[sizeof(r->header)];
    ssize_t n = pread(r->state_fd, bytes, sizeof(bytes), 0);

    if (n < 0)
        return err_sys(err, "read state");
    return snapshot_header_parse(bytes, (size_t)n, &r->header, err);
}

static int open_all(struct restored *r, int dir, struct err *err)
{
    r->state_fd = open_file(dir, "state", err);
    if (r->state_fd < 0)
        return -1;
    r->memory_fd = open_file(dir, "memory", err);
    return r->memory_fd < 0 ? -1 : read_header(r, err);
}

int restored_open(struct restored *r, const char *path, struct err *err)
{
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), result;

    r->path = path;
    if (dir < 0)
        return err_sys(err, "%s", path);
    result = open_all(r, dir, err);
    close(dir);
    if (result == 0 && r->header.flags & SNAPSHOT_DIFF)
        result = err_set(err, "it holds only what has changed since another one");
    return result == 0 ? 0 : err_in(err, "%s", path);
}

void restored_close(struct restored *r)
{
    fd_close(&r->state_fd);
    fd_close(&r->memory_fd);
}

/* --- in the monitor: the state --- */

static int read_state(struct restored *r, struct err *err)
{
    const size_t size = (size_t)r->header.file_size;
    ssize_t n;

    if (r->header.file_size > SNAPSHOT_STATE_MOST)
        return err_set(err, "state: %llu bytes are too many",
                       (unsigned long long)r->header.file_size);
    r->bytes = malloc(size);
    if (!r->bytes)
        return err_sys(err, "memory for the state");
    n = pread(r->state_fd, r->bytes, size, 0);
    if (n < 0)
        return err_sys(err, "read state");
    return snapshot_state_parse(r->bytes, (size_t)n, &r->state, err);
}

static int check_memory_file(const struct restored *r, struct err *err)
{
    struct stat st;

    if (fstat(r->memory_fd, &st) != 0 || (uint64_t)st.st_size != r->header.memory)
        return err_set(err, "memory: not of %llu bytes", (unsigned long long)r->header.memory);
    return 0;
}

static const struct snapshot_record *record(const struct restored *r, uint32_t kind)
{
    return snapshot_find(&r->state, kind, 0);
}

static int take_cpuid(const struct restored *r, struct cpuid_table *cpuid, struct err *err)
{
    static struct cpuid_table then;
    const struct snapshot_record *from = record(r, RECORD_CPUID);

    if (from->size > sizeof(then.entries))
        return err_set(err, "state: too many leaves of CPUID");
    then.head.nent = (uint32_t)(from->size / sizeof(then.entries[0]));
    memcpy(then.entries, from->payload, from->size);
    if (cpu_contract_check(&then, cpuid, err) != 0)
        return -1;
    *cpuid = then;
    return 0;
}

static int take_vcpu(struct restored *r, struct err *err)
{
    for (unsigned i = 0; i < VCPU_PARTS; i++) {
        const struct vcpu_part *p = &vcpu_parts[i];
        const struct snapshot_record *from = record(r, p->record);

        if (p->record == RECORD_MSRS) {
            if (vcpu_take_msrs(&r->vcpu.msrs, (const void *)from->payload,
                               from->size / sizeof(struct kvm_msr_entry), err) != 0)
                return err_in(err, "state");
        } else if (from->size != p->size) {
            return err_set(err, "state: %s has %zu bytes, not %zu", snapshot_record_name(p->record),
                           from->size, p->size);
        } else {
            memcpy((uint8_t *)&r->vcpu + p->offset, from->payload, p->size);
        }
    }
    return 0;
}

/* The header once more, of the same bytes as the rest. */
static int check_header(const struct restored *r, struct err *err)
{
    return r->state.header.memory == r->header.memory && r->state.header.flags == r->header.flags
               ? 0
               : err_set(err, "state: it changed while it was read");
}

int restored_read(struct restored *r, struct cpuid_table *cpuid, struct err *err)
{
    if (read_state(r, err) != 0 || check_header(r, err) != 0 ||
        snapshot_records_check(&r->state, err) != 0 || check_memory_file(r, err) != 0 ||
        take_cpuid(r, cpuid, err) != 0 || take_vcpu(r, err) != 0)
        return err_in(err, "%s", r->path);
    return 0;
}

void restored_program(const struct restored *r, char *to, size_t size)
{
    const struct snapshot_record *from = record(r, RECORD_CONFIG);
    const struct saved_config *c = (const void *)from->payload;
    size_t length = c->program_size < size ? c->program_size : size - 1;

    memcpy(to, c + 1, length);
    to[length] = '\0';
}

/* --- memory --- */

int restored_map(const struct restored *r, uint8_t *ram, struct err *err)
{
    size_t count;
    const struct saved_extent *extents = snapshot_extents(&r->state, &count);

    for (size_t i = 0; i < count; i++) {
        const struct saved_extent *e = &extents[i];

        if (mmap(ram + e->offset, e->size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, r->memory_fd,
                 (off_t)e->offset) == MAP_FAILED)
            return err_sys(err, "%s: memory: map", r->path);
    }
    return 0;
}

/* --- devices --- */

static struct virtio_device *device_at(const struct vm *vm, uint32_t slot)
{
    if (slot == BOOT_VSOCK_SLOT)
        return vsock_device(vm->vsock);
    if (slot >= BOOT_DISK_SLOT && slot - BOOT_DISK_SLOT < vm->config->disk_count)
        return block_device(vm->disks[slot - BOOT_DISK_SLOT].block);
    if (slot >= BOOT_NET_SLOT && slot - BOOT_NET_SLOT < vm->config->net_count)
        return net_device(vm->nets[slot - BOOT_NET_SLOT].net);
    return NULL;
}

static int load_device(const struct vm *vm, const struct saved_virtio *s, struct err *err)
{
    struct virtio_device *dev = device_at(vm, s->slot);

    if (!dev)
        return err_set(err, "it has a device in slot %u, for which nothing was given (%s)", s->slot,
                       s->slot < BOOT_NET_SLOT ? "--disk" : "--net");
    if (dev->ops->device_id != s->device_id || dev->ops->queues != s->queue_count)
        return err_set(err, "%s: a device of another kind was there", dev->ops->name);
    return virtio_load(dev, &s->transport, s->queues, err);
}

static unsigned device_count(const struct vm *vm)
{
    return 1 + vm->config->disk_count + vm->config->net_count;
}

static int load_devices(const struct restored *r, struct vm *vm, struct err *err)
{
    const struct snapshot_record *from, *vsock = record(r, RECORD_VSOCK);
    unsigned count = 0;

    for (; (from = snapshot_find(&r->state, RECORD_VIRTIO, count)) != NULL; count++) {
        if (load_device(vm, (const void *)from->payload, err) != 0)
            return -1;
    }
    if (count != device_count(vm))
        return err_set(err, "it has %u devices, and %u were given (--disk, --net)", count,
                       device_count(vm));
    return vsock_load(vm->vsock, vsock->payload, vsock->size, err);
}

static void go_on(const struct restored *r, const struct vm *vm)
{
    const struct snapshot_record *from;

    for (unsigned i = 0; (from = snapshot_find(&r->state, RECORD_VIRTIO, i)) != NULL; i++) {
        const struct saved_virtio *s = (const void *)from->payload;

        virtio_go_on(device_at(vm, s->slot));
    }
}

/* --- the rest of the machine --- */

/* The guest's clock goes on from where it stood. */
static int load_clock(const struct restored *r, const struct vm *vm, struct err *err)
{
    const struct saved_clock *s = (const void *)record(r, RECORD_CLOCK)->payload;
    struct kvm_clock_data clock = {.clock = s->kvmclock_ns};

    return KVM_CALL(vm->fd, KVM_SET_CLOCK, &clock, err);
}

/* who NULL: somebody that is made up here. */
static int load_all(const struct restored *r, struct vm *vm, const struct control_reset *who,
                    struct err *err)
{
    if (load_clock(r, vm, err) != 0 || vcpu_load(&vm->vcpu, &r->vcpu, err) != 0 ||
        load_devices(r, vm, err) != 0 || vm_renew_platform(vm, who, err) != 0)
        return -1;
    go_on(r, vm);
    kvm_send_msi(vm->fd, SAMARA_VECTOR_PLATFORM); /* somebody new: see abi/platform.h */
    return 0;
}

int restored_reload(const struct restored *r, struct vm *vm, const struct control_reset *who,
                    struct err *err)
{
    return load_all(r, vm, who, err);
}

/* Loaded anew, the local APIC knows of no interrupt that was sent since; one too many does no harm.
 */
static void interrupt_all(const struct restored *r, const struct vm *vm)
{
    const struct snapshot_record *from;

    for (unsigned i = 0; (from = snapshot_find(&r->state, RECORD_VIRTIO, i)) != NULL; i++) {
        const struct saved_virtio *s = (const void *)from->payload;
        const struct virtio_device *dev = device_at(vm, s->slot);

        dev->host.irq(dev->host.ctx);
    }
    kvm_send_msi(vm->fd, SAMARA_VECTOR_PLATFORM);
}

int restored_wake(const struct restored *r, struct vm *vm, struct err *err)
{
    if (load_clock(r, vm, err) != 0 || vcpu_load(&vm->vcpu, &r->vcpu, err) != 0)
        return -1;
    platform_set_wall(&vm->platform, (uint64_t)(vm->real_offset_ns + vm_clock_offset(vm)));
    interrupt_all(r, vm);
    return 0;
}

int restored_load(const struct restored *r, struct vm *vm, struct err *err)
{
    int result;

    device_lock_take(&vm->lock);
    result = load_all(r, vm, NULL, err);
    device_lock_release(&vm->lock);
    return result == 0 ? 0 : err_in(err, "%s", r->path);
}
