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
    u64 key;
    u64 addr; /* where its thread sees the word */
    u32 bits;
    u32 tid;
    bool pi;   /* waits for a mutex that is handed over: nobody else wakes it */
    u32 owner; /* pi: of the mutex */
    bool queued;
    struct wait_queue queue;
};

/* A word of the program's memory and what its waiters are found by. */
struct futex {
    u32 *word; /* prepared for reading, or for writing if asked for */
    u64 addr;
    u64 key;
};

/* 0, -EINVAL or -EFAULT. A shared word (no FUTEX_PRIVATE_FLAG) is the same wherever it is mapped.
 */
int futex_at(struct futex *f, u64 addr, bool shared, bool write);

/* Waits with what the caller set of bits, pi and owner. 0 when woken, else -EINTR or -ETIMEDOUT. */
int futex_sleep(const struct futex *f, struct futex_waiter *waiter, u64 deadline);

/* The longest waiting of a kind whose bits match, or NULL. */
struct futex_waiter *futex_first(u64 key, u32 bits, bool pi);

/* A waiter for a mutex that tid owns, or NULL. */
struct futex_waiter *futex_waits_for(u32 tid);

/* Tells those who wait to be handed a mutex that it has another owner. */
void futex_set_owner(u64 key, u32 tid);

/* Wakes up to count ordinary waiters whose bits match. Returns how many. */
int futex_wake_key(u64 key, int count, u32 bits);

/* Takes a waiter out of its queue and makes its thread runnable. */
void futex_wake_waiter(struct futex_waiter *waiter);

/* Mutexes that the kernel hands over, in futex_pi.c: 0 or -errno. */
long futex_lock_pi(const struct futex *f, u64 deadline, bool try);
long futex_unlock_pi(const struct futex *f);

/* Makes the longest waiting thread the owner, or nobody; mark is FUTEX_OWNER_DIED or 0. */
void futex_hand_over(const struct futex *f, u32 mark);

#endif
