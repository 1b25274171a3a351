/* Futexes: sleeping on a word of the program's memory. */
#ifndef GUEST_KERNEL_TASK_FUTEX_H
#define GUEST_KERNEL_TASK_FUTEX_H

#include "guest-kernel/lib/base.h"

struct task;

/* Wakes up to count waiters at a program address that match bits, wherever they see its page.
 * Returns how many. */
int futex_wake(u64 addr, int count, u32 bits);

/* Marks the robust mutexes that a dying thread still holds, wakes a waiter of each, and hands over
 * those that are handed over. */
void futex_exit(const struct task *task);

/* True for the operations (second argument of the system call) that wait until the mutex is theirs:
 * a signal must not make them return without it. */
bool futex_takes_mutex(u64 operation);

#endif
