/*
 * Mutexes that inherit priority. Priorities do not exist here, so that is no work: what is left is
 * that the kernel hands the lock over by writing the next owner's tid.
 */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/task/futex_queue.h"
#include "guest-kernel/task/task.h"

long futex_lock_pi(const struct futex *f, u64 deadline, bool try)
{
    u32 tid = (u32)task_current()->tid, owner = *f->word & FUTEX_TID_MASK;
    struct futex_waiter waiter = {.bits = FUTEX_ANY, .pi = true, .owner = owner};

    if (!owner) {
        *f->word |= tid;
        return 0;
    }
    if (owner == tid)
        return -EDEADLK;
    if (!task_find((int)owner))
        return -ESRCH; /* nobody would ever hand it over */
    if (try)
        return -EAGAIN;
    *f->word |= FUTEX_WAITERS;
    return futex_sleep(f, &waiter, deadline);
}

void futex_hand_over(const struct futex *f, u32 mark)
{
    struct futex_waiter *next = futex_first(f->key, FUTEX_ANY, true);

    *f->word = mark;
    if (!next)
        return;
    *f->word |= next->tid;
    futex_wake_waiter(next);
    futex_set_owner(f->key, next->tid);
    if (futex_first(f->key, FUTEX_ANY, true))
        *f->word |= FUTEX_WAITERS;
}

long futex_unlock_pi(const struct futex *f)
{
    if ((*f->word & FUTEX_TID_MASK) != (u32)task_current()->tid)
        return -EPERM;
    futex_hand_over(f, 0);
    return 0;
}
