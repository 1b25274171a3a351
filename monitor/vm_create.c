/*
 * How a VM comes about. See vm.h, and vm_setup.h for the parts. Three threads:
 *
 *     keeper          ── opens all ─┐
 *     vCPU thread     ─┬─ (waits) ── empty room ── basis ── devices ─┬─ filter ─┬─ guest runs
 *     machine thread   └─ machine ── features ── memory ── start ────┼──────────┤ (has ended)
 *     loop thread                                                    └─ filter ─┴─ loop
 *
 * When the guest runs, every thread that is there must have given up everything. So what KVM has to
 * be asked for is asked by a thread that does not live to see it, beside the others, since most of
 * it is waiting; and the loop thread is born in the room.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/role_fd.h"
#include "monitor/vm.h"
#include "monitor/vm_setup.h"
#include "seccomp/enter.h"

/* --- threads --- */

static void run_anywhere(const struct vm *vm)
{
    if (CPU_COUNT(&vm->processors) > 0)
        sched_setaffinity(0, sizeof(vm->processors), &vm->processors);
}

/* A stack of our own: mapping one would wait for the others, which change the address space, too.
 * NULL: one is mapped. */
static int start_thread(pthread_t *thread, void *(*main)(void *), void *arg, void *stack,
                        struct err *err)
{
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    if (stack)
        pthread_attr_setstack(&attr, stack, VM_STACK);
    else
        pthread_attr_setstacksize(&attr, VM_STACK);
    r = pthread_create(thread, &attr, main, arg);
    pthread_attr_destroy(&attr);
    errno = r;
    return r != 0 ? err_sys(err, "start a thread") : 0;
}

/* --- the machine thread --- */

/* With the VM made: creating one in a busy group can be slow. The group's limits hold from here on.
 */
static int join_cgroups(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->cgroup_count; i++) {
        if (write(vm->opened.cgroups[i], "0", 1) != 1) /* ourselves */
            return err_sys(err, "cgroup %s: join", vm->config->cgroups[i]);
    }
    vm_close_cgroups(vm);
    return 0;
}

/* If a part is missing, the vCPU thread knows why. */
static int make_machine(struct vm *vm, struct err *err)
{
    if (vm_make_machine(vm, err) != 0 || !latch_wait(&vm->basis))
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "wait for files");
    if (vm_set_features(vm, err) != 0 || vm_load_memory(vm, err) != 0)
        return -1;
    latch_set(&vm->mapped, true);
    if (!latch_wait(&vm->devices))
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "wait for devices");
    if (vm_set_start(vm, err) != 0 || join_cgroups(vm, err) != 0)
        return -1;
    fd_close(&vm->kvm);
    return 0;
}

/*
 * Ends without the C library: the kernel itself says that the thread is gone (set_tid_address(2)),
 * and to hear that takes one call of the policy.
 */
static void *machine_main(void *arg)
{
    struct vm *vm = arg;

    syscall(SYS_set_tid_address, &vm->machine_thread);
    vm->machine_good = make_machine(vm, &vm->machine_err) == 0;
    if (!vm->machine_good)
        latch_set(&vm->mapped, false);
    syscall(SYS_exit, 0);
    return NULL;
}

void vm_await_machine(struct vm *vm)
{
    int alive;

    while ((alive = atomic_load(&vm->machine_thread)) != 0)
        syscall(SYS_futex, &vm->machine_thread, FUTEX_WAIT, alive, NULL, NULL, 0);
}

/* --- the loop thread --- */

static void *loop_main(void *arg)
{
    struct vm *vm = arg;
    struct err err = {.text = ""};
    bool confined;

    run_anywhere(vm);
    confined = seccomp_enter(ROLE_LOOP, vm->config->seccomp, &vm->loop_err) == 0;
    latch_set(&vm->loop_confined, confined);
    if (confined && latch_wait(&vm->devices) && loop_run(&vm->loop, &err) != 0)
        vm_loop_failed(vm, &err);
    return NULL;
}

/* --- disks' threads --- */

static void *disk_main(void *arg)
{
    struct vm_disk *d = arg;
    bool confined;

    run_anywhere(d->vm);
    confined = seccomp_enter(ROLE_DISK, d->vm->config->seccomp, &d->err) == 0;
    latch_set(&d->confined, confined);
    if (confined)
        worker_run(&d->worker);
    return NULL;
}

static int start_disks(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        struct vm_disk *d = &vm->disks[i];

        if (start_thread(&d->thread, disk_main, d, NULL, err) != 0)
            return -1;
        d->started = true;
    }
    return 0;
}

static int await_disks(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        if (!latch_wait(&vm->disks[i].confined)) {
            *err = vm->disks[i].err;
            return -1;
        }
    }
    return 0;
}

/* --- the vCPU thread --- */

