/*
 * See timer.h. Programming the APIC costs a trip to the monitor's side, so it is left alone unless
 * the first deadline moved forward: most timeouts are cancelled before they fire, and an interrupt
 * that finds nothing due is cheaper than reprogramming for each of them.
 */
#include "guest-kernel/task/timer.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/irq.h"

static struct timer *first;
static u64 programmed = UINT64_MAX; /* when the APIC will fire */

static void insert(struct timer *timer)
{
    struct timer *before = NULL, *after = first;

    while (after && after->deadline <= timer->deadline) {
        before = after;
        after = after->next;
    }
    timer->prev = before;
    timer->next = after;
    if (before)
        before->next = timer;
    else
        first = timer;
    if (after)
        after->prev = timer;
    timer->armed = true;
}

static void program(void)
{
    if (!first || first->deadline >= programmed)
        return;
    programmed = first->deadline;
    timer_arm(programmed);
}

void timer_set(struct timer *timer, u64 deadline_ns)
{
    timer_cancel(timer);
    timer->deadline = deadline_ns;
    insert(timer);
    program();
}

void timer_cancel(struct timer *timer)
{
    if (!timer->armed)
        return;
    if (timer->prev)
        timer->prev->next = timer->next;
    else
        first = timer->next;
    if (timer->next)
        timer->next->prev = timer->prev;
    timer->armed = false;
}

void timer_expire(void)
{
    u64 now = clock_monotonic_ns();

    /* Callbacks may arm timers that are due already: those wait for the next interrupt, so that a
     * timer with a tiny interval cannot keep the kernel here. */
    programmed = 0;
    while (first && first->deadline <= now) {
        struct timer *due = first;

        timer_cancel(due);
        due->fire(due);
    }
    programmed = UINT64_MAX;
    program();
}
