/*
 * See vm_setup.h. The order of what KVM does is measured (a memslot after an in-kernel bus device
 * costs milliseconds, a vCPU without an interrupt controller three times one with): memory and
 * memslots, split irqchip, vCPU. No ioeventfd: closing a young VM that has one takes 11 ms.
 */
#include "monitor/vm_setup.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "abi/virtio_vsock.h"
#include "monitor/boot.h"
#include "monitor/clock.h"
#include "monitor/fd_close.h"
#include "monitor/kvm.h"
#include "monitor/role_fd.h"
#include "monitor/snapshot/dirty_log.h"
#include "monitor/snapshot/touched.h"
#include "monitor/snapshot/working_record.h"
#include "monitor/warn.h"

enum { PAGE = 4096, IOAPIC_PINS = 24 };

/* KVM_CAP_PRE_FAULT_MEMORY (Linux 6.11): only where the processor walks two sets of tables. */
enum { MAPS_BEFOREHAND = 236 };

/* --- memory --- */

static int map_ram(struct vm *vm, uint64_t size, struct err *err)
{
    void *ram = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (ram == MAP_FAILED)
        return err_sys(err, "memory: map %llu MiB", (unsigned long long)(size >> 20));
    vm->ram = ram;
    vm->ram_size = size;
    return 0;
}

static int add_regions(struct vm *vm, struct err *err)
{
    uint64_t low = ram_below_hole(vm->ram_size);

    if (guest_mem_add(&vm->mem, 0, low, vm->ram, err) != 0)
        return -1;
    if (vm->ram_size > low)
        return guest_mem_add(&vm->mem, SAMARA_RAM_HIGH_BASE, vm->ram_size - low, vm->ram + low,
                             err);
    return 0;
}

static int add_memslots(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->mem.count; i++) {
        const struct guest_region *from = &vm->mem.regions[i];
        struct kvm_userspace_memory_region slot = {.slot = i,
                                                   .guest_phys_addr = from->gpa,
                                                   .memory_size = from->size,
                                                   .userspace_addr =
                                                       (uint64_t)(uintptr_t)from->host};

        if (KVM_CALL(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot, err) < 0)
            return -1;
    }
    return 0;
}

int vm_map_memory(struct vm *vm, struct err *err)
{
    if (map_ram(vm, vm->config->memory, err) != 0)
        return -1;
    copies_open(&vm->copies, vm->ram_size);
    return add_regions(vm, err);
}

/* --- the machine --- */

