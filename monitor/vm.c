/*
 * See vm.h. The order of set-up is measured (a memslot after an in-kernel bus device costs
 * milliseconds, a vCPU without an interrupt controller three times one with): memory and memslots,
 * split irqchip, vCPU, devices. No ioeventfd: closing a young VM that has one takes 11 ms.
 */
#include "monitor/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "monitor/boot.h"
#include "monitor/kvm.h"

enum { PAGE = 4096, IOAPIC_PINS = 24, LOOP_STACK = 128 << 10 };

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

static int add_memslot(struct vm *vm, uint64_t at, uint64_t size, uint8_t *host, struct err *err)
{
    struct kvm_userspace_memory_region region = {.slot = vm->mem.count,
                                                 .guest_phys_addr = at,
                                                 .memory_size = size,
                                                 .userspace_addr = (uint64_t)(uintptr_t)host};

    if (guest_mem_add(&vm->mem, at, size, host, err) != 0)
        return -1;
    return KVM_CALL(vm->fd, KVM_SET_USER_MEMORY_REGION, &region, err);
}

static int add_memslots(struct vm *vm, struct err *err)
{
    uint64_t low = vm->ram_size < SAMARA_RAM_LOW_END ? vm->ram_size : SAMARA_RAM_LOW_END;

    if (add_memslot(vm, 0, low, vm->ram, err) < 0)
        return -1;
    if (vm->ram_size > low)
        return add_memslot(vm, SAMARA_RAM_HIGH_BASE, vm->ram_size - low, vm->ram + low, err);
    return 0;
}

/* --- the platform page --- */

static bool terminal_size(int fd, struct winsize *size)
{
    return ioctl(fd, TIOCGWINSZ, size) == 0;
}

/* Which of stdio are terminals, and the size of the first. */
static void describe_terminals(struct platform_setup *setup)
{
    struct winsize size;

    for (int fd = 2; fd >= 0; fd--) {
        if (!terminal_size(fd, &size))
            continue;
        setup->flags |= (uint32_t)SAMARA_FLAG_STDIN_TTY << fd;
        setup->rows = size.ws_row;
        setup->cols = size.ws_col;
    }
}

void vm_resize(struct vm *vm)
{
    struct platform_setup setup = {0};

    describe_terminals(&setup);
    if (setup.flags)
        platform_resize(&vm->platform, setup.rows, setup.cols);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* kvmclock's zero on CLOCK_MONOTONIC, as far as two calls in a row can tell. */
static int64_t kvmclock_offset(struct vm *vm)
{
    struct kvm_clock_data clock = {0};
    int64_t before = clock_ns(CLOCK_MONOTONIC);

    if (KVM_CALL(vm->fd, KVM_GET_CLOCK, &clock, NULL) < 0)
        return 0;
    return before - (int64_t)clock.clock;
}

static int write_platform(struct vm *vm, const struct vm_config *c, struct err *err)
{
    struct platform_setup setup = {.flags = (c->verbose ? SAMARA_FLAG_VERBOSE : 0u) |
                                            (c->trace_path ? SAMARA_FLAG_TRACE : 0u)};

    describe_terminals(&setup);
    setup.wall_base_ns =
        (uint64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC) + kvmclock_offset(vm));
    if (getrandom(setup.seed, sizeof(setup.seed), 0) != sizeof(setup.seed) ||
        getrandom(setup.generation_id, sizeof(setup.generation_id), 0) !=
            sizeof(setup.generation_id))
        return err_sys(err, "getrandom");
    return platform_init(&vm->platform, &vm->mem, &setup, err);
}

/* --- how it ends --- */

static void drained(void *arg)
{
    struct vm *vm = arg;

    vm->end = vm->end == VM_RUNNING ? VM_EXITED : vm->end;
    vm->finished = true;
    pthread_cond_signal(&vm->finishing);
}

/* In the vCPU thread, under the device lock. */
static void guest_exited(void *arg)
{
    struct vm *vm = arg;

    vcpu_stop(&vm->vcpu);
    vsock_finish(vm->vsock, drained, vm);
}

