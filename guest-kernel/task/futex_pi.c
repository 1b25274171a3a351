/*
 * Mutexes that inherit priority. Priorities do not exist here, so that is no work: what is left is
 * that the kernel hands the lock over by writing the next owner's tid.
 */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/task/futex_queue.h"
#include "guest-kernel/task/task.h"

long futex_lock_pi(u64 addr, u64 deadline, bool try)
{
    u32 tid = (u32)task_current()->tid;
    int error;
    u32 *word = futex_word(addr, true, &error);

    if (!word)
        return error;
    if (!(*word & FUTEX_TID_MASK)) {
        *word = (*word & ~FUTEX_TID_MASK) | tid;
        return 0;
    }
    if ((*word & FUTEX_TID_MASK) == tid)
        return -EDEADLK;
    if (try)
        return -EAGAIN;
    *word |= FUTEX_WAITERS;
    return futex_sleep(addr, FUTEX_ANY, deadline);
}

long futex_unlock_pi(u64 addr)
{
    int error;
    u32 *word = futex_word(addr, true, &error);
    struct futex_waiter *next;

    if (!word)
        return error;
    if ((*word & FUTEX_TID_MASK) != (u32)task_current()->tid)
        return -EPERM;
    next = futex_first(addr, FUTEX_ANY);
    if (next)
        futex_wake_waiter(next);
    *word = next ? next->tid : 0;
    if (futex_first(addr, FUTEX_ANY))
        *word |= FUTEX_WAITERS;
    return 0;
}
