/* See vcpu.h. The kick is a signal whose handler does nothing, and immediate_exit for the moment
 * before KVM_RUN (Linux Documentation/virt/kvm/api.rst, 5). */
#include "monitor/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/kvm.h"
#include "monitor/role_fd.h"
#include "seccomp/policy.h"

static void nothing(int sig)
{
    (void)sig;
}

int vcpu_create(struct vcpu *v, int kvm, int vm, struct err *err)
{
    int size;

    v->fd = KVM_CALL_VALUE(vm, KVM_CREATE_VCPU, 0, err);
    if (v->fd < 0 || role_fd(&v->fd, FD_VCPU, err) != 0)
        return -1;
    size = KVM_CALL_VALUE(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, err);
    if (size < 0)
        return -1;
    v->run_size = (size_t)size;
    v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) {
        v->run = NULL;
        return err_sys(err, "map the vCPU's kvm_run");
    }
    return 0;
}

/* --- the thread --- */

static const char *segment_of(const struct kvm_sregs *s)
{
    return s->cs.dpl == 3 ? "ring 3" : "ring 0";
}

static void fail(struct vcpu *v, const char *what)
{
    struct kvm_regs r = {0};
    struct kvm_sregs s = {0};
    char report[768];

    KVM_CALL(v->fd, KVM_GET_REGS, &r, NULL);
    KVM_CALL(v->fd, KVM_GET_SREGS, &s, NULL);
    snprintf(report, sizeof(report),
             "%s in %s\n"
             "rip %016llx rsp %016llx flags %llx cr2 %llx cr3 %llx\n"
             "rax %016llx rbx %016llx rcx %016llx rdx %016llx\n"
             "rsi %016llx rdi %016llx rbp %016llx r11 %016llx",
             what, segment_of(&s), r.rip, r.rsp, r.rflags, s.cr2, s.cr3, r.rax, r.rbx, r.rcx, r.rdx,
             r.rsi, r.rdi, r.rbp, r.r11);
    vcpu_stop(v);
    v->failed(v->arg, report);
}