static void guest_failed(void *arg, const char *report)
{
    struct vm *vm = arg;

    device_lock_take(&vm->lock);
    snprintf(vm->report, sizeof(vm->report), "%s", report);
    vm->end = VM_FAILED;
    vsock_finish(vm->vsock, drained, vm);
    device_lock_release(&vm->lock);
}

void vm_abandon(struct vm *vm)
{
    vm->end = VM_ABANDONED;
    vm->finished = true;
    pthread_cond_signal(&vm->finishing);
    vcpu_stop(&vm->vcpu);
}

void vm_signal(struct vm *vm, int sig)
{
    platform_signal(&vm->platform, sig);
    kvm_send_msi(vm->fd, SAMARA_VECTOR_PLATFORM);
}

/* --- devices --- */

static void raise_vsock(void *ctx)
{
    const struct vm_slot *slot = ctx;

    kvm_send_msi(slot->vm_fd, slot->vector);
}

static int open_stdio(struct stream_fd stdio[3], struct err *err)
{
    for (int fd = 0; fd < 3; fd++)
        stdio[fd] = STREAM_CLOSED;
    for (int fd = 0; fd < 3; fd++) {
        if (stream_open(&stdio[fd], fd, fd ? STREAM_WRITES : STREAM_READS, err) != 0)
            return err_in(err, "file descriptor %d", fd);
    }
    return 0;
}

static int add_vsock(struct vm *vm, const struct vm_config *c, struct err *err)
{
    struct vsock_config config = {.guest_cid = SAMARA_GUEST_CID, .path = c->vsock_path};
    const struct virtio_host host = {.mem = &vm->mem, .irq = raise_vsock, .ctx = &vm->vsock_slot};

    vm->vsock_slot = (struct vm_slot){vm->fd, SAMARA_VECTOR_VIRTIO + BOOT_VSOCK_SLOT};
    if (open_stdio(config.stdio, err) == 0)
        vm->vsock = vsock_new(&config, &host, &vm->loop, err);
    if (!vm->vsock) {
        for (int fd = 0; fd < 3; fd++)
            stream_close(&config.stdio[fd]);
        return -1;
    }
    if (mmio_bus_add(&vm->bus, SAMARA_GPA_VIRTIO, VIRTIO_MMIO_SIZE, &virtio_mmio_ops,
                     vsock_device(vm->vsock), err) != 0)
        return -1;
    if (vm->vsock_preset.queues == 0)
        return 0;
    return virtio_preset_apply(&vm->vsock_preset, &vm->bus, SAMARA_GPA_VIRTIO, err);
}

static int add_devices(struct vm *vm, const struct vm_config *c, struct err *err)
{
    mmio_bus_init(&vm->bus, &vm->lock);
    if (loop_init(&vm->loop, &vm->lock, err) != 0)
        return -1;
    vm->platform.exited = guest_exited;
    vm->platform.arg = vm;
    if (mmio_bus_add(&vm->bus, SAMARA_GPA_DOORBELL, PAGE, &platform_doorbell_ops, &vm->platform,
                     err) != 0)
        return -1;
    return add_vsock(vm, c, err);
}

/* --- life --- */

static int create_machine(struct vm *vm, const struct vm_config *c, struct err *err)
{
    struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {IOAPIC_PINS}};

    vm->kvm = kvm_open(err);
    if (vm->kvm < 0)
        return -1;
    vm->fd = KVM_CALL_VALUE(vm->kvm, KVM_CREATE_VM, 0, err);
    if (vm->fd < 0)
        return -1;
    trace_step(&vm->trace, "create VM");
    if (map_ram(vm, c->memory, err) != 0 || add_memslots(vm, err) != 0)
        return -1;
    trace_step(&vm->trace, "memory");
    if (KVM_CALL(vm->fd, KVM_ENABLE_CAP, &split, err) < 0)
        return -1;
    if (vcpu_create(&vm->vcpu, vm->kvm, vm->fd, err) != 0)
        return -1;
    vm->vcpu.bus = &vm->bus;
    vm->vcpu.failed = guest_failed;
    vm->vcpu.arg = vm;
    trace_step(&vm->trace, "vCPU");
    return 0;
}

static int load(struct vm *vm, const struct vm_config *c, const struct kernel_image *kernel,
                struct vcpu_start *start, struct err *err)
{
    const struct boot boot = {c, kernel, &vm->mem, vm->ram, vm->ram_size};