int vm_make_machine(struct vm *vm, struct err *err)
{
    struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {IOAPIC_PINS}};

    vm->fd = KVM_CALL_VALUE(vm->kvm, KVM_CREATE_VM, 0, err);
    if (vm->fd < 0 || role_fd(&vm->fd, FD_VM, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "create VM");
    if (add_memslots(vm, err) != 0)
        return -1;
    vm->can_log = dirty_log_offered(vm);
    vm->shadows = KVM_CALL_VALUE(vm->kvm, KVM_CHECK_EXTENSION, MAPS_BEFOREHAND, NULL) <= 0;
    trace_step(&vm->trace, TRACE_MACHINE, "memslots");
    if (KVM_CALL(vm->fd, KVM_ENABLE_CAP, &split, err) < 0)
        return -1;
    if (vcpu_create(&vm->vcpu, vm->kvm, vm->fd, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "vCPU");
    return 0;
}

/* --- the platform page --- */

void vm_resize(struct vm *vm)
{
    uint16_t rows, cols;

    terminal_size(&vm->opened.terminal, &rows, &cols);
    if (vm->opened.terminal.fd >= 0)
        platform_resize(&vm->platform, rows, cols);
}

int64_t vm_clock_offset(const struct vm *vm)
{
    struct kvm_clock_data clock = {0};
    int64_t before = clock_ns(CLOCK_MONOTONIC);

    if (KVM_CALL(vm->fd, KVM_GET_CLOCK, &clock, NULL) < 0)
        return 0;
    return before - (int64_t)clock.clock;
}

static int make_up(struct control_reset *who, struct err *err)
{
    return getrandom(who, sizeof(*who), 0) == sizeof(*who) ? 0 : err_sys(err, "getrandom");
}

/* Confined, a monitor knows no other clock: the difference is taken before. */
static void set_up_platform(struct vm *vm, const struct control_reset *who,
                            struct platform_setup *setup)
{
    const struct vm_config *c = vm->config;

    *setup = (struct platform_setup){.flags = (c->verbose ? SAMARA_FLAG_VERBOSE : 0u) |
                                              (c->trace_path ? SAMARA_FLAG_TRACE : 0u) |
                                              vm->opened.terminal.flags | vm->opened.closed_flags,
                                     .terminal = vm->opened.terminal.modes};
    terminal_size(&vm->opened.terminal, &setup->rows, &setup->cols);
    setup->wall_base_ns = (uint64_t)(vm->real_offset_ns + vm_clock_offset(vm));
    memcpy(setup->seed, who->seed, sizeof(setup->seed));
    memcpy(setup->generation_id, who->generation, sizeof(setup->generation_id));
}

static void compare_clocks(struct vm *vm)
{
    vm->real_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

static int write_platform(struct vm *vm, struct err *err)
{
    struct platform_setup setup;
    struct control_reset who;

    if (make_up(&who, err) != 0)
        return -1;
    set_up_platform(vm, &who, &setup);
    return platform_init(&vm->platform, &vm->mem, &setup, err);
}

int vm_renew_platform(struct vm *vm, const struct control_reset *who, struct err *err)
{
    struct platform_setup setup;
    struct control_reset made_up;

    if (!who && make_up(&made_up, err) != 0)
        return -1;
    set_up_platform(vm, who ? who : &made_up, &setup);
    return platform_renew(&vm->platform, &vm->mem, &setup, err);
}

/* --- devices --- */

static void raise_vsock(void *ctx)
{
    const struct vm *vm = ctx;

    kvm_send_msi(vm->fd, SAMARA_VECTOR_VIRTIO + BOOT_VSOCK_SLOT);
}

/* Under the device lock. Output that the program has been told is written may be among it. */
static void stdio_failed(void *arg, int number, int reason)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    struct vm *vm = arg;
    struct err line;

    err_set(&line, "%s: %s", names[number], strerror(reason));
    warn_now(line.text);
    vm->output_lost |= number != STDIN_FILENO;
    platform_stdio_failed(&vm->platform, number, reason);
}

void vm_log_line(void *ctx, const char *line)
{
    (void)ctx;
    warn_now(line);
}

_Static_assert(SAMARA_GUEST_CID > VSOCK_HOST_CID && SAMARA_GUEST_CID < UINT32_MAX,
               "not one of the reserved (Virtio 1.2, 5.10.4)");

/* Under the device lock. */
static void guest_spoke(void *arg)
{
    struct vm *vm = arg;

    if (vm->restored && vm->restored->record_fd >= 0)
        working_record(vm);
}

static int add_vsock(struct vm *vm, struct err *err)
{
    struct vsock_config config = {
        .guest_cid = SAMARA_GUEST_CID,
        .dial = vm->config->vsock_path || vm->config->snapshot_path ? vm->dial : NULL,
        .dial_arg = vm->dial_arg,
        .stdio_failed = stdio_failed,
        .stdio_arg = vm,
        .spoke = guest_spoke,
        .spoke_arg = vm};
    const struct virtio_host host = {
        .mem = &vm->mem, .irq = raise_vsock, .log = vm_log_line, .ctx = vm};

    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        config.listen_fds[i] = vm->opened.vsock_listeners[i].fd;
    memcpy(config.stdio, vm->opened.stdio, sizeof(config.stdio));
    vm->vsock = vsock_new(&config, &host, &vm->loop, err);
    if (!vm->vsock)
        return -1;
    for (int fd = 0; fd < 3; fd++)
        vm->opened.stdio[fd] = STREAM_CLOSED;
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        vm->opened.vsock_listeners[i].fd = -1;
    return mmio_bus_add(&vm->bus, SAMARA_GPA_VIRTIO, VIRTIO_MMIO_SIZE, &virtio_mmio_ops,
                        vsock_device(vm->vsock), err);
}

static void raise_disk(void *ctx)
{
    const struct vm_disk *d = ctx;

    kvm_send_msi(d->vm->fd, SAMARA_VECTOR_VIRTIO + BOOT_DISK_SLOT + d->number);
}

static int add_disk(struct vm *vm, unsigned number, struct err *err)
{
    struct vm_disk *d = &vm->disks[number];
    struct disk *disk = &vm->opened.disks[number];
    const uint64_t at = SAMARA_GPA_VIRTIO + (BOOT_DISK_SLOT + number) * SAMARA_VIRTIO_STRIDE;
    const struct virtio_host host = {
        .mem = &vm->mem, .irq = raise_disk, .log = vm_log_line, .ctx = d};
    struct block_config config = {.number = number,
                                  .id = vm->config->disks[number].id,
                                  .rate = vm->config->disks[number].rate};

    if (role_fd(&disk->fd, FD_DISKS + number, err) != 0 ||
        (disk->overlay_fd >= 0 && role_fd(&disk->overlay_fd, FD_OVERLAYS + number, err) != 0))
        return -1;
    if (disk_start(disk, err) != 0)
        return err_in(err, "disk %u: its overlay", number);
    if (vm->restored && restored_put_disk(vm->restored, number, disk, err) != 0)
        return err_in(err, "disk %u", number);
    config.disk = *disk;
    d->vm = vm;
    d->number = number;
    worker_init(&d->worker, &vm->lock);
    d->block = block_new(&config, &host, &d->worker, &vm->loop, err);
    if (!d->block)
        return -1;
    *disk = (struct disk)DISK_NONE;
    return mmio_bus_add(&vm->bus, at, VIRTIO_MMIO_SIZE, &virtio_mmio_ops, block_device(d->block),
                        err);
}

static int add_disks(struct vm *vm, struct err *err)
{
    bool kept = false;

    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        if (add_disk(vm, i, err) != 0)
            return -1;
        kept |= block_disk(vm->disks[i].block)->overlay != NULL;
    }
    if (kept)
        disk_copies_open(&vm->disk_copies);
    return 0;
}

