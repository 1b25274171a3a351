/*
 * The virtual CPU: KVM_RUN, and exits turned into accesses on the bus. The thread that calls
 * vcpu_run is the vCPU thread; from any other the vCPU can be kicked out of the guest, paused,
 * resumed, stopped.
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
    _Atomic enum vcpu_wish wish;
    pthread_mutex_t mutex; /* for what follows, and sleeping on wish */
    pthread_cond_t changed;
    pthread_t owner; /* the vCPU thread */
    pid_t process, thread;
    bool running, paused;
    bool again;                                    /* `stands` is to be called once more */
    void (*failed)(void *arg, const char *report); /* the guest can go no further; vCPU thread */
    void (*stands)(void *arg); /* it has been paused; vCPU thread; NULL: nobody wants to know */
    void (*parks)(void *arg);  /* vcpu_run begins with a pause; likewise, before it stands */
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
    bool pvh; /* 32-bit protected mode instead: rip, and rbx below */
    uint32_t start_info;
};

/* Creates vCPU 0 of vm. v is VCPU_CLOSED; bus, failed and arg are set afterwards by the caller. */
int vcpu_create(struct vcpu *v, int kvm, int vm, struct err *err);

/* CPUID, XCR0 and MSRs; no system calls for a kernel that sets up its own (syscall_entry 0). */
int vcpu_set_features(struct vcpu *v, int kvm, const struct cpuid_table *cpuid,
                      uint64_t syscall_entry, struct err *err);

/* The code and stack segments of ring 3, into s. */
void vcpu_ring3_code(struct kvm_sregs *s);

/* Then the registers. */
int vcpu_set_start(struct vcpu *v, int kvm, const struct cpuid_table *cpuid,
                   const struct vcpu_start *start, struct err *err);

/* The calling thread is the one that will call vcpu_run: while it may still ask for its id and
 * handle signals. */
void vcpu_own(struct vcpu *v);

/* Runs the guest in the calling thread until vcpu_stop or failed. */
void vcpu_run(struct vcpu *v);

/* Gets it out of the guest and waits until it stands (or has ended); or lets it go on. Not from the
 * vCPU thread, and without the device lock: an access under way may want it. */
void vcpu_pause(struct vcpu *v);
/* The same without waiting, from any thread: false if it stands already, else `stands` will tell.
 */
bool vcpu_ask_pause(struct vcpu *v);
/* The same, and `stands` is called in any case, once more if it stands already. */
void vcpu_ask_stands(struct vcpu *v);
void vcpu_resume(struct vcpu *v);

/* Makes vcpu_run return, now or when it is called: from the vCPU thread (inside a bus access) or
 * from others. Does not wait. */
void vcpu_stop(struct vcpu *v);

/* Closes everything; vcpu_run has returned. */
void vcpu_close(struct vcpu *v);

#endif