/* Not what the program gets of it: that has been copied. */
static void forget_environment(void)
{
    for (char **variable = environ; *variable; variable++)
        memset(*variable, 0, strlen(*variable));
    *environ = NULL;
}

static void enter_room(struct vm *vm)
{
    if (!vm->confinement)
        return;
    forget_environment();
    confine_make_room(vm->confinement, vm->opened.proc);
    fd_close(&vm->opened.proc);
    trace_step(&vm->trace, TRACE_ROOM, "empty room");
    confine_thread(vm->confinement, vm->opened.files_grow);
    trace_step(&vm->trace, TRACE_ROOM, "privileges");
}

/* The loop thread is there to be joined, or not at all. */
static int start_loop(struct vm *vm, struct err *err)
{
    if (start_thread(&vm->loop_thread, loop_main, vm, vm->stacks.loop, err) != 0)
        return -1;
    vm->loop_started = true;
    trace_step(&vm->trace, TRACE_ROOM, "loop thread");
    return 0;
}

/* Files are parsed where a mistake in a parser opens no door. */
static int make_basis(struct vm *vm, struct err *err)
{
    int r = vm_receive(vm, err);

    trace_step(&vm->trace, TRACE_ROOM, "wait for the keeper");
    if (r == 0)
        r = vm_load_cpuid(vm, err);
    if (r == 0)
        r = vm_open_pagemap(vm, err);
    if (r == 0) {
        enter_room(vm);
        r = vm_check_files(vm, err);
    }
    latch_set(&vm->basis, r == 0);
    return r;
}

/* Devices first: their memory is mapped before the machine thread populates the guest's. */
static int make_all_else(struct vm *vm, struct err *err)
{
    bool good = make_basis(vm, err) == 0 && vm_make_devices(vm, err) == 0;

    latch_set(&vm->devices, good);
    if (!good || start_loop(vm, err) != 0 || start_disks(vm, err) != 0)
        return -1;
    vcpu_own(&vm->vcpu);
    return 0;
}

static int refuse_missing(const struct confinement *c, struct err *err)
{
    char missing[ERR_TEXT];

    if (c)
        confine_missing(c, missing, sizeof(missing));
    return c && !missing[0] ? 0 : err_set(err, "confinement: %s", c ? missing : "none");
}

static int confine(struct vm *vm, struct err *err)
{
    enum seccomp_mode mode = vm->config->seccomp;

    run_anywhere(vm);
    if (seccomp_enter(ROLE_VCPU, mode, err) != 0)
        return -1;
    if (vm->confinement)
        confine_seccomp(vm->confinement, mode == SECCOMP_MODE_KILL || mode == SECCOMP_MODE_TRAP);
    trace_step(&vm->trace, TRACE_ROOM, "filter");
    return vm->config->require_confinement ? refuse_missing(vm->confinement, err) : 0;
}

/* As long as one of the others could do anything, so could whoever breaks out of the guest. The
 * loop thread first: it may be waiting for our processor. */
static int await_others(struct vm *vm, struct err *err)
{
    bool confined = latch_wait(&vm->loop_confined);

    vm_await_machine(vm);
    if (confined && vm->machine_good)
        return await_disks(vm, err);
    *err = confined ? vm->machine_err : vm->loop_err;
    return -1;
}

/* While the machine thread loads the rest of the state, and waits for KVM. What is only read costs
 * no more when it is, and not all of it is. */
static void populate(struct vm *vm)
{
    if (!vm->restored || vm->restored->working.head.count == 0 || !latch_wait(&vm->mapped))
        return;
    restored_populate(vm->restored, WORKING_WRITTEN, vm->ram);
    trace_step(&vm->trace, TRACE_ROOM, "working set");
}

/* With the machine thread started. */
static int make_rest(struct vm *vm, struct err *err)
{
    if (make_all_else(vm, err) != 0 || confine(vm, err) != 0)
        return -1;
    populate(vm);
    return await_others(vm, err);
}

int vm_create(struct vm *vm, struct err *err)
{
    pthread_t machine; /* nobody joins it: see machine_main */

    trace_step(&vm->trace, TRACE_MACHINE, "own process");
    trace_step(&vm->trace, TRACE_ROOM, "start");
    if (vm->opener >= 0 && role_fds_reserve(vm_count_descriptors(vm->config), err) != 0)
        return -1;
    if (vm_map_memory(vm, err) != 0 ||
        mprotect(vm->stacks.guard, sizeof(vm->stacks.guard), PROT_NONE) != 0)
        return -1;
    atomic_store(&vm->machine_thread, 1);
    if (start_thread(&machine, machine_main, vm, vm->stacks.machine, err) != 0) {
        atomic_store(&vm->machine_thread, 0);
        return -1;
    }
    if (make_rest(vm, err) != 0) {
        vm_await_machine(vm); /* it uses what the caller may give up now */
        return -1;
    }
    trace_step(&vm->trace, TRACE_MACHINE, "others");
    return 0;
}
