/*
 * A virtual machine: the one owner of KVM's descriptors, guest memory, devices, loop and vCPU.
 *
 *     keeper    vm_init ─┬─ vm_open ── vm_pass ─────────────────────────────────────── vm_close
 *     monitor            └─ vm_create ──┘── vm_run ──(doorbell: exit, or the vCPU fails, or
 *                           vm_abandon)── the process ends
 */
#ifndef SAMARA_MONITOR_VM_H
#define SAMARA_MONITOR_VM_H

#include <sched.h>

#include "devices/block.h"
#include "devices/vsock.h"
#include "monitor/boot.h"
#include "monitor/confine.h"
#include "monitor/event_loop.h"
#include "monitor/guest_mem.h"
#include "monitor/kernel_image.h"
#include "monitor/latch.h"
#include "monitor/mmio_bus.h"
#include "monitor/net_open.h"
#include "monitor/net_peer.h"
#include "monitor/platform.h"
#include "monitor/program.h"
#include "monitor/snapshot/copies.h"
#include "monitor/snapshot/disk_rounds.h"
#include "monitor/snapshot/restored.h"
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

/* What takes the caller's rights: every path, every inherited descriptor. */
struct vm_opened {
    int null; /* /dev/null */
    int proc; /* /proc, as a path */
    int trace;
    struct terminal terminal;
    struct stream_fd stdio[3]; /* until vsock has them */
    uint32_t closed_flags;     /* SAMARA_FLAG_STDIN_CLOSED << n */
    bool files_grow;           /* output or trace go to regular files */
    struct unix_listener vsock_listeners[VSOCK_KINDS];
    int cgroups[VM_CGROUPS];     /* their lists of processes, for writing; -1: not open */
    struct disk disks[VM_DISKS]; /* until the devices have them */
    struct net_opened nets[VM_NETS];
    struct cpuid_cache cpuid_cache;
    struct trace_steps steps; /* when it was opened */
    struct kernel_image kernel;
    struct program program;
};

enum { VM_STACK = 128 << 10, VM_PAGE = 4096 };

/* The last to be used is the loop's, below which nothing may be touched. */
struct vm_stacks {
    _Alignas(VM_PAGE) unsigned char guard[VM_PAGE];
    unsigned char loop[VM_STACK], machine[VM_STACK];
};

struct vm;

/* A disk: its device, and the thread that does what may take long. */
struct vm_disk {
    struct vm *vm;
    unsigned number;
    struct block *block; /* NULL: there is none */
    struct worker worker;
    pthread_t thread;
    bool started;
    struct latch confined;
    struct err err;
};

/* A network interface: its device, and who is asked for another peer when its own has gone. */
struct vm_net {
    struct vm *vm;
    unsigned number;
    struct net *net; /* NULL: there is none */
    bool awaits_peer;
    struct loop_timer again;
};

/* What set-up touches first comes first and together: after the split each page costs a fault in
 * both processes. */
struct vm {
    const struct vm_config *config; /* borrowed */
    int kvm, fd;
    cpu_set_t
        processors; /* where threads may run, or none: unknown; the keeper may have sent them */
    int opener; /* over this link come the opened from the keeper; -1: vm_open was called here */
    vsock_dial_fn dial; /* set by the owner before vm_create, if there is --vsock */
    void *dial_arg;
    /* Likewise: asks for vm_net_connected, later; false if it is to be called again. NULL: nobody
     * can be asked. */
    bool (*find_peer)(void *arg, unsigned number);
    void *find_peer_arg;
    struct confinement *confinement; /* the owner's; NULL: nothing is given up (tests) */
    uint8_t *ram; /* one host mapping, at the device hole continued from SAMARA_RAM_HIGH_BASE */
    uint64_t ram_size;
    bool can_log;           /* dirty_log_offered */
    bool shadows;           /* KVM has tables of its own for the guest's, or does not say */
    int64_t real_offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC */
    int pagemap;            /* /proc/self/pagemap; -1: there is none */
    struct copies copies;   /* for snapshots */
    struct disk_copies disk_copies;
    struct guest_mem mem;
    struct device_lock lock;
    struct event_loop loop;
    pthread_t loop_thread;
    bool loop_started;
    struct latch basis, mapped, devices, loop_confined; /* parts of set-up, see vm_create.c */
    _Atomic int machine_thread; /* the kernel sets it to 0 when that has ended */
    bool machine_good;
    struct vcpu vcpu;
    struct boot_loaded loaded;
    struct platform platform;
    struct vsock *vsock;
    int program_status; /* what program_open or program_check said */
    enum vm_end end;
    bool pause_wanted;
    bool parked;                /* grown, and not yet awake: paused, and its clock stands */
    struct loop_timer touching; /* before it is parked */
    void (*stands_fn)(
        void *arg); /* the guest has been paused; vCPU thread, under the device lock */
    void *stands_arg;
    bool freeze_wanted;
    void (*frozen_fn)(void *arg); /* it has been frozen: likewise */
    void *frozen_arg;
    bool output_lost;       /* the host did not take all of the program's output */
    bool gone;              /* the guest has had its last turn */
    uint64_t untaken_since; /* when a signal was sent that the guest may not have taken yet; ns */
    bool finished;          /* ended, and all output was delivered */
    bool stands;            /* vm_run holds the device lock */
    struct device_event finishing;
    struct mmio_bus bus;
    struct trace trace;
    struct vm_opened opened;

