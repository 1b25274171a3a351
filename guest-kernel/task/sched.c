/* See sched.h. */
#include "guest-kernel/task/sched.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/arch/panic.h"
#include "guest-kernel/drivers/irq.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/task.h"

struct task *task_running;

static struct task *queue_first, *queue_last;
static struct timer tick;
static bool slice_over;
static u64 switched_at;   /* when the running thread got the CPU */
static bool idle;         /* it sleeps, and nobody else wants the CPU */
static bool interrupted;  /* in the callbacks of interrupts */
static struct task *dead; /* its stack may still be the one we run on */

/* At the end: its turn comes, and with it a new slice. */
static void enqueue(struct task *task)
{
    task->queued = true;
    task->run_next = NULL;
    task->slice_ns = 0;
    if (queue_last)
        queue_last->run_next = task;
    else
        queue_first = task;
    queue_last = task;
}

static void enqueue_first(struct task *task)
{
    task->queued = true;
    task->run_next = queue_first;
    queue_first = task;
    if (!queue_last)
        queue_last = task;
}

static struct task *dequeue(void)
{
    struct task *task = queue_first;

    if (!task)
        return NULL;
    queue_first = task->run_next;
    if (!queue_first)
        queue_last = NULL;
    task->queued = false;
    return task;
}

static void end_slice(struct timer *timer);

/* Somebody waits for the CPU while somebody runs. Rarely touches the APIC: see timer.c. */
static void start_tick(void)
{
    if (tick.armed)
        return;
    tick.fire = end_slice;
    slice_over = false;
    timer_set(&tick, clock_monotonic_ns() + SCHED_TICK_NS);
}

static void end_slice(struct timer *timer)
{
    (void)timer;
    slice_over = true;
}

bool sched_due(void)
{
    return slice_over && queue_first;
}

void sched_wake(struct task *task)
{
    if (task->state == TASK_DEAD || task->queued)
        return;
    if (process.exiting && task != task_running)
        return;
    if (task->state == TASK_RUNNABLE && task == task_running)
        return;
    task->state = TASK_RUNNABLE;
    bool at_once = interrupted && task->slice_ns < SCHED_TICK_NS;
    if (at_once)
        enqueue_first(task);
    else
        enqueue(task);
    if (task_running->state != TASK_RUNNABLE || task_running->tid == 0)
        return;
    start_tick();
    slice_over = slice_over || at_once;
}

void sched_interrupts(void)
{
    const u32 timer_note = 1u << (SAMARA_VECTOR_TIMER - IRQ_FIRST_VECTOR);
    u32 notes = irq_take();

    interrupted = true;
    if (notes & timer_note)
        timer_expire();
    if (notes & ~timer_note)
        irq_dispatch(notes & ~timer_note);
    interrupted = false;
}

static void free_task(struct task *task)
{
    pages_free(task->stack, TASK_STACK_PAGES);
    kfree(task->fpu_block);
    kfree(task);
}

static void charge(struct task *task)
{
    u64 now = clock_monotonic_ns();

    task->cpu_ns += now - switched_at;
    task->slice_ns += now - switched_at;
    switched_at = now;
}

static void switch_to(struct task *next)
{
    struct task *from = task_running;

    charge(from);
    slice_over = false;
    if (dead && dead != from) {
        free_task(dead);
        dead = NULL;
    }
    if (from->state == TASK_DEAD)
        dead = from;
    task_running = next;
    if (queue_first)
        start_tick();
    else
        timer_cancel(&tick);
    if (signal_waiting(next))
        work_pending = 1;
    arch_switch(&from->arch, &next->arch);
}

/* Idles on the stack of whoever slept last until a thread is runnable. */
static struct task *next_runnable(void)
{
    struct task *next = dequeue();

    if (next)
        return next;
    charge(task_running);
    idle = true;
    do {
        cpu_idle();
        sched_interrupts();
    } while (!(next = dequeue()));
    idle = false;
    switched_at = clock_monotonic_ns();
    return next;
}

void sched_sleep(void)
{
    struct task *next = next_runnable();

    if (next == task_running) {
        if (!queue_first)
            timer_cancel(&tick);
        return;
    }
    switch_to(next);
}

void sched_yield(void)
{
    slice_over = false;
    if (!queue_first)
        return;
    start_tick();
    enqueue(task_running);
    switch_to(dequeue());
}

void sched_stop_others(void)
{
    while (dequeue())
        ;
}

u64 task_cpu_ns(const struct task *task)
{
    u64 ns = task->cpu_ns;

    return task == task_running && !idle ? ns + (clock_monotonic_ns() - switched_at) : ns;
}

_Noreturn void sched_start(u64 entry, u64 stack_pointer)
{
    struct task *task = task_new();

    if (!task)
        panic(NULL, "no memory for the first thread");
    arch_fpu_clean(task->arch.fpu);
    task->arch.regs->rip = entry;
    task->arch.regs->rsp = stack_pointer;
    task->state = TASK_RUNNABLE;
    process_adopt_first(task);
    task_running = task;
    switched_at = clock_monotonic_ns();
    work_pending = 1; /* a signal may have come during boot */
    arch_start(&task->arch);
}
