/* System calls about signals; sigreturn is in signal_deliver.c. */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/signal_action.h"
#include "guest-kernel/task/task_syscalls.h"
#include "guest-kernel/task/wait.h"

#define UNCATCHABLE (sig_bit(SIGKILL) | sig_bit(SIGSTOP))

static bool valid(int sig)
{
    return sig >= 1 && sig <= SIGNAL_COUNT;
}

/* A signal that became ignored is no longer pending anywhere. */
static void forget(int sig)
{
    signal_drop(&process.pending, sig);
    for (struct task *task = process.tasks; task; task = task->next)
        signal_drop(&task->signals.pending, sig);
}

long sys_rt_sigaction(const u64 a[6])
{
    int sig = (int)a[0];
    struct sigaction action, old;

    if (a[3] != sizeof(sigset) || !valid(sig) || (a[1] && sig_bit(sig) & UNCATCHABLE))
        return -EINVAL;
    old = process.actions[sig - 1];
    if (a[1] && copy_from_user(&action, a[1], sizeof(action)) != 0)
        return -EFAULT;
    if (a[2] && copy_to_user(a[2], &old, sizeof(old)) != 0)
        return -EFAULT;
    if (!a[1])
        return 0;
    action.mask &= ~UNCATCHABLE;
    process.actions[sig - 1] = action;
    if (signal_is_ignored(sig))
        forget(sig);
    return 0;
}

long sys_rt_sigprocmask(const u64 a[6])
{
    sigset set, old = task_current()->signals.blocked;
    int how = (int)a[0];

    if (a[3] != sizeof(sigset))
        return -EINVAL;
    if (a[1]) {
        if (copy_from_user(&set, a[1], sizeof(set)) != 0)
            return -EFAULT;
        if (how == SIG_BLOCK)
            set |= old;
        else if (how == SIG_UNBLOCK)
            set = old & ~set;
        else if (how != SIG_SETMASK)
            return -EINVAL;
    }
    if (a[2] && copy_to_user(a[2], &old, sizeof(old)) != 0)
        return -EFAULT;
    if (a[1])
        signal_set_blocked(set);
    return 0;
}

long sys_rt_sigpending(const u64 a[6])
{
    const struct task_signals *s = &task_current()->signals;
    sigset set = (s->pending.set | process.pending.set) & s->blocked;

    if (a[1] > sizeof(set))
        return -EINVAL;
    return copy_to_user(a[0], &set, a[1]);
}

static int wait_for_signal(void)
{
    struct wait_queue nobody = {0};
    int err;

    do {
        err = wait_on(&nobody, WAIT_FOREVER);
    } while (err == 0);
    return err;
}

long sys_rt_sigsuspend(const u64 a[6])
{
    sigset mask;

    if (a[1] != sizeof(mask))
        return -EINVAL;
    if (copy_from_user(&mask, a[0], sizeof(mask)) != 0)
        return -EFAULT;
    signal_mask_begin(mask);
    return wait_for_signal();
}

long sys_pause(const u64 a[6])
{
    (void)a;
    return wait_for_signal();
}

static int take_before(sigset set, u64 deadline, struct siginfo *info)
{
    struct task *task = task_current();
    struct wait_queue nobody = {0};
    int sig, err = 0;

    task->signals.awaited = set;
    while ((sig = signal_take(task, set, info)) == 0 && err == 0)
        err = wait_on(&nobody, deadline);
    if (sig == 0)
        sig = signal_take(task, set, info);
    task->signals.awaited = 0;
    if (sig)
        return sig;
    return err == -ETIMEDOUT ? -EAGAIN : err;
}

long sys_rt_sigtimedwait(const u64 a[6])
{
    struct siginfo info;
    u64 ns, deadline = WAIT_FOREVER;
    sigset set;
    int sig;

    if (a[3] != sizeof(set))
        return -EINVAL;
    if (copy_from_user(&set, a[0], sizeof(set)) != 0)
        return -EFAULT;
    if (a[2]) {
        int err = timespec_from_user(a[2], &ns);

        if (err)
            return err;
        deadline = clock_deadline(CLOCK_MONOTONIC, ns, false);
    }
    sig = take_before(set & ~UNCATCHABLE, deadline, &info);
    if (sig > 0 && a[1] && copy_to_user(a[1], &info, sizeof(info)) != 0)
        return -EFAULT;
    return sig;
}

