/* See vm.h: a VM's life, from when it has been created (vm_create.c). */
#include "monitor/vm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "monitor/kvm.h"
#include "monitor/vm_setup.h"
#include "monitor/warn.h"

/* A guest kernel takes a signal in microseconds, unless its processor is not given any time. */
#define PATIENCE_NS 1000000000ull
/* Thousands of pages take some milliseconds. */
#define TOUCHING_NS 100000000ull

/* --- how it ends --- */

static void drained(void *arg)
{
    struct vm *vm = arg;

    vm->end = vm->end == VM_RUNNING ? VM_EXITED : vm->end;
    vm->finished = true;
    device_event_happened(&vm->finishing);
}

/* In the vCPU thread, under the device lock. */
static void guest_exited(void *arg)
{
    struct vm *vm = arg;

    vm->gone = true;
    vcpu_stop(&vm->vcpu);
    vsock_finish(vm->vsock, drained, vm);
}

static void terminal_wanted(void *arg)
{
    struct vm *vm = arg;
    struct samara_termios modes;
    bool flush;

    platform_terminal(&vm->platform, &modes, &flush);
    terminal_set(&vm->opened.terminal, &modes, flush);
}

static void guest_failed(void *arg, const char *report)
{
    struct vm *vm = arg;

    device_lock_take(&vm->lock);
    if (vm->end == VM_RUNNING) {
        snprintf(vm->report, sizeof(vm->report), "%s", report);
        vm->end = VM_FAILED;
    }
    vm->gone = true;
    vsock_finish(vm->vsock, drained, vm);
    device_lock_release(&vm->lock);
}

void vm_abandon(struct vm *vm)
{
    vm->end = VM_ABANDONED;
    vm->finished = true;
    device_event_happened(&vm->finishing);
    vcpu_stop(&vm->vcpu);
}

/* Without the device lock now and then. */
static void stop_requests(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config->disk_count; i++)
        block_stand(vm->disks[i].block);
}

static void take_requests(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config->disk_count; i++)
        block_go_on(vm->disks[i].block);
}

/* In the vCPU thread. */
static void guest_stands(void *arg)
{
    struct vm *vm = arg;

    device_lock_take(&vm->lock);
    if (vm->pause_wanted && vm->stands_fn)
        vm->stands_fn(vm->stands_arg);
    if (vm->freeze_wanted && vm->frozen_fn) {
        stop_requests(vm);
        vm->frozen_fn(vm->frozen_arg);
    }
    device_lock_release(&vm->lock);
}

static void touching_takes_long(void *arg)
{
    struct vm *vm = arg;

    vcpu_ask_pause(&vm->vcpu);
}

/* In the vCPU thread, which can be kicked. Nobody waits yet for what is done here; but it is the
 * guest's code, and may have no end. */
static void guest_parks(void *arg)
{
    struct vm *vm = arg;
    struct err err = {.text = ""};
    bool good;

    if (!vm->parked)
        return;
    device_lock_take(&vm->lock);
    vm->touching = (struct loop_timer){.fn = touching_takes_long, .arg = vm};
    loop_timer_set(&vm->loop, &vm->touching, loop_now_ns() + TOUCHING_NS);
    device_lock_release(&vm->lock);
    good = restored_touch(vm->restored, vm, &err) == 0;
    device_lock_take(&vm->lock);
    loop_timer_cancel(&vm->loop, &vm->touching);
    if (!good)
        vm_failed(vm, &err);
    device_lock_release(&vm->lock);
}

bool vm_pause(struct vm *vm)
{
    vm->pause_wanted = true;
    return vcpu_ask_pause(&vm->vcpu);
}

void vm_resume(struct vm *vm)
{
    vm->pause_wanted = false;
    if (!vm->freeze_wanted)
        vcpu_resume(&vm->vcpu);
}

void vm_park(struct vm *vm)
{
    vm->parked = true;
    vm_pause(vm);
}

int vm_wake(struct vm *vm, struct err *err)
{
    vm->parked = vm->pause_wanted = false;
    return restored_wake(vm->restored, vm, err);
}

void vm_freeze(struct vm *vm)
{
    vm->freeze_wanted = true;
    vcpu_ask_stands(&vm->vcpu);
}

void vm_thaw_guest(struct vm *vm)
{
    vm->freeze_wanted = false;
    if (!vm->pause_wanted)
        vcpu_resume(&vm->vcpu);
}

void vm_thaw(struct vm *vm)
{
    take_requests(vm);
    vm_thaw_guest(vm);
}

bool vm_signal(struct vm *vm, int sig)
{
    uint64_t now = loop_now_ns();

    if (vm->gone)
        return false;
    if (platform_signal(&vm->platform, sig))
        vm->untaken_since = now;
    else if (now - vm->untaken_since > PATIENCE_NS)
        return false;
    kvm_send_msi(vm->fd, SAMARA_VECTOR_PLATFORM);
    return true;
}

/* --- the loop thread --- */

void vm_failed(struct vm *vm, const struct err *err)
{
    snprintf(vm->report, sizeof(vm->report), "%s", err->text);
    vm_abandon(vm);
    vm->end = VM_FAILED;
}

