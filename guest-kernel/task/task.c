/* Threads: birth, death, and what happens on the way back to the program. See task.h. */
#include "guest-kernel/task/task.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/drivers/stdio.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/futex.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/sched.h"

enum { FPU_ALIGN = 64 };
enum { PAGE_FAULT = 14, VECTOR_X87 = 16, VECTOR_SIMD = 19 };

struct task *task_new(void)
{
    static int next_tid = PROCESS_PID;
    struct task *task = kzalloc(sizeof(*task));

    if (!task)
        return NULL;
    task->stack = pages_alloc(TASK_STACK_PAGES);
    task->fpu_block = kmalloc(arch_fpu_size() + FPU_ALIGN);
    if (!task->stack || !task->fpu_block)
        goto fail;
    task->arch.fpu =
        (void *)(((uintptr_t)task->fpu_block + FPU_ALIGN - 1) & ~(uintptr_t)(FPU_ALIGN - 1));
    arch_thread_init(&task->arch, (u8 *)task->stack + TASK_STACK_PAGES * PAGE_SIZE);
    task->tid = next_tid++;
    task->state = TASK_WAITING;
    task->signals.altstack.flags = SS_DISABLE;
    task->next = process.tasks;
    process.tasks = task;
    process.task_count++;
    return task;
fail:
    if (task->stack)
        pages_free(task->stack, TASK_STACK_PAGES);
    kfree(task->fpu_block);
    kfree(task);
    return NULL;
}

static void unlink_task(struct task *task)
{
    struct task **link = &process.tasks;

    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    process.task_count--;
}

struct task *task_find(int tid)
{
    struct task *task = process.tasks;

    while (task && task->tid != tid)
        task = task->next;
    return task;
}

void task_set_name(struct task *task, const char *name)
{
    size_t len = strnlen(name, TASK_NAME - 1);

    memset(task->name, 0, sizeof(task->name));
    memcpy(task->name, name, len);
}

_Noreturn void task_exit(int status)
{
    struct task *task = task_current();
    const u32 zero = 0;

    futex_exit(task);
    if (task->clear_child_tid && copy_to_user(task->clear_child_tid, &zero, sizeof(zero)) == 0)
        futex_wake(task->clear_child_tid, 1, UINT32_MAX);
    if (task->tid == PROCESS_PID)
        process.leader_status = status;
    if (process.task_count == 1)
        process_exit(process.leader_status);
    unlink_task(task);
    process.dead_cpu_ns += task_cpu_ns(task);
    signal_flush(&task->signals.pending);
    task->state = TASK_DEAD;
    sched_sleep();
    __builtin_unreachable();
}

void task_return_work(struct regs *regs)
{
    do {
        work_pending = 0;
        sched_interrupts();
        if (sched_due())
            sched_yield();
        signal_deliver(regs);
    } while (work_pending);
}

static int fpu_code(unsigned vector)
{
    static const struct {
        u8 flags, code;
    } codes[] = {{1 << 0, FPE_FLTINV},
                 {1 << 2, FPE_FLTDIV},
                 {1 << 3, FPE_FLTOVF},
                 {1 << 4 | 1 << 1, FPE_FLTUND}, /* underflow, denormal */
                 {1 << 5, FPE_FLTRES}};
    u32 raised = arch_fpu_exceptions(vector == VECTOR_SIMD);

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (raised & codes[i].flags)
            return codes[i].code;
    return SI_KERNEL;
}

static void fault_info(struct siginfo *info, unsigned vector, u32 error, u64 addr, u64 rip)
{
    static const struct {
        u8 sig;
        u8 code;
    } plain[32] = {
        [0] = {SIGFPE, FPE_INTDIV},  [1] = {SIGTRAP, TRAP_TRACE}, [3] = {SIGTRAP, SI_KERNEL},
        [4] = {SIGSEGV, SI_KERNEL},  [5] = {SIGSEGV, SI_KERNEL},  [6] = {SIGILL, ILL_ILLOPN},
        [7] = {SIGILL, ILL_ILLOPN},  [11] = {SIGBUS, SI_KERNEL},  [12] = {SIGBUS, SI_KERNEL},
        [13] = {SIGSEGV, SI_KERNEL}, [17] = {SIGBUS, BUS_ADRALN},
    };

    *info = (struct siginfo){.signo = SIGSEGV, .code = SI_KERNEL};
    if (vector < ARRAY_LEN(plain) && plain[vector].sig) {
        info->signo = plain[vector].sig;
        info->code = plain[vector].code;
        /* Only these name the instruction; the others have no address. */
        if (info->signo == SIGFPE || info->signo == SIGILL || vector == 1)
            info->fault.addr = rip;
    }
    if (vector == VECTOR_X87 || vector == VECTOR_SIMD)
        *info = (struct siginfo){.signo = SIGFPE, .code = fpu_code(vector), .fault = {.addr = rip}};
    if (vector == PAGE_FAULT) {
        enum fault_result why = mm_fault(addr, error);

        info->code = why == FAULT_SEGV_ACCERR ? SEGV_ACCERR : SEGV_MAPERR;
        if (why == FAULT_BUS) {
            info->signo = SIGBUS;
            info->code = BUS_ADRERR;
        }
        info->fault.addr = addr;
    }
}

void task_fault(struct regs *regs, unsigned vector, u32 error, u64 addr)
{
    struct task_signals *s = &task_current()->signals;
    struct siginfo info;

    fault_info(&info, vector, error, addr, regs->rip);
    s->trapno = vector;
    s->err = error;
    if (vector == PAGE_FAULT) {
        s->cr2 = addr;
        if (addr >= MM_TOP)
            s->err |= FAULT_PRESENT; /* nobody is to learn what is mapped there */
    }
    signal_force(&info);
}

long task_refuse_fork(void)
{
    static bool told;

    if (!told)
        klog_program("samara: this program needs fork, which one VM per program does not have");
    told = true;
    return -ENOSYS;
}
