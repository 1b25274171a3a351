/* A thread of the program. All threads belong to the one process (process.h). */
#ifndef GUEST_KERNEL_TASK_TASK_H
#define GUEST_KERNEL_TASK_TASK_H

#include "guest-kernel/arch/thread.h"
#include "guest-kernel/lib/base.h"
#include "guest-kernel/task/signal.h"
#include "guest-kernel/task/timer.h"

#define TASK_NAME        16
#define TASK_STACK_PAGES 4

enum task_state {
    TASK_RUNNABLE, /* running or in the run queue */
    TASK_WAITING,
    TASK_DEAD,
};

/* What a wait that a signal ended leaves for the system call to be resumed (signal_deliver.c);
 * deadlines are of CLOCK_MONOTONIC, 0 for none. */
struct task_wait {
    u64 interrupted; /* the deadline of the wait that just ended in -EINTR */
    u64 number;      /* system call that sys_restart_syscall resumes, 0 for none */
    u64 until;       /* and the deadline it had */
    u64 limit;       /* no wait of the resumed call lasts longer */
};

struct task {
    struct arch_thread arch;
    int tid;
    enum task_state state;
    char name[TASK_NAME];
    void *stack;           /* TASK_STACK_PAGES pages; NULL for the boot context */
    void *fpu_block;       /* from the heap; arch.fpu is the aligned part */
    struct task *next;     /* all tasks, process.tasks */
    struct task *run_next; /* run queue */
    bool queued;           /* in the run queue */

    bool woken;     /* a wake-up came since wait_block looked last */
    bool timed_out; /* deadline of the wait passed */
    struct timer sleep;
    struct task_wait wait;

    u64 slice_ns;        /* of that since it last waited for its turn at the queue's end */
    u64 cpu_ns;          /* time on the CPU up to the last switch away from it */
    u64 clear_child_tid; /* program address, 0 for none */
    u64 robust_list, robust_list_size;
    struct task_signals signals;
};

/* The running thread; during boot a context with tid 0 that may wait but has no program side. */
extern struct task *task_running;

static inline struct task *task_current(void)
{
    return task_running;
}

/* A new thread with a stack, an FPU image to be filled, zero registers; it is in the list of
 * threads but not runnable yet. NULL when out of memory. */
struct task *task_new(void);
struct task *task_find(int tid);

/* Cuts to TASK_NAME - 1 bytes. */
void task_set_name(struct task *task, const char *name);

/* Ends the calling thread; the last one ends the process. */
_Noreturn void task_exit(int status);

/* CPU time of a thread, up to now. */
u64 task_cpu_ns(const struct task *task);

/*
 * Called by the trap code.
 * task_return_work: before a return to the program when work_pending or a noted interrupt says so;
 * may switch threads, change regs for a signal handler, or not return.
 * task_fault: an exception of the program that nobody resolved becomes its Linux signal.
 */
void task_return_work(struct regs *regs);
void task_fault(struct regs *regs, unsigned vector, u32 error, u64 addr);

/* A program that wants fork, vfork or exec is told so on its stderr, once. */
long task_refuse_fork(void);

#endif