static void mmio(struct vcpu *v)
{
    struct kvm_run *run = v->run;

    if (run->mmio.is_write)
        mmio_bus_write(v->bus, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    else
        mmio_bus_read(v->bus, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

/* Nobody is on the port bus: reads give ones. */
static void port_io(struct vcpu *v)
{
    unsigned char *data = (unsigned char *)v->run + v->run->io.data_offset;

    if (v->run->io.direction == KVM_EXIT_IO_IN) {
        for (unsigned i = 0; i < v->run->io.size * v->run->io.count; i++)
            data[i] = 0xff;
    }
}

static void handle_exit(struct vcpu *v)
{
    char text[80];

    switch (v->run->exit_reason) {
    case KVM_EXIT_MMIO:
        mmio(v);
        return;
    case KVM_EXIT_IO:
        port_io(v);
        return;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IOAPIC_EOI:
        return;
    case KVM_EXIT_SHUTDOWN:
        fail(v, "triple fault");
        return;
    case KVM_EXIT_INTERNAL_ERROR:
        snprintf(text, sizeof(text), "KVM internal error %u", v->run->internal.suberror);
        fail(v, text);
        return;
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(text, sizeof(text), "VM entry failed with 0x%llx",
                 v->run->fail_entry.hardware_entry_failure_reason);
        fail(v, text);
        return;
    default:
        snprintf(text, sizeof(text), "unexpected KVM exit %u", v->run->exit_reason);
        fail(v, text);
    }
}

/* KVM starts a thread of its own at the first run. */
static const char *advice(int error)
{
    if (error == EFAULT)
        return " (a file mapped into the guest became shorter?)";
    return error == EAGAIN ? " (a limit on the number of processes?)" : "";
}

static void run_once(struct vcpu *v)
{
    char text[120];

    if (ioctl(v->fd, KVM_RUN, 0) == 0) {
        handle_exit(v);
        return;
    }
    v->run->immediate_exit = 0;
    if (errno == EINTR)
        return;
    snprintf(text, sizeof(text), "KVM_RUN: error %d%s", errno, advice(errno));
    fail(v, text);
}

/* What KVM does once, at the first entry (it starts a thread), is done while nobody waits for a
 * parked clone. The guest is not entered. */
static void prepare_entry(struct vcpu *v)
{
    v->run->immediate_exit = 1;
    run_once(v);
}

/* Sleeps while a pause is wished for. */
static void stand(struct vcpu *v)
{
    pthread_mutex_lock(&v->mutex);
    v->paused = v->again = true;
    pthread_cond_broadcast(&v->changed);
    while (v->again || atomic_load(&v->wish) == VCPU_PAUSE) {
        if (!v->again) {
            pthread_cond_wait(&v->changed, &v->mutex);
            continue;
        }
        v->again = false;
        pthread_mutex_unlock(&v->mutex);
        if (v->stands)
            v->stands(v->arg);
        pthread_mutex_lock(&v->mutex);
    }
    v->paused = false;
    pthread_mutex_unlock(&v->mutex);
}

static void set_running(struct vcpu *v, bool running)
{
    pthread_mutex_lock(&v->mutex);
    v->running = running;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->mutex);
}

/* By its id, not by pthread_t: see clone_into in keeper.c. musl's gettid() would answer from that.
 */
void vcpu_own(struct vcpu *v)
{
    struct sigaction kick = {.sa_handler = nothing, .sa_flags = SA_RESTART}; /* not for KVM_RUN */
    sigset_t kicks;

    sigemptyset(&kicks);
    sigaddset(&kicks, SIGNAL_KICK);
    pthread_sigmask(SIG_UNBLOCK, &kicks, NULL); /* who started us may have left it blocked */
    sigaction(SIGNAL_KICK, &kick, NULL);
    v->owner = pthread_self();
    v->process = getpid();
    v->thread = (pid_t)syscall(SYS_gettid);
}

void vcpu_run(struct vcpu *v)
{
    enum vcpu_wish wish;

    set_running(v, true);
    if (atomic_load(&v->wish) == VCPU_PAUSE) {
        prepare_entry(v);
        if (v->parks)
            v->parks(v->arg);
    }
    while ((wish = atomic_load(&v->wish)) != VCPU_STOP) {
        if (wish == VCPU_PAUSE)
            stand(v);
        else
            run_once(v);
    }
    set_running(v, false);
}

/* --- from outside --- */

/* STOP is final: neither a pause nor its end may undo it. */
static void ask(struct vcpu *v, enum vcpu_wish wish)
{
    pthread_mutex_lock(&v->mutex);
    if (atomic_load(&v->wish) != VCPU_STOP)
        atomic_store(&v->wish, wish);
    pthread_cond_broadcast(&v->changed);
    if (wish != VCPU_RUN && v->running && !pthread_equal(v->owner, pthread_self())) {
        v->run->immediate_exit = 1;
        syscall(SYS_tgkill, v->process, v->thread, SIGNAL_KICK);
    }
    pthread_mutex_unlock(&v->mutex);
}

bool vcpu_ask_pause(struct vcpu *v)
{
    bool standing;

    ask(v, VCPU_PAUSE);
    pthread_mutex_lock(&v->mutex);
    standing = v->paused;
    pthread_mutex_unlock(&v->mutex);
    return !standing;
}

static void ask_again(struct vcpu *v)
{
    ask(v, VCPU_PAUSE);
    pthread_mutex_lock(&v->mutex);
    v->again = v->paused;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->mutex);
}

/* One that stands already is woken once, for that. */
void vcpu_ask_stands(struct vcpu *v)
{
    bool standing;

    pthread_mutex_lock(&v->mutex);
    standing = v->paused && atomic_load(&v->wish) == VCPU_PAUSE;
    if (standing) {
        v->again = true;
        pthread_cond_broadcast(&v->changed);
    }
    pthread_mutex_unlock(&v->mutex);
    if (!standing)
        ask_again(v);
}

void vcpu_pause(struct vcpu *v)
{
    ask(v, VCPU_PAUSE);
    pthread_mutex_lock(&v->mutex);
    while (v->running && !v->paused && atomic_load(&v->wish) == VCPU_PAUSE)
        pthread_cond_wait(&v->changed, &v->mutex);
    pthread_mutex_unlock(&v->mutex);
}

void vcpu_resume(struct vcpu *v)
{
    ask(v, VCPU_RUN);
}

void vcpu_stop(struct vcpu *v)
{
    ask(v, VCPU_STOP);
}

void vcpu_close(struct vcpu *v)
{
    if (v->run)
        munmap(v->run, v->run_size);
    v->run = NULL;
    if (v->fd >= 0)
        close(v->fd);
    v->fd = -1;
}
