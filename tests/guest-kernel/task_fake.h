/* The rest of the kernel as the tests of task/ see it: a clock they set, and one running thread. */
#ifndef TESTS_GUEST_KERNEL_TASK_FAKE_H
#define TESTS_GUEST_KERNEL_TASK_FAKE_H

#include <setjmp.h>

#include "guest-kernel/mm/area.h"
#include "guest-kernel/task/process.h"

extern u64 fake_now;       /* CLOCK_MONOTONIC */
extern u64 fake_armed;     /* what the APIC was last told, 0 for nothing */
extern unsigned fake_arms; /* and how often */

/* Runs while the thread sleeps in wait_on, before it looks whether it was woken. */
extern void (*fake_while_asleep)(void);

/* The one area there is, if any, and the page of all its addresses. */
extern struct area *fake_area;
extern u64 fake_pte;

/* The system call that syscall_dispatch did last, and the limit of its waits. */
extern u64 fake_dispatched, fake_limit;

/* process_kill notes the signal and jumps here. */
extern int fake_killed;
extern jmp_buf fake_end;

/* Clears all state; two threads, of which the first runs. */
void fake_reset(void);
extern struct task fake_tasks[2];

#endif
