/*
 * The virtual CPU and its thread: KVM_RUN, and exits turned into accesses on the bus. It can be kicked
 * out of the guest, paused and resumed from any other thread.
 */
#ifndef SAMARA_MONITOR_VCPU_H
#define SAMARA_MONITOR_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "monitor/cpuid.h"
#include "monitor/elf_image.h"
#include "monitor/mmio_bus.h"

enum vcpu_wish { VCPU_RUN, VCPU_PAUSE, VCPU_STOP };

struct vcpu {
    int fd;
    struct kvm_run *run; /* shared with KVM */
    size_t run_size;
    struct mmio_bus *bus;
    pthread_t thread;
    bool started;
    _Atomic enum vcpu_wish wish;
    pthread_mutex_t mutex; /* for paused, and sleeping on wish */
    pthread_cond_t changed;
    bool paused;
    void (*failed)(void *arg, const char *report); /* the guest can go no further; vCPU thread */
    void *arg;
};

#define VCPU_CLOSED                                                                                \
    {                                                                                              \
        .fd = -1, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER          \
    }

/* Registers at the first instruction. */
struct vcpu_start {
    uint64_t rip, rsp, rdi, rsi, rdx;
    uint64_t cr3;
    uint64_t syscall_entry;
    bool pvh;           /* 32-bit protected mode instead: rip, and rbx below */
    uint32_t start_info;
};

/* Creates vCPU 0 of vm. v is VCPU_CLOSED; bus, failed and arg are set afterwards by the caller. */
int vcpu_create(struct vcpu *v, int kvm, int vm, struct err *err);
int vcpu_set_up(struct vcpu *v, int kvm, const struct cpuid_table *cpuid,
                const struct vcpu_start *start, struct err *err);

int vcpu_start_thread(struct vcpu *v, struct err *err);

/* Gets it out of the guest and waits until it stands; or lets it go on. */
void vcpu_pause(struct vcpu *v);
void vcpu_resume(struct vcpu *v);

/* Makes the thread end: from itself (inside a bus access) or from others. */
void vcpu_stop(struct vcpu *v);

/* Stops and joins the thread if it runs, closes everything. */
void vcpu_close(struct vcpu *v);

#endif