    struct vm_disk disks[VM_DISKS];
    struct vm_net nets[VM_NETS];
    struct net_peer peers[VM_NETS]; /* the keeper's */
    struct err loop_err, machine_err;
    char report[1024]; /* VM_FAILED */
    struct cpuid_table cpuid;
    struct restored *restored; /* the owner's, which vm grows from; NULL: it boots */
    struct vm_stacks stacks;
};

/* Before anything is opened but KVM, which is handed over (-1: not yet). vm is in static memory (it
 * is large) and zero; config lives as long as it. */
void vm_init(struct vm *vm, const struct vm_config *config, int kvm);

/* Opens everything else for which the caller's rights are needed; descriptors 0 and 1 are /dev/null
 * afterwards. -1 with err: vm_close is to follow; if it is the program that cannot run,
 * program_status is the exit status. */
int vm_open(struct vm *vm, struct err *err);

/* From the keeper, over the link `end`: gives the monitor what was opened, and closes what only
 * that uses. -1 with err. */
int vm_pass(struct vm *vm, int end, struct err *err);

/* Where vm_open was called, at the very end: puts back the terminal, removes paths. */
void vm_close(struct vm *vm);

/* Builds everything up to the first instruction; the loop runs from here on. Meanwhile both threads
 * that stay give up, for good, whatever running the guest does not take: the calling one, which is
 * to call vm_run (the process's first, if there is a confinement), and the loop's. seccomp_prepare
 * was called. -1 with err, and program_status as above: then the process ends, or, if nothing was
 * to be given up, vm_destroy is to follow. */
int vm_create(struct vm *vm, struct err *err);

/* Runs the guest in the calling thread until it ended and all its output was delivered. Afterwards
 * the devices stand still: the device lock stays taken. */
void vm_run(struct vm *vm);

/* All with the device lock: sends signal sig to the program, false if nobody is there to take it;
 * tells the guest the terminal's size anew; ends vm_run without waiting for the guest. */
bool vm_signal(struct vm *vm, int sig);
/* Pausing does not wait: false if the guest stands already, else stands_fn will tell. */
bool vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
/* The same for a snapshot, beside a pause: frozen_fn is called in any case, with no request of a
 * disk under way. vm_thaw undoes it; vm_thaw_guest leaves disks standing (block_go_on). */
void vm_freeze(struct vm *vm);
void vm_thaw(struct vm *vm);
void vm_thaw_guest(struct vm *vm);
/* Before vm_run, of a restored one: it does not begin before vm_wake, which is called while it is
 * frozen. */
void vm_park(struct vm *vm);
int vm_wake(struct vm *vm, struct err *err);
void vm_resize(struct vm *vm);
/* What find_peer has led to; the descriptor is taken over. */
void vm_net_connected(struct vm *vm, unsigned number, int fd);
void vm_abandon(struct vm *vm);
/* The same because it can go no further. */
void vm_failed(struct vm *vm, const struct err *err);

/* After vm_run: writes the trace, if one is wanted. */
int vm_write_trace(struct vm *vm, struct err *err);

/* Undoes vm_init, vm_create and vm_open as far as it is not vm_close's. */
void vm_destroy(struct vm *vm);

#endif
