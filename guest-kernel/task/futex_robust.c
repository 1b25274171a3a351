/* Robust mutexes: a thread that dies leaves a mark in those it holds. */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/futex.h"
#include "guest-kernel/task/futex_queue.h"
#include "guest-kernel/task/task.h"
#include "guest-kernel/task/task_syscalls.h"

enum { ROBUST_LIST_LIMIT = 2048, ROBUST_LIST_HEAD = 24 };

static void owner_died(u64 addr, bool pi, u32 tid)
{
    struct futex f;

    if (futex_at(&f, addr, true, true) != 0 || (*f.word & FUTEX_TID_MASK) != tid)
        return;
    *f.word = (*f.word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (!pi)
        futex_wake_key(f.key, 1, FUTEX_ANY);
}

/* struct robust_list_head: list, offset from an entry to its word, entry being taken or released.
 * Bit 0 of an entry's address marks a PI mutex. */
static void exit_robust_list(const struct task *task)
{
    u64 head[3], entry, next;
    u32 tid = (u32)task->tid;

    if (!task->robust_list || copy_from_user(head, task->robust_list, sizeof(head)) != 0)
        return;
    entry = head[0];
    for (unsigned i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ull) != task->robust_list; i++) {
        if (copy_from_user(&next, entry & ~1ull, sizeof(next)) != 0)
            break;
        if ((entry & ~1ull) != (head[2] & ~1ull))
            owner_died((entry & ~1ull) + head[1], entry & 1, tid);
        entry = next;
    }
    if (head[2])
        owner_died((head[2] & ~1ull) + head[1], head[2] & 1, tid);
}

/* Linux hands over what the thread held as far as it knows: words need not be in the list. */
static void exit_pi(u32 tid)
{
    struct futex_waiter *waiter;

    while ((waiter = futex_waits_for(tid)) != NULL) {
        struct futex f;

        if (futex_at(&f, waiter->addr, true, true) != 0) {
            futex_wake_waiter(waiter);
            continue;
        }
        f.key = waiter->key;
        futex_hand_over(&f, FUTEX_OWNER_DIED);
    }
}

void futex_exit(const struct task *task)
{
    exit_robust_list(task);
    exit_pi((u32)task->tid);
}

long sys_set_robust_list(const u64 a[6])
{
    if (a[1] != ROBUST_LIST_HEAD)
        return -EINVAL;
    task_current()->robust_list = a[0];
    task_current()->robust_list_size = a[1];
    return 0;
}

long sys_get_robust_list(const u64 a[6])
{
    const u64 size = ROBUST_LIST_HEAD;
    struct task *task = (int)a[0] == 0 ? task_current() : task_find((int)a[0]);

    if (!task)
        return -ESRCH;
    if (copy_to_user(a[1], &task->robust_list, sizeof(u64)) != 0)
        return -EFAULT;
    return copy_to_user(a[2], &size, sizeof(size));
}
