/*
 * See vm.h. Two threads, from the start: the one that calls is the vCPU's, the other the loop's.
 *
 *     vCPU thread   open ── machine ───── features ─── registers ── guest runs ──┐
 *     loop thread     └──── basis ─┘─ contents ─┘── loop ────────────────────────┴── destroy
 */
#include "monitor/vm.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "monitor/fd_close.h"
#include "monitor/kvm.h"
#include "monitor/vm_setup.h"
#include "seccomp/enter.h"

enum { LOOP_STACK = 128 << 10 };

/* A guest kernel takes a signal in microseconds, unless its processor is not given any time. */
#define PATIENCE_NS 1000000000ull

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
    terminal_set(&vm->terminal, &modes, flush);
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
    pthread_cond_signal(&vm->finishing);
    vcpu_stop(&vm->vcpu);
}

/* In the vCPU thread. */
static void guest_stands(void *arg)
{
    struct vm *vm = arg;

    device_lock_take(&vm->lock);
    if (vm->stands_fn)
        vm->stands_fn(vm->stands_arg);
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
    vcpu_resume(&vm->vcpu);
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

/*
 * Whoever comes first makes the part, the other waits until it is there. On a busy machine the new
 * thread may be given a processor only when somebody's time slice ends (3 ms): then it finds the
 * work done.
 */
static bool made(struct vm *vm, struct vm_part *part, int (*make)(struct vm *, struct err *))
{
    bool good;

    pthread_mutex_lock(&part->mutex);
    if (!part->tried)
        part->good = make(vm, &part->err) == 0;
    part->tried = true;
    good = part->good;
    pthread_mutex_unlock(&part->mutex);
    return good;
}

static bool contents_made(struct vm *vm)
{
    return made(vm, &vm->basis, vm_make_basis) && made(vm, &vm->contents, vm_make_contents);
}

/*
 * Some kernels (sched_vcpu_pack) put a new thread onto the processor of the one that made it
 * although others idle, and leave it there: the two would take turns. The new one goes to another,
 * if it may.
 */
static void step_aside(int processor)
{
    cpu_set_t allowed, others;

    if (sched_getcpu() != processor || sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    others = allowed;
    CPU_CLR((size_t)processor, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0)
        sched_setaffinity(0, sizeof(allowed), &allowed);
}

/* The loop thread gives up what it will not need, and says that it has. */
static int enter(struct vm *vm, enum seccomp_role role, struct err *err)
{
    enum seccomp_mode mode = vm->config->seccomp;

    if (vm->confinement) {
        confine_thread(vm->confinement, role == ROLE_VCPU);
        confine_seccomp(vm->confinement, mode == SECCOMP_MODE_KILL || mode == SECCOMP_MODE_TRAP);
    }
    return seccomp_enter(role, mode, err);
}

static bool enter_loop(struct vm *vm)
{
    struct err err = {.text = ""};
    bool good;

    if (vm->confinement)
        confine_bounds();
    good = enter(vm, ROLE_LOOP, &err) == 0;

    device_lock_take(&vm->lock);
    vm->loop_confined = good ? LOOP_CONFINED : LOOP_NOT_CONFINED;
    vm->confine_err = err;
    pthread_cond_signal(&vm->finishing);
    device_lock_release(&vm->lock);
    return good;
}

static void *loop_main(void *arg)
{
    struct vm *vm = arg;
    struct err err = {.text = ""};

    step_aside(vm->processor);
    if (!contents_made(vm))
        return NULL;
    if (!enter_loop(vm))
        return NULL;
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

    vm->processor = sched_getcpu();
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, LOOP_STACK);
    r = pthread_create(&vm->loop_thread, &attr, loop_main, vm);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        errno = r;
        return err_sys(err, "start the loop thread");
    }
    vm->loop_started = true;
    sched_yield(); /* if it is behind us on our own processor, so that it can leave */
    return 0;
}

static void stop_loop(struct vm *vm)
{
    if (!vm->loop_started)
        return;
    if (contents_made(vm))
        loop_stop(&vm->loop);
    if (vm->stands)
        device_lock_release(&vm->lock);
    pthread_join(vm->loop_thread, NULL);
    vm->loop_started = vm->stands = false;
}

/* --- life --- */

static int fail_with(struct err *err, const struct vm_part *part)
{
    *err = part->err;
    return -1;
}

static int join_parts(struct vm *vm, struct err *err)
{
    if (!made(vm, &vm->basis, vm_make_basis))
        return fail_with(err, &vm->basis);
    trace_step(&vm->trace, TRACE_MACHINE, "wait for CPUID");
    if (vm_set_features(vm, err) != 0)
        return -1;
    if (vm->confinement)
        confine_bounds();
    if (!contents_made(vm))
        return fail_with(err, &vm->contents);
    trace_step(&vm->trace, TRACE_MACHINE, "wait for contents");
    return vm_set_start(vm, err);
}

