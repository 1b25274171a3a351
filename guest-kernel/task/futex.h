/* Futexes: sleeping on a word of the program's memory. */
#ifndef GUEST_KERNEL_TASK_FUTEX_H
#define GUEST_KERNEL_TASK_FUTEX_H

#include "guest-kernel/lib/base.h"

struct task;

/* Wakes up to count waiters at a program address that match bits, wherever they see its page.
 * Returns how many. */
int futex_wake(u64 addr, int count, u32 bits);

/* Marks the robust mutexes that a dying thread still holds, and wakes a waiter of each. */
void futex_exit_robust_list(struct task *task);

#endif
