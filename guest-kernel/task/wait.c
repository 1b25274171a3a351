/* See wait.h. */
#include "guest-kernel/task/wait.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/task/sched.h"
#include "guest-kernel/task/signal.h"
#include "guest-kernel/task/task.h"

void wait_init(struct wait_queue *queue)
{
    *queue = (struct wait_queue){0};
}

void wait_add(struct wait_queue *queue, struct waiter *waiter)
{
    waiter->queue = queue;
    waiter->task = task_current();
    waiter->next = NULL;
    waiter->prev = queue->last;
    if (queue->last)
        queue->last->next = waiter;
    else
        queue->first = waiter;
    queue->last = waiter;
}

void wait_remove(struct waiter *waiter)
{
    struct wait_queue *queue = waiter->queue;

    if (!queue)
        return;
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        queue->first = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        queue->last = waiter->prev;
    waiter->queue = NULL;
}

static void timed_out(struct timer *timer)
{
    struct task *task = container_of(timer, struct task, sleep);

    task->timed_out = true;
    sched_wake(task);
}

static int block(u64 deadline_ns, bool interruptible)
{
    struct task *task = task_current();
    int result = 0;

    task->timed_out = false;
    if (task->wait.limit)
        deadline_ns = MIN(deadline_ns, task->wait.limit);
    if (deadline_ns != WAIT_FOREVER && !task->woken) {
        if (deadline_ns <= clock_monotonic_ns())
            return -ETIMEDOUT;
        task->sleep.fire = timed_out;
        timer_set(&task->sleep, deadline_ns);
    }
    while (!task->woken) {
        if (interruptible && signal_waiting(task)) {
            work_pending = 1;
            task->wait.interrupted = deadline_ns == WAIT_FOREVER ? 0 : MAX(deadline_ns, 1ull);
            result = -EINTR;
            break;
        }
        if (task->timed_out) {
            result = -ETIMEDOUT;
            break;
        }
        task->state = TASK_WAITING;
        sched_sleep();
    }
    timer_cancel(&task->sleep);
    task->woken = false;
    return result;
}

int wait_block(u64 deadline_ns)
{
    return block(deadline_ns, true);
}

static int wait_in(struct wait_queue *queue, u64 deadline_ns, bool interruptible)
{
    struct waiter waiter;
    int result;

    task_current()->woken = false; /* left by a poll that did not need to block */
    wait_add(queue, &waiter);
    result = block(deadline_ns, interruptible);
    wait_remove(&waiter);
    return result;
}

int wait_on(struct wait_queue *queue, u64 deadline_ns)
{
    return wait_in(queue, deadline_ns, true);
}

int wait_on_uninterrupted(struct wait_queue *queue, u64 deadline_ns)
{
    return wait_in(queue, deadline_ns, false);
}

unsigned wake_one(struct wait_queue *queue)
{
    struct waiter *waiter = queue->first;

    if (!waiter)
        return 0;
    wait_remove(waiter);
    waiter->task->woken = true;
    sched_wake(waiter->task);
    return 1;
}

unsigned wake_all(struct wait_queue *queue)
{
    unsigned count = 0;

    while (wake_one(queue))
        count++;
    return count;
}
