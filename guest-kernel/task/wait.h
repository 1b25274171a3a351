/*
 * Sleeping and waking. The kernel is cooperative and interrupts are only noted, so nothing can
 * happen between testing a condition and calling wait_on: no wake-up is lost, and there are no
 * locks.
 *
 *     while (!condition) {
 *         int err = wait_on(&queue, WAIT_FOREVER);
 *         if (err)
 *             return err;
 *     }
 *
 * A caller may be woken without its condition being true and must test it again.
 */
#ifndef GUEST_KERNEL_TASK_WAIT_H
#define GUEST_KERNEL_TASK_WAIT_H

#include "guest-kernel/lib/base.h"

#define WAIT_FOREVER UINT64_MAX

struct task;
struct wait_queue;

/* One thread's place in one queue; lives on the waiter's kernel stack. */
struct waiter {
    struct waiter *next, *prev;
    struct wait_queue *queue; /* NULL once removed */
    struct task *task;
};

/* Waiters in the order they came. A zeroed queue is a valid, empty one. */
struct wait_queue {
    struct waiter *first, *last;
};

void wait_init(struct wait_queue *queue);

/*
 * Sleeps until woken, a signal is to be delivered, or clock_monotonic_ns() reaches deadline_ns.
 * Returns 0, -EINTR or -ETIMEDOUT. A system call passes -EINTR on as it is: whether it is then
 * restarted (SA_RESTART) is decided in one place, where the signal is delivered. Calls that moved
 * some data already return the count instead.
 */
int wait_on(struct wait_queue *queue, u64 deadline_ns);

/* The same, but a signal does not end it: 0 or -ETIMEDOUT. For waits that must end soon anyway. */
int wait_on_uninterrupted(struct wait_queue *queue, u64 deadline_ns);

/* Makes the waiters runnable, all or the longest waiting. Return how many were woken. */
unsigned wake_all(struct wait_queue *queue);
unsigned wake_one(struct wait_queue *queue);

/*
 * Waiting on many queues at once (poll, epoll, select): add a waiter to each queue *before* testing
 * the conditions, wait_block, then remove every waiter. A wake-up between add and block is kept:
 * wait_block then returns 0 at once.
 */
void wait_add(struct wait_queue *queue, struct waiter *waiter);
void wait_remove(struct waiter *waiter); /* no-op when a wake-up removed it already */
int wait_block(u64 deadline_ns);         /* as wait_on */

static inline bool wait_queue_empty(const struct wait_queue *queue)
{
    return queue->first == NULL;
}

#endif