static bool names_us(s64 pid)
{
    return pid == PROCESS_PID || pid == 0 || pid == -PROCESS_PID;
}

static long send_process(s64 pid, const struct siginfo *info)
{
    if (info->signo < 0 || info->signo > SIGNAL_COUNT)
        return -EINVAL;
    if (!names_us(pid))
        return -ESRCH;
    if (info->signo && !signal_send_process(info))
        return -EAGAIN;
    return 0;
}

static long send_thread(int tgid, int tid, const struct siginfo *info)
{
    struct task *task = task_find(tid);

    if (tgid <= 0 || tid <= 0 || info->signo < 0 || info->signo > SIGNAL_COUNT)
        return -EINVAL;
    if (!task || tgid != PROCESS_PID)
        return -ESRCH;
    if (info->signo && !signal_send_task(task, info))
        return -EAGAIN;
    return 0;
}

long sys_kill(const u64 a[6])
{
    const struct siginfo info = {.signo = (int)a[1], .code = SI_USER, .user = {.pid = PROCESS_PID}};

    return send_process((int)a[0], &info);
}

long sys_tgkill(const u64 a[6])
{
    const struct siginfo info = {
        .signo = (int)a[2], .code = SI_TKILL, .user = {.pid = PROCESS_PID}};

    return send_thread((int)a[0], (int)a[1], &info);
}

long sys_tkill(const u64 a[6])
{
    const u64 args[6] = {PROCESS_PID, a[0], a[1]};

    return sys_tgkill(args);
}

long sys_rt_sigqueueinfo(const u64 a[6])
{
    struct siginfo info;

    if (copy_from_user(&info, a[2], sizeof(info)) != 0)
        return -EFAULT;
    info.signo = (int)a[1];
    return send_process((int)a[0], &info);
}

long sys_rt_tgsigqueueinfo(const u64 a[6])
{
    struct siginfo info;

    if (copy_from_user(&info, a[3], sizeof(info)) != 0)
        return -EFAULT;
    info.signo = (int)a[2];
    return send_thread((int)a[0], (int)a[1], &info);
}

static long set_altstack(struct sigstack *current, const struct sigstack *wanted)
{
    u32 mode = wanted->flags & ~SS_AUTODISARM;

    if (current->flags & SS_ONSTACK)
        return -EPERM;
    if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        task_current()->signals.altstack = (struct sigstack){.flags = SS_DISABLE};
        return 0;
    }
    if (wanted->size < MINSIGSTKSZ || wanted->sp + wanted->size < wanted->sp)
        return -ENOMEM;
    task_current()->signals.altstack = (struct sigstack){
        .sp = wanted->sp, .flags = wanted->flags & SS_AUTODISARM, .size = wanted->size};
    return 0;
}

long sys_sigaltstack(const u64 a[6])
{
    struct task *task = task_current();
    struct sigstack old = task->signals.altstack, wanted;

    old.flags = signal_altstack_flags(&old, task->arch.regs->rsp);
    if (a[0]) {
        long err;

        if (copy_from_user(&wanted, a[0], sizeof(wanted)) != 0)
            return -EFAULT;
        err = set_altstack(&old, &wanted);
        if (err)
            return err;
    }
    return a[1] ? copy_to_user(a[1], &old, sizeof(old)) : 0;
}

/* Executed in the place of a call that a signal without a handler ended before its deadline. */
long sys_restart_syscall(const u64 a[6])
{
    struct task *task = task_current();
    struct regs *regs = task->arch.regs;

    (void)a;
    if (!task->wait.number)
        return -EINTR;
    regs->orig_rax = task->wait.number;
    task->wait.limit = task->wait.until;
    task->wait.number = 0;
    syscall_dispatch(regs);
    task->wait.limit = 0;
    return (long)regs->rax;
}