void vm_loop_failed(struct vm *vm, const struct err *err)
{
    device_lock_take(&vm->lock);
    vm_failed(vm, err);
    device_lock_release(&vm->lock);
}

static void stop_disks(struct vm *vm)
{
    for (unsigned i = 0; i < VM_DISKS; i++) {
        if (!vm->disks[i].started)
            continue;
        worker_stop(&vm->disks[i].worker);
        pthread_join(vm->disks[i].thread, NULL);
        vm->disks[i].started = false;
    }
}

static void stop_threads(struct vm *vm)
{
    vm_await_machine(vm);
    if (!vm->loop_started)
        return;
    if (latch_wait(&vm->devices))
        loop_stop(&vm->loop);
    if (vm->stands)
        device_lock_release(&vm->lock);
    stop_disks(vm);
    pthread_join(vm->loop_thread, NULL);
    vm->loop_started = vm->stands = false;
}

/* --- life --- */

void vm_init(struct vm *vm, const struct vm_config *config, int kvm)
{
    vm->config = config;
    vm->kvm = kvm;
    vm->fd = vm->opener = vm->pagemap = -1;
    vm->opened.null = vm->opened.proc = vm->opened.trace = -1;
    vm->opened.cpuid_cache = (struct cpuid_cache)CPUID_CACHE_NONE;
    trace_init(&vm->trace, config->trace_path != NULL);
    trace_step(&vm->trace, TRACE_MACHINE, "start");
    vm->vcpu = (struct vcpu)VCPU_CLOSED;
    vm->vcpu.bus = &vm->bus;
    vm->vcpu.failed = guest_failed;
    vm->vcpu.stands = guest_stands;
    vm->vcpu.parks = guest_parks;
    vm->vcpu.arg = vm;
    vm->platform.exited = guest_exited;
    vm->platform.terminal = terminal_wanted;
    vm->platform.arg = vm;
    vm->loop = (struct event_loop)LOOP_CLOSED;
    vm->opened.terminal = (struct terminal)TERMINAL_NONE;
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        vm->opened.vsock_listeners[i] = (struct unix_listener)UNIX_LISTENER_NONE;
    for (int fd = 0; fd < 3; fd++)
        vm->opened.stdio[fd] = STREAM_CLOSED;
    for (unsigned i = 0; i < VM_CGROUPS; i++)
        vm->opened.cgroups[i] = -1;
    for (unsigned i = 0; i < VM_DISKS; i++)
        vm->opened.disks[i] = (struct disk)DISK_NONE;
    for (unsigned i = 0; i < VM_NETS; i++) {
        vm->opened.nets[i] = (struct net_opened)NET_OPENED_NONE;
        vm->peers[i] = (struct net_peer)NET_PEER_NONE;
    }
    device_lock_init(&vm->lock);
    vm->opened.program = (struct program)PROGRAM_CLOSED;
    vm->opened.kernel = (struct kernel_image)KERNEL_IMAGE_CLOSED;
}

/* Under the device lock. */
static void finish_disks(struct vm *vm)
{
    struct err line;

    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        int result = block_finish(vm->disks[i].block);

        if (result == 0)
            continue;
        err_set(&line, "disk %u: flush at the end: %s", i, strerror(-result));
        warn_now(line.text);
        vm->output_lost = true;
    }
}

/* A short program ends without needing the loop thread any more. */
void vm_run(struct vm *vm)
{
    vcpu_run(&vm->vcpu);
    device_lock_take(&vm->lock);
    vm->stands = true;
    if (vm->freeze_wanted && vm->frozen_fn) /* it has gone instead of standing */
        vm->frozen_fn(vm->frozen_arg);
    trace_step(&vm->trace, TRACE_MACHINE, "guest runs");
    finish_disks(vm);
    while (!vm->finished)
        device_lock_wait(&vm->lock, &vm->finishing);
    trace_step(&vm->trace, TRACE_MACHINE, "output delivered");
}

int vm_write_trace(struct vm *vm, struct err *err)
{
    struct samara_platform page;

    if (!vm->trace.wanted)
        return 0;
    platform_read(&vm->platform, &page);
    if (trace_write(&vm->trace, vm->opened.trace, &page, vm_clock_offset(vm), err) != 0)
        return err_in(err, "trace: %s", vm->config->trace_path);
    return 0;
}

void vm_destroy(struct vm *vm)
{
    stop_threads(vm);
    vcpu_close(&vm->vcpu);
    program_close(&vm->opened.program);
    kernel_image_close(&vm->opened.kernel);
    vsock_free(vm->vsock);
    vm->vsock = NULL;
    for (unsigned i = 0; i < VM_DISKS; i++) {
        block_free(vm->disks[i].block);
        vm->disks[i].block = NULL;
        disk_close(&vm->opened.disks[i]);
    }
    vm_free_nets(vm);
    loop_close(&vm->loop);
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->kvm >= 0)
        close(vm->kvm);
    vm->fd = vm->kvm = -1;
    for (int fd = 0; fd < 3; fd++)
        stream_close(&vm->opened.stdio[fd]);
    if (vm->ram)
        munmap(vm->ram, vm->ram_size);
    vm->ram = NULL;
}
