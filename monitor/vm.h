/*
 * A virtual machine: the one owner of KVM's descriptors, guest memory, devices, loop and vCPU.
 *
 *     keeper    vm_open ──────────┬── vm_hand_over ────────────────────────────────────── vm_close
 *     monitor                     └── vm_create ── vm_confine ── vm_run ──(doorbell: exit, or
 *                                     the vCPU fails, or vm_abandon)── the process ends
 */
#ifndef SAMARA_MONITOR_VM_H
#define SAMARA_MONITOR_VM_H

#include "devices/vsock.h"
#include "monitor/confine.h"
#include "monitor/event_loop.h"
#include "monitor/guest_mem.h"
#include "monitor/kernel_image.h"
#include "monitor/mmio_bus.h"
#include "monitor/platform.h"
#include "monitor/program.h"
#include "monitor/terminal.h"
#include "monitor/trace.h"
#include "monitor/unix_socket.h"
#include "monitor/vcpu.h"
#include "monitor/vm_config.h"

enum vm_end {
    VM_RUNNING,
    VM_EXITED,    /* the guest said so: exit_kind and exit_code of the platform page */
    VM_FAILED,    /* the vCPU could go no further: report */
    VM_ABANDONED, /* vm_abandon */
};

/* A piece of set-up that one of two threads does; see vm.c. */
struct vm_part {
    pthread_mutex_t mutex;
    bool tried, good;
    struct err err;
};

struct vm {
    const struct vm_config *config; /* borrowed */
    int kvm, fd;
    struct terminal terminal;
    struct stream_fd stdio[3]; /* until vsock has them */
    uint32_t closed_flags;     /* SAMARA_FLAG_STDIN_CLOSED << n */
    struct unix_listener vsock_listener;
    vsock_dial_fn dial; /* set by the owner before vm_create, if there is --vsock */
    void *dial_arg;
    uint8_t *ram; /* one host mapping, at the device hole continued from SAMARA_RAM_HIGH_BASE */
    uint64_t ram_size;
    struct guest_mem mem;
    struct device_lock lock;
    struct mmio_bus bus;
    struct event_loop loop;
    pthread_t loop_thread;
    int processor; /* where the thread was that made the loop thread */
    bool loop_started;
    struct vm_part basis, contents;
    struct vcpu vcpu;
    struct program program;
    int program_status; /* what program_open or program_check said */
    struct kernel_image kernel;
    int cgroups[VM_CGROUPS]; /* their lists of processes, for writing; -1: not open */
    int runtime_dir;         /* where CPUID is kept from one VM to the next; -1: nowhere */
    struct cpuid_table cpuid;
    struct vcpu_start start;
    struct platform platform;
    struct vsock *vsock;
    struct virtio_preset vsock_preset;
    struct trace trace;
    enum vm_end end;
    bool files_grow;                 /* output or trace go to regular files */
    struct confinement *confinement; /* the owner's; NULL: nothing is given up (tests) */
    bool pause_wanted;
    void (*stands_fn)(
        void *arg); /* the guest has been paused; vCPU thread, under the device lock */
    void *stands_arg;
    bool output_lost;         /* the host did not take all of the program's output */
    bool gone;                /* the guest has had its last turn */
    uint64_t untaken_since;   /* when a signal was sent that the guest may not have taken yet; ns */
    char report[1024];        /* VM_FAILED */
    bool finished;            /* ended, and all output was delivered */
    bool stands;              /* vm_run holds the device lock */
    pthread_cond_t finishing; /* with the device lock; loop_confined, too */
    enum { LOOP_FREE, LOOP_CONFINED, LOOP_NOT_CONFINED } loop_confined;
    struct err confine_err;
};

/* Opens everything for which the caller's rights are needed; descriptors 0 and 1 are /dev/null
 * afterwards. vm is in static memory (it is large) and zero; config lives as long as it. -1 with
 * err: vm_destroy and vm_close are to follow; if it is the program that cannot run, program_status
 * is the exit status. */
int vm_open(struct vm *vm, const struct vm_config *config, struct err *err);

/* In the keeper, once the monitor has copies: closes what only that uses. */
void vm_hand_over(struct vm *vm);

/* Where vm_open was called, at the very end: puts back the terminal, removes paths. */
void vm_close(struct vm *vm);

/* Builds everything up to the first instruction; the loop runs from here on. -1 with err, and
 * nothing left open but what is vm_close's; program_status as above. */
int vm_create(struct vm *vm, struct err *err);

/* Gives up, in both threads and for good, whatever running the guest does not take. -1 with err. */
int vm_confine(struct vm *vm, struct err *err);

/* Runs the guest in the calling thread until it ended and all its output was delivered. Afterwards
 * the devices stand still: the device lock stays taken. */
void vm_run(struct vm *vm);

/* All with the device lock: sends signal sig to the program, false if nobody is there to take it;
 * tells the guest the terminal's size anew; ends vm_run without waiting for the guest. */
bool vm_signal(struct vm *vm, int sig);
/* Pausing does not wait: false if the guest stands already, else stands_fn will tell. */
bool vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
void vm_resize(struct vm *vm);
void vm_abandon(struct vm *vm);

/* After vm_run: writes the trace, if one is wanted. */
int vm_write_trace(struct vm *vm, struct err *err);

/* Undoes vm_create, and vm_open as far as it is not vm_close's. */
void vm_destroy(struct vm *vm);

#endif