static int add_loop(struct vm *vm, struct err *err)
{
    if (loop_init(&vm->loop, &vm->lock, err) != 0 ||
        role_fd(&vm->loop.epoll_fd, FD_EPOLL, err) != 0)
        return -1;
    return role_fd(&vm->loop.timer_fd, FD_TIMER, err);
}

int vm_make_devices(struct vm *vm, struct err *err)
{
    mmio_bus_init(&vm->bus, &vm->lock);
    if (add_loop(vm, err) != 0)
        return -1;
    if (mmio_bus_add(&vm->bus, SAMARA_GPA_DOORBELL, PAGE, &platform_doorbell_ops, &vm->platform,
                     err) != 0)
        return -1;
    if (add_vsock(vm, err) != 0 || add_disks(vm, err) != 0 || vm_add_nets(vm, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_ROOM, "devices");
    return 0;
}

/* --- what others start from --- */

int vm_load_cpuid(struct vm *vm, struct err *err)
{
    if (cpuid_load(&vm->cpuid, vm->kvm, &vm->opened.cpuid_cache, err) != 0)
        return -1;
    cpuid_cache_close(&vm->opened.cpuid_cache);
    trace_step(&vm->trace, TRACE_ROOM, "CPUID");
    return 0;
}

/* While /proc can still be reached; without it snapshots take longer. */
int vm_open_pagemap(struct vm *vm, struct err *err)
{
    vm->pagemap = touched_open(vm->opened.proc);
    return vm->pagemap >= 0 ? role_fd(&vm->pagemap, FD_PAGEMAP, err) : 0;
}

int vm_check_files(struct vm *vm, struct err *err)
{
    const struct vm_config *c = vm->config;

    if (vm->restored) {
        if (restored_read(vm->restored, &vm->cpuid, err) != 0)
            return -1;
        restored_program(vm->restored, vm->opened.program.path, sizeof(vm->opened.program.path));
        trace_step(&vm->trace, TRACE_ROOM, "files");
        return 0;
    }
    vm->program_status = program_check(&vm->opened.program, c->program, c->memory, err);
    if (vm->program_status != 0)
        return -1;
    if (kernel_image_read(&vm->opened.kernel, c->kernel_path, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_ROOM, "files");
    return 0;
}

/* --- the first instruction --- */

int vm_load_memory(struct vm *vm, struct err *err)
{
    struct vm_opened *o = &vm->opened;
    const struct boot boot = {vm->config, &o->program, &o->kernel, &vm->mem, vm->ram, vm->ram_size};

    if (vm->restored) {
        if (restored_map(vm->restored, vm->ram, err) != 0)
            return -1;
        trace_step(&vm->trace, TRACE_MACHINE, "contents of memory");
        return 0;
    }
    if (boot_load(&boot, &vm->loaded, err) != 0)
        return -1;
    kernel_image_close(&o->kernel);
    fd_close(&o->program.fd); /* its path stays */
    trace_step(&vm->trace, TRACE_MACHINE, "contents of memory");
    return 0;
}

int vm_set_features(struct vm *vm, struct err *err)
{
    const struct elf_image *kernel = &vm->opened.kernel.elf;
    uint64_t syscall_entry = kernel->has_samara_note ? kernel->note.syscall_entry : 0;

    if (vcpu_set_features(&vm->vcpu, vm->kvm, &vm->cpuid, syscall_entry, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "features");
    return 0;
}

int vm_set_start(struct vm *vm, struct err *err)
{
    compare_clocks(vm);
    if (vm->restored) {
        if (restored_load(vm->restored, vm, err) != 0)
            return -1;
        chain_close(&vm->restored->chain);
        trace_step(&vm->trace, TRACE_MACHINE, "state");
        return 0;
    }
    if (vm->loaded.vsock.queues > 0 &&
        virtio_preset_apply(&vm->loaded.vsock, &vm->bus, SAMARA_GPA_VIRTIO, err) != 0)
        return -1;
    if (vcpu_set_start(&vm->vcpu, vm->kvm, &vm->cpuid, &vm->loaded.start, err) != 0 ||
        write_platform(vm, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "registers");
    return 0;
}
