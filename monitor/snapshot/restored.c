/* See restored.h. */
#include "monitor/snapshot/restored.h"

#include <string.h>
#include <sys/mman.h>

#include "abi/virtio.h"
#include "monitor/boot.h"
#include "monitor/clock.h"
#include "monitor/kvm.h"
#include "monitor/populate.h"
#include "monitor/snapshot/cpu_contract.h"
#include "monitor/snapshot/disk_record.h"
#include "monitor/vcpu_touch.h"
#include "monitor/vm.h"
#include "monitor/vm_setup.h"
#include "monitor/warn.h"

enum { PAGE = 4096, TOUCHED_MOST = 2048, TURN_PAGES = 256 };

/* --- in the monitor: the state --- */

static const struct snapshot_record *record(const struct restored *r, uint32_t kind)
{
    return snapshot_find(&r->states[0], kind, 0);
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

int restored_read_states(struct restored *r, struct err *err)
{
    size_t extents = 0;

    for (unsigned i = 0; i < r->chain.count; i++) {
        size_t count = 0;

        if (chain_read(&r->chain.layers[i], &r->states[i], err) != 0)
            return i == 0 ? -1 : err_in(err, "layer %u beneath it", i);
        snapshot_extents(&r->states[i], &count);
        extents += count;
    }
    r->count = r->chain.count;
    return extents <= SNAPSHOT_EXTENTS_MOST
               ? 0
               : err_set(err, "%zu pieces of memory are more than Linux maps (`samara flatten`)",
                         extents);
}

/* A bad one is no reason not to run. */
static void read_working_set(struct restored *r)
{
    struct err line = {.text = ""};

    if (r->chain.working_fd < 0 ||
        working_set_read(&r->working, r->chain.working_fd, &r->chain.layers[0].header, &line) == 0)
        return;
    err_in(&line, "%s", r->chain.path);
    warn_now(line.text);
}

int restored_read(struct restored *r, struct cpuid_table *cpuid, struct err *err)
{
    if (restored_read_states(r, err) != 0 || take_cpuid(r, cpuid, err) != 0 ||
        take_vcpu(r, err) != 0)
        return err_in(err, "%s", r->chain.path);
    read_working_set(r);
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

/* --- disks --- */

_Static_assert((int)SNAPSHOT_DISKS_MOST == (int)VM_DISKS &&
                   (int)SNAPSHOT_DISK_SLOT == (int)BOOT_DISK_SLOT,
               "what is in a snapshot is a machine's");

/* The overlay that one layer has. Its descriptor becomes the overlay's. */
static struct overlay *open_layer(struct restored *r, unsigned layer, unsigned number, int base_fd,
                                  const struct overlay_base *base, struct err *err)
{
    const struct saved_disk *saved = snapshot_disk(&r->states[layer], number);
    int *fd = &r->chain.layers[layer].disks[number];
    struct overlay *overlay;

    if (!saved || *fd < 0) {
        err_set(err, "disk-%u: %s", number,
                saved ? "No such file" : "it is not of this snapshot, or of all its layers");
        return NULL;
    }
    overlay = overlay_load(*fd, base_fd, base, err);
    if (!overlay) {
        err_in(err, "disk-%u", number);
        return NULL;
    }
    if (disk_record_check(saved, overlay, err) != 0) {
        overlay_free(overlay);
        return NULL;
    }
    *fd = -1;
    return overlay;
}

/* All layers', upon each other; NULL with err. */
static struct overlay *open_layers(struct restored *r, unsigned number, int base_fd,
                                   const struct overlay_base *base, struct err *err)
{
    struct overlay *below = NULL;

    for (unsigned layer = r->count; layer-- > 0;) {
        struct overlay *overlay = open_layer(r, layer, number, base_fd, base, err);

        if (!overlay) {
            overlay_free(below);
            if (layer > 0)
                err_in(err, "layer %u beneath it", layer);
            return NULL;
        }
        if (below)
            overlay_put_upon(overlay, below);
        below = overlay;
    }
    return below;
}

int restored_open_disk(struct restored *r, unsigned number, struct overlay **overlay,
                       struct err *err)
{
    const struct saved_disk *saved = snapshot_disk(&r->states[0], number);

    *overlay = saved ? open_layers(r, number, -1, &saved->base, err) : NULL;
    return saved && !*overlay ? -1 : 0;
}

static int check_disk(const struct restored *r, unsigned number, const struct disk *disk,
                      struct err *err)
{
    const struct saved_disk *saved = snapshot_disk(&r->states[0], number);

    if (!disk->overlay)
        return saved ? err_set(err, "it could be written when the snapshot was taken (without "
                                    "',ro' it has an overlay of its own)")
                     : 0;
    if (!saved)
        return err_set(err, "it was only read when the snapshot was taken (',ro'), or not there");
    if (overlay_count(disk->overlay, OVERLAY_OWN) > 0)
        return err_set(err, "its overlay has something in it already: a clone begins with a new "
                            "one");
    return 0;
}

int restored_put_disk(struct restored *r, unsigned number, struct disk *disk, struct err *err)
{
    struct overlay *layers;

    if (check_disk(r, number, disk, err) != 0)
        return -1;
    if (!disk->overlay)
        return 0;
    layers = open_layers(r, number, disk->fd, &disk->base, err);
    if (!layers)
        return err_in(err, "%s", r->chain.path);
    overlay_put_upon(disk->overlay, layers);
    return 0;
}

/* --- memory --- */

const struct saved_extent *restored_extents(const struct restored *r, unsigned layer, size_t *count)
{
    return layer < r->count ? snapshot_extents(&r->states[layer], count) : NULL;
}

/* Zeroes that hide what is beneath are memory of nobody's yet. */
static bool map_extent(const struct saved_extent *e, int memory, uint8_t *ram)
{
    const int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
    bool data = e->kind == EXTENT_DATA;

    return mmap(ram + e->offset, e->size, PROT_READ | PROT_WRITE,
                data ? flags : flags | MAP_ANONYMOUS, data ? memory : -1,
                data ? (off_t)e->offset : 0) != MAP_FAILED;
}

int restored_map(const struct restored *r, uint8_t *ram, struct err *err)
{
    for (unsigned layer = r->chain.count; layer-- > 0;) {
        size_t count = 0;
        const struct saved_extent *extents = restored_extents(r, layer, &count);

        for (size_t i = 0; i < count; i++) {
            if (!map_extent(&extents[i], r->chain.layers[layer].memory_fd, ram))
                return err_sys(err, "%s: memory: map", r->chain.path);
        }
    }
    return 0;
}

void restored_populate(const struct restored *r, enum working_kind kind, uint8_t *ram)
{
    int advice = kind == WORKING_WRITTEN ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

    for (uint32_t i = 0; i < r->working.head.count; i++) {
        const struct working_extent *e = &r->working.extents[i];

        if (e->kind == kind)
            madvise(ram + e->offset, (size_t)e->pages * PAGE, advice);
    }
}

bool restored_populate_some(const struct restored *r, struct working_cursor *at, uint8_t *ram)
{
    const struct working_set *set = &r->working;
    uint32_t left = TURN_PAGES;

    while (at->extent < set->head.count && left > 0) {
        const struct working_extent *e = &set->extents[at->extent];
        uint32_t pages = e->pages - at->page < left ? e->pages - at->page : left;

        if (e->kind == WORKING_WRITTEN) {
            madvise(ram + e->offset + (uint64_t)at->page * PAGE, (size_t)pages * PAGE,
                    MADV_POPULATE_WRITE);
            left -= pages;
        } else {
            pages = e->pages - at->page;
        }
        at->page += pages;
        if (at->page == e->pages)
            *at = (struct working_cursor){.extent = at->extent + 1};
    }
    return at->extent < set->head.count;
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

/* What the guest has read of it holds; but where an interface is, and whether its link is up, it is
 * told. */
static int check_configuration(struct virtio_device *dev, const struct saved_virtio *s,
                               struct err *err)
{
    uint8_t now[sizeof(s->config)] = {0};

    if (s->config_size != dev->ops->config_size || s->device_id == VIRTIO_ID_NET)
        return s->device_id == VIRTIO_ID_NET
                   ? 0
                   : err_set(err, "%s: its configuration is of another size", dev->ops->name);
    dev->ops->config_read(dev, 0, now, s->config_size);
    return memcmp(now, s->config, s->config_size) == 0
               ? 0
               : err_set(err, "%s: it is not like the one that was there (of another size?)",
                         dev->ops->name);
}

static int load_device(const struct vm *vm, const struct saved_virtio *s, struct err *err)
{
    struct virtio_device *dev = device_at(vm, s->slot);

    if (!dev)
        return err_set(err, "it has a device in slot %u, for which nothing was given (%s)", s->slot,
                       s->slot < BOOT_NET_SLOT ? "--disk" : "--net");
    if (dev->ops->device_id != s->device_id || dev->ops->queues != s->queue_count)
        return err_set(err, "%s: a device of another kind was there", dev->ops->name);
    if (virtio_load(dev, &s->transport, s->queues, err) != 0)
        return -1;
    if (s->device_id == VIRTIO_ID_NET)
        net_keep_mac(vm->nets[s->slot - BOOT_NET_SLOT].net, s->config);
    return check_configuration(dev, s, err);
}

static unsigned device_count(const struct vm *vm)
{
    return 1 + vm->config->disk_count + vm->config->net_count;
}

static int load_devices(const struct restored *r, struct vm *vm, struct err *err)
{
    const struct snapshot_record *from, *vsock = record(r, RECORD_VSOCK);
    unsigned count = 0;

    for (; (from = snapshot_find(&r->states[0], RECORD_VIRTIO, count)) != NULL; count++) {
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

    for (unsigned i = 0; (from = snapshot_find(&r->states[0], RECORD_VIRTIO, i)) != NULL; i++) {
        const struct saved_virtio *s = (const void *)from->payload;

        virtio_go_on(device_at(vm, s->slot));
        if (s->device_id == VIRTIO_ID_NET)
            net_announce(vm->nets[s->slot - BOOT_NET_SLOT].net);
    }
}

/* --- the rest of the machine --- */

/* For how long it has not been, if that is to count. */
static uint64_t passed_ns(const struct saved_clock *then, const struct vm *vm)
{
    uint64_t now = (uint64_t)(clock_ns(CLOCK_MONOTONIC) + vm->real_offset_ns);

    return vm->config->clock_elapsed && now > then->real_ns ? now - then->real_ns : 0;
}

static uint64_t ticks(uint64_t ns, uint64_t khz)
{
    return (uint64_t)((unsigned __int128)ns * khz / 1000000);
}

/* The guest's clock goes on from where it stood, or as if it had not. *passed: by how many ticks.
 */
static int load_clock(const struct restored *r, const struct vm *vm, uint64_t *passed,
                      struct err *err)
{
    const struct saved_clock *s = (const void *)record(r, RECORD_CLOCK)->payload;
    uint64_t ns = passed_ns(s, vm);
    struct kvm_clock_data clock = {.clock = s->kvmclock_ns + ns};

    *passed = ticks(ns, s->tsc_khz);
    return KVM_CALL(vm->fd, KVM_SET_CLOCK, &clock, err);
}

/* who NULL: somebody that is made up here. */
static int load_all(const struct restored *r, struct vm *vm, const struct control_reset *who,
                    struct err *err)
{
    uint64_t passed;

    if (load_clock(r, vm, &passed, err) != 0 || vcpu_load(&vm->vcpu, &r->vcpu, passed, err) != 0 ||
        load_devices(r, vm, err) != 0 || vm_renew_platform(vm, who, err) != 0)
        return -1;
    go_on(r, vm);
    kvm_send_msi(vm->fd, SAMARA_VECTOR_PLATFORM); /* somebody new: see abi/platform.h */
    return 0;
}

/* --- before it is parked --- */

static uint64_t in_window(uint64_t offset)
{
    return SAMARA_WINDOW + (offset < SAMARA_RAM_LOW_END
                                ? offset
                                : offset - SAMARA_RAM_LOW_END + SAMARA_RAM_HIGH_BASE);
}

static void touch_all(const struct working_set *set, struct vm *vm, uint64_t routine)
{
    uint32_t left = TOUCHED_MOST;

    for (uint32_t i = 0; i < set->head.count && left > 0; i++) {
        const struct working_extent *e = &set->extents[i];
        uint32_t pages = e->pages < left ? e->pages : left;

        if (!vcpu_touch(&vm->vcpu, routine, in_window(e->offset), pages,
                        e->kind == WORKING_WRITTEN))
            return;
        left -= pages;
    }
}

int restored_touch(const struct restored *r, struct vm *vm, struct err *err)
{
    struct samara_platform page;

    restored_populate(r, WORKING_READ, vm->ram);
    platform_read(&vm->platform, &page);
    if (r->working.head.count == 0 || page.touch == 0)
        return 0;
    if (vcpu_touch_begin(&vm->vcpu, &r->vcpu, err) != 0)
        return -1;
    touch_all(&r->working, vm, page.touch);
    return vcpu_touch_end(&vm->vcpu, &r->vcpu, err);
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

    for (unsigned i = 0; (from = snapshot_find(&r->states[0], RECORD_VIRTIO, i)) != NULL; i++) {
        const struct saved_virtio *s = (const void *)from->payload;
        const struct virtio_device *dev = device_at(vm, s->slot);

        dev->host.irq(dev->host.ctx);
    }
    kvm_send_msi(vm->fd, SAMARA_VECTOR_PLATFORM);
}

int restored_wake(const struct restored *r, struct vm *vm, struct err *err)
{
    uint64_t passed;

    if (load_clock(r, vm, &passed, err) != 0 ||
        vcpu_load_time(&vm->vcpu, &r->vcpu, passed, err) != 0)
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
    return result == 0 ? 0 : err_in(err, "%s", r->chain.path);
}
