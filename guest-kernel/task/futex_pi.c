/*
 * Mutexes that inherit priority. Priorities do not exist here, so that is no work: what is left is
 * that the kernel hands the lock over by writing the next owner's tid.
 */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/task/futex_queue.h"
#include "guest-kernel/task/task.h"

long futex_lock_pi(const struct futex *f, u64 deadline, bool try)
{
    struct futex_waiter waiter = {.bits = FUTEX_ANY, .pi = true};
    u32 tid = (u32)task_current()->tid;

    if (!(*f->word & FUTEX_TID_MASK)) {
        *f->word = (*f->word & ~FUTEX_TID_MASK) | tid;
        return 0;
    }
    if ((*f->word & FUTEX_TID_MASK) == tid)
        return -EDEADLK;
    if (try)
        return -EAGAIN;
    *f->word |= FUTEX_WAITERS;
    return futex_sleep(f, &waiter, deadline);
}

long futex_unlock_pi(const struct futex *f)
{
    struct futex_waiter *next;

    if ((*f->word & FUTEX_TID_MASK) != (u32)task_current()->tid)
        return -EPERM;
    next = futex_first(f->key, FUTEX_ANY, true);
    if (next)
        futex_wake_waiter(next);
    *f->word = next ? next->tid : 0;
    if (futex_first(f->key, FUTEX_ANY, true))
        *f->word |= FUTEX_WAITERS;
    return 0;
}
