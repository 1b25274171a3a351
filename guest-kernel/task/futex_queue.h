/* Between the futex files of this folder: the words and who waits for them. */
#ifndef GUEST_KERNEL_TASK_FUTEX_QUEUE_H
#define GUEST_KERNEL_TASK_FUTEX_QUEUE_H

#include "guest-kernel/lib/base.h"
#include "guest-kernel/task/wait.h"

#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu
#define FUTEX_ANY        0xffffffffu

/* Lives on the kernel stack of the thread that waits. */
struct futex_waiter {
    struct futex_waiter *next;
    u64 addr;
    u32 bits;
    u32 tid;
    bool queued;
    struct wait_queue queue;
};

/* The word at addr, prepared for reading or writing; NULL with *error. */
u32 *futex_word(u64 addr, bool write, int *error);

/* 0 when woken by futex_wake, else -EINTR or -ETIMEDOUT. */
int futex_sleep(u64 addr, u32 bits, u64 deadline);

/* The longest waiting at addr whose bits match, or NULL. */
struct futex_waiter *futex_first(u64 addr, u32 bits);

/* Takes a waiter out of its queue and makes its thread runnable. */
void futex_wake_waiter(struct futex_waiter *waiter);

/* Mutexes that the kernel hands over, in futex_pi.c: 0 or -errno. */
long futex_lock_pi(u64 addr, u64 deadline, bool try);
long futex_unlock_pi(u64 addr);

#endif
