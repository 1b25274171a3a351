#include "tests/guest-kernel/task_fake.h"

#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/pagetable.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/sched.h"
#include "guest-kernel/task/wait.h"

/* <stdlib.h> defines names of the guest's ABI again. */
_Noreturn void abort(void);
void *malloc(size_t size);
void free(void *block);

volatile u32 work_pending;
struct process process;
struct task *task_running;
struct task fake_tasks[2];
u64 fake_now, fake_armed, fake_dispatched, fake_limit;
int fake_killed;
jmp_buf fake_end;
unsigned fake_arms;
void (*fake_while_asleep)(void);

void fake_reset(void)
{
    memset(&process, 0, sizeof(process));
    memset(fake_tasks, 0, sizeof(fake_tasks));
    fake_tasks[0].tid = PROCESS_PID;
    fake_tasks[1].tid = PROCESS_PID + 1;
    fake_tasks[0].next = &fake_tasks[1];
    fake_tasks[1].state = TASK_WAITING;
    process.tasks = fake_tasks;
    process.task_count = 2;
    task_running = fake_tasks;
    fake_while_asleep = NULL;
    fake_area = NULL;
    fake_armed = 0;
    fake_arms = 0;
    work_pending = 0;
}

u64 clock_monotonic_ns(void)
{
    return fake_now;
}

u64 clock_realtime_ns(void)
{
    return fake_now + 1000;
}

void timer_arm(u64 deadline_ns)
{
    fake_armed = deadline_ns;
    fake_arms++;
}

void *kmalloc(size_t size)
{
    return malloc(size);
}

void *kzalloc(size_t size)
{
    void *block = malloc(size);

    memset(block, 0, size);
    return block;
}

void kfree(void *block)
{
    free(block);
}

struct area_set mm_areas;
struct area *fake_area;
pte fake_pte;

struct area *area_find(const struct area_set *set, u64 addr)
{
    (void)set;
    return fake_area && addr >= fake_area->start && addr < fake_area->end ? fake_area : NULL;
}

pte *pt_find(u64 va)
{
    (void)va;
    return &fake_pte;
}

int user_prepare(u64 addr, size_t len, bool write)
{
    (void)len;
    (void)write;
    return addr < 4096 || addr >= 1ul << 47 ? -EFAULT : 0;
}

int copy_from_user(void *dst, u64 src, size_t len)
{
    if (src < 4096)
        return -EFAULT;
    memcpy(dst, user_pointer(src), len);
    return 0;
}

int copy_to_user(u64 dst, const void *src, size_t len)
{
    if (dst < 4096)
        return -EFAULT;
    memcpy(user_pointer(dst), src, len);
    return 0;
}

struct task *task_find(int tid)
{
    struct task *task = process.tasks;

    while (task && task->tid != tid)
        task = task->next;
    return task;
}

u64 task_cpu_ns(const struct task *task)
{
    return task->cpu_ns;
}

u64 process_cpu_ns(void)
{
    return 0;
}

void sched_wake(struct task *task)
{
    task->state = TASK_RUNNABLE;
}

_Noreturn void platform_exit(enum samara_exit_kind kind, u32 code)
{
    (void)kind;
    (void)code;
    abort();
}

int wait_on(struct wait_queue *queue, u64 deadline_ns)
{
    struct waiter waiter = {.queue = queue, .task = task_running};

    queue->first = queue->last = &waiter;
    if (fake_while_asleep)
        fake_while_asleep();
    if (wait_queue_empty(queue))
        return 0;
    queue->first = queue->last = NULL;
    return deadline_ns == WAIT_FOREVER ? -EINTR : -ETIMEDOUT;
}

unsigned wake_all(struct wait_queue *queue)
{
    bool somebody = !wait_queue_empty(queue);

    queue->first = queue->last = NULL;
    return somebody;
}

u32 platform_flags(void)
{
    return 0;
}

_Noreturn void process_kill(int sig, const char *why)
{
    (void)why;
    fake_killed = sig;
    longjmp(fake_end, 1);
}

size_t arch_fpu_size(void)
{
    return 512;
}

u64 arch_xfeatures(void)
{
    return 0;
}

void arch_fpu_save_to(void *area)
{
    memset(area, 0, 512);
}

void arch_fpu_restore_from(const void *area)
{
    (void)area;
}

void arch_fpu_clean(void *area)
{
    memset(area, 0, 512);
}

void syscall_dispatch(struct regs *regs)
{
    fake_dispatched = regs->orig_rax;
    fake_limit = task_running->wait.limit;
    regs->rax = 0;
}