static int build(struct vm *vm, struct err *err)
{
    if (vm_make_memory(vm, err) != 0 || start_loop(vm, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "loop thread");
    return vm_make_machine(vm, err) != 0 ? -1 : join_parts(vm, err);
}

void vm_init(struct vm *vm, const struct vm_config *config)
{
    vm->config = config;
    vm->kvm = vm->fd = vm->runtime_dir = -1;
    vm->vcpu = (struct vcpu)VCPU_CLOSED;
    vm->vcpu.bus = &vm->bus;
    vm->vcpu.failed = guest_failed;
    vm->vcpu.stands = guest_stands;
    vm->vcpu.arg = vm;
    vm->platform.exited = guest_exited;
    vm->platform.terminal = terminal_wanted;
    vm->platform.arg = vm;
    vm->loop = (struct event_loop)LOOP_CLOSED;
    vm->terminal = (struct terminal)TERMINAL_NONE;
    vm->vsock_listener = (struct unix_listener)UNIX_LISTENER_NONE;
    for (int fd = 0; fd < 3; fd++)
        vm->stdio[fd] = STREAM_CLOSED;
    for (unsigned i = 0; i < VM_CGROUPS; i++)
        vm->cgroups[i] = -1;
    device_lock_init(&vm->lock);
    pthread_mutex_init(&vm->basis.mutex, NULL);
    pthread_mutex_init(&vm->contents.mutex, NULL);
    vm->program = (struct program)PROGRAM_CLOSED;
    vm->kernel = (struct kernel_image)KERNEL_IMAGE_CLOSED;
    pthread_cond_init(&vm->finishing, NULL);
}

int vm_create(struct vm *vm, struct err *err)
{
    trace_step(&vm->trace, TRACE_MACHINE, "own process");
    if (build(vm, err) == 0)
        return 0;
    vm_destroy(vm);
    return -1;
}

static int refuse_missing(const struct confinement *c, struct err *err)
{
    char missing[ERR_TEXT];

    if (c)
        confine_missing(c, missing, sizeof(missing));
    return c && !missing[0] ? 0 : err_set(err, "confinement: %s", c ? missing : "none");
}

/* As long as the loop thread could do anything, so could whoever breaks out of the guest. */
static int await_loop_confined(struct vm *vm, struct err *err)
{
    device_lock_take(&vm->lock);
    while (vm->loop_confined == LOOP_FREE)
        pthread_cond_wait(&vm->finishing, &vm->lock.mutex);
    device_lock_release(&vm->lock);
    if (vm->loop_confined == LOOP_CONFINED)
        return 0;
    *err = vm->confine_err;
    return -1;
}

/* With the VM made: creating one in a busy group can be slow. The group's limits hold from here on.
 */
static int join_cgroups(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->cgroup_count; i++) {
        if (write(vm->cgroups[i], "0", 1) != 1) /* ourselves */
            return err_sys(err, "cgroup %s: join", vm->config->cgroups[i]);
    }
    vm_close_cgroups(vm);
    return 0;
}

int vm_confine(struct vm *vm, struct err *err)
{
    if (join_cgroups(vm, err) != 0)
        return -1;
    vcpu_own(&vm->vcpu);
    program_close(&vm->program);
    fd_close(&vm->kvm);
    if (enter(vm, ROLE_VCPU, err) != 0 || await_loop_confined(vm, err) != 0)
        return -1;
    if (vm->confinement)
        confine_finish(vm->confinement);
    if (vm->config->require_confinement && refuse_missing(vm->confinement, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_MACHINE, "confine");
    return 0;
}

/* A short program ends without needing the loop thread any more. */
void vm_run(struct vm *vm)
{
    vcpu_run(&vm->vcpu);
    device_lock_take(&vm->lock);
    vm->stands = true;
    trace_step(&vm->trace, TRACE_MACHINE, "guest runs");
    while (!vm->finished)
        pthread_cond_wait(&vm->finishing, &vm->lock.mutex);
    trace_step(&vm->trace, TRACE_MACHINE, "output delivered");
}

int vm_write_trace(struct vm *vm, struct err *err)
{
    struct samara_platform page;

    if (!vm->trace.wanted)
        return 0;
    platform_read(&vm->platform, &page);
    return trace_write(&vm->trace, &page, vm_clock_offset(vm), err);
}

void vm_destroy(struct vm *vm)
{
    stop_loop(vm);
    vcpu_close(&vm->vcpu);
    program_close(&vm->program);
    kernel_image_close(&vm->kernel);
    vsock_free(vm->vsock);
    vm->vsock = NULL;
    loop_close(&vm->loop);
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->kvm >= 0)
        close(vm->kvm);
    vm->fd = vm->kvm = -1;
    for (int fd = 0; fd < 3; fd++)
        stream_close(&vm->stdio[fd]);
    if (vm->ram)
        munmap(vm->ram, vm->ram_size);
    vm->ram = NULL;
}
