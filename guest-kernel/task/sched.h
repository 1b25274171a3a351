/*
 * Round robin among runnable threads on one CPU. A tick of 10 ms runs only while somebody else is
 * waiting for the CPU. A thread that an interrupt wakes goes first, and the running one's slice
 * ends, unless the woken one used up a whole slice since it last waited for its turn. When nobody
 * is runnable the thread that went to sleep last idles on its own stack: an interrupt that makes it
 * runnable again costs no switch.
 */
#ifndef GUEST_KERNEL_TASK_SCHED_H
#define GUEST_KERNEL_TASK_SCHED_H

#include "guest-kernel/lib/base.h"

struct task;

#define SCHED_TICK_NS 10000000ull

/* Makes the first thread, to start at entry with the program's stack pointer, and runs it. Leaves
 * the boot stack for good. */
_Noreturn void sched_start(u64 entry, u64 stack_pointer);

/* Makes a thread runnable; no-op if it is already. */
void sched_wake(struct task *task);

/* Gives up the CPU: sched_yield goes to the end of the queue, sched_sleep leaves it (the state is
 * already TASK_WAITING or TASK_DEAD) and returns when woken. */
void sched_yield(void);
void sched_sleep(void);

/* True once the running thread used up its slice and another one waits. */
bool sched_due(void);

/* Takes every thread but the running one off the CPU for good. */
void sched_stop_others(void);

/* Takes the noted interrupts and hands them out: timers, then drivers. */
void sched_interrupts(void);

#endif