    if (boot_load(&boot, &vm->vsock_preset, start, err) != 0 || write_platform(vm, c, err) != 0)
        return -1;
    trace_step(&vm->trace, "boot data");
    return 0;
}

static int build(struct vm *vm, const struct vm_config *c, struct kernel_image *kernel,
                 struct err *err)
{
    static struct cpuid_table cpuid;
    struct vcpu_start start;

    if (kernel_image_open(kernel, c->kernel_path, err) != 0)
        return -1;
    if (create_machine(vm, c, err) != 0 || load(vm, c, kernel, &start, err) != 0)
        return -1;
    if (cpuid_load(&cpuid, vm->kvm, err) != 0)
        return -1;
    trace_step(&vm->trace, "CPUID");
    if (vcpu_set_up(&vm->vcpu, vm->kvm, &cpuid, &start, err) != 0)
        return -1;
    trace_step(&vm->trace, "registers");
    if (add_devices(vm, c, err) != 0)
        return -1;
    trace_step(&vm->trace, "devices");
    return 0;
}

int vm_create(struct vm *vm, const struct vm_config *c, struct err *err)
{
    struct kernel_image kernel = KERNEL_IMAGE_CLOSED;
    int r;

    vm->kvm = vm->fd = -1;
    vm->vcpu = (struct vcpu)VCPU_CLOSED;
    vm->loop = (struct event_loop)LOOP_CLOSED;
    vm->trace.path = c->trace_path;
    device_lock_init(&vm->lock);
    pthread_cond_init(&vm->finishing, NULL);
    trace_step(&vm->trace, "start");
    r = build(vm, c, &kernel, err);
    kernel_image_close(&kernel);
    if (r != 0)
        vm_destroy(vm);
    return r;
}

/* --- running --- */

static void *loop_main(void *arg)
{
    struct vm *vm = arg;
    struct err err = {.text = ""};

    if (loop_run(&vm->loop, &err) != 0) {
        device_lock_take(&vm->lock);
        snprintf(vm->report, sizeof(vm->report), "%s", err.text);
        vm_abandon(vm);
        vm->end = VM_FAILED;
        device_lock_release(&vm->lock);
    }
    return NULL;
}

static int start_loop(struct vm *vm, struct err *err)
{
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, LOOP_STACK);
    r = pthread_create(&vm->loop_thread, &attr, loop_main, vm);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        errno = r;
        return err_sys(err, "start the loop thread");
    }
    vm->loop_started = true;
    return 0;
}

/*
 * The vCPU gets the thread that is there already: on a busy machine a new one waits for the end of
 * somebody's time slice (3 ms), which the guest's first instruction should not, and a short program
 * ends without needing the loop's thread at all.
 */
int vm_run(struct vm *vm, struct err *err)
{
    if (start_loop(vm, err) != 0)
        return -1;
    trace_step(&vm->trace, "loop thread");
    vcpu_run(&vm->vcpu);
    device_lock_take(&vm->lock);
    trace_step(&vm->trace, "guest runs");
    while (!vm->finished)
        pthread_cond_wait(&vm->finishing, &vm->lock.mutex);
    trace_step(&vm->trace, "output delivered");
    return 0;
}

int vm_write_trace(struct vm *vm, struct err *err)
{
    struct samara_platform page;

    if (!vm->trace.path)
        return 0;
    platform_read(&vm->platform, &page);
    return trace_write(&vm->trace, &page, kvmclock_offset(vm), err);
}

static void stop_loop(struct vm *vm)
{
    if (!vm->loop_started)
        return;
    loop_stop(&vm->loop);
    device_lock_release(&vm->lock); /* vm_run left it taken */
    pthread_join(vm->loop_thread, NULL);
    vm->loop_started = false;
}

void vm_destroy(struct vm *vm)
{
    stop_loop(vm);
    vcpu_close(&vm->vcpu);
    vsock_free(vm->vsock);
    vm->vsock = NULL;
    loop_close(&vm->loop);
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->kvm >= 0)
        close(vm->kvm);
    vm->fd = vm->kvm = -1;
    if (vm->ram)
        munmap(vm->ram, vm->ram_size);
    vm->ram = NULL;
}
