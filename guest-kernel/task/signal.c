/* Sending and taking signals. Delivery to the program is in signal_deliver.c. See signal.h. */
#include "guest-kernel/task/signal.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/sched.h"
#include "guest-kernel/task/signal_action.h"
#include "guest-kernel/task/signal_timer.h"

/* What came with a signal, in order of arrival. */
struct signal_entry {
    struct signal_entry *next;
    struct siginfo info;
};

/* As RLIMIT_SIGPENDING bounds it on Linux: a program cannot fill the heap with signals. */
enum { QUEUE_MAX = 4096 };
static unsigned queued;

/* Faults come before anything else, so that their handler sees the registers of the fault. */
static const sigset fault_signals = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) |
                                    1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) |
                                    1ull << (SIGFPE - 1) | 1ull << (SIGSYS - 1);

bool signal_is_ignored(int sig)
{
    u64 handler = process.actions[sig - 1].handler;

    return handler == SIG_IGN || (handler == SIG_DFL && !signal_kills(sig));
}

bool signal_kills(int sig)
{
    const sigset harmless = sig_bit(SIGCHLD) | sig_bit(SIGURG) | sig_bit(SIGWINCH) |
                            sig_bit(SIGCONT) | sig_bit(SIGSTOP) | sig_bit(SIGTSTP) |
                            sig_bit(SIGTTIN) | sig_bit(SIGTTOU);

    return !(harmless & sig_bit(sig));
}

static bool add(struct signal_pending *pending, const struct siginfo *info)
{
    struct signal_entry **end = &pending->first;
    struct signal_entry *entry;

    /* A timer's is queued beside one from elsewhere: the timer stands still until it is taken. */
    if (info->signo < SIGRTMIN && pending->set & sig_bit(info->signo) && info->code != SI_TIMER)
        return true;
    entry = queued < QUEUE_MAX ? kmalloc(sizeof(*entry)) : NULL;
    if (!entry && info->signo >= SIGRTMIN && info->code != SI_USER)
        return false;
    pending->set |= sig_bit(info->signo);
    if (!entry)
        return true; /* delivered without its information */
    entry->next = NULL;
    entry->info = *info;
    while (*end)
        end = &(*end)->next;
    *end = entry;
    queued++;
    return true;
}

static void unlink_entry(struct signal_entry **link)
{
    struct signal_entry *entry = *link;

    *link = entry->next;
    kfree(entry);
    queued--;
}

/* Removes one instance of sig; more of a real-time signal stay pending, and of a timer's. */
static void take(struct signal_pending *pending, int sig, struct siginfo *info)
{
    struct signal_entry **link = &pending->first;
    bool found = false, more = false;

    *info = (struct siginfo){.signo = sig, .code = SI_USER};
    while (*link) {
        if ((*link)->info.signo != sig) {
            link = &(*link)->next;
        } else if (!found) {
            found = true;
            *info = (*link)->info;
            unlink_entry(link);
        } else {
            more = true;
            break;
        }
    }
    if (!more)
        pending->set &= ~sig_bit(sig);
    if (sig == SIGALRM)
        itimer_signal_taken();
    if (info->code == SI_TIMER)
        posix_timer_signal_taken(info);
}

void signal_flush(struct signal_pending *pending)
{
    while (pending->first)
        unlink_entry(&pending->first);
    pending->set = 0;
}

void signal_drop(struct signal_pending *pending, int sig)
{
    struct siginfo unused;

    while (pending->set & sig_bit(sig))
        take(pending, sig, &unused);
}

int signal_take(struct task *task, sigset set, struct siginfo *info)
{
    struct signal_pending *from = &task->signals.pending;
    sigset ready = from->set & set;

    if (!ready) {
        from = &process.pending;
        ready = from->set & set;
    }
    if (!ready)
        return 0;
    if (ready & fault_signals)
        ready &= fault_signals;
    int sig = __builtin_ctzll(ready) + 1;

    take(from, sig, info);
    return sig;
}

bool signal_waiting(const struct task *task)
{
    const struct task_signals *s = &task->signals;
    sigset open = ~s->blocked | s->awaited;

    if (task->tid == 0 || process.exiting)
        return false;
    return (s->pending.set | process.pending.set) & open;
}

static void notify(struct task *task)
{
    if (task->state == TASK_WAITING)
        sched_wake(task); /* it may be the current one, idling until somebody wakes */
    else if (task == task_current())
        work_pending = 1;
}

static bool wants(const struct task *task, int sig)
{
    return (~task->signals.blocked | task->signals.awaited) & sig_bit(sig);
}

/* An ignored signal is forgotten at once, unless somebody blocks it and may yet set a handler or
 * take it with sigtimedwait. */
static bool worth_keeping(const struct task *task, int sig)
{
    return !signal_is_ignored(sig) || !(~task->signals.blocked & sig_bit(sig)) ||
           task->signals.awaited & sig_bit(sig);
}

bool signal_send_task(struct task *task, const struct siginfo *info)
{
    int sig = info->signo;

    if (!worth_keeping(task, sig))
        return true;
    if (!add(&task->signals.pending, info))
        return false;
    if (wants(task, sig))
        notify(task);
    return true;
}

/* The first thread if it will take the signal, as on Linux, else any other that will. */
static struct task *receiver(int sig)
{
    struct task *leader = task_find(PROCESS_PID);

    if (leader && wants(leader, sig))
        return leader;
    for (struct task *task = process.tasks; task; task = task->next)
        if (wants(task, sig))
            return task;
    return NULL;
}

bool signal_send_process(const struct siginfo *info)
{
    int sig = info->signo;
    struct task *task = receiver(sig);

    if (task && !worth_keeping(task, sig))
        return true;
    if (!add(&process.pending, info))
        return false;
    if (task)
        notify(task);
    return true;
}

static bool holds_timer(const struct signal_pending *pending, int id)
{
    const struct signal_entry *entry = pending->first;

    while (entry && (entry->info.code != SI_TIMER || entry->info.timer.id != id))
        entry = entry->next;
    return entry;
}

bool signal_timer_pending(int id)
{
    if (holds_timer(&process.pending, id))
        return true;
    for (const struct task *task = process.tasks; task; task = task->next)
        if (holds_timer(&task->signals.pending, id))
            return true;
    return false;
}

void signal_self(int sig)
{
    const struct siginfo info = {.signo = sig, .code = SI_USER, .user = {.pid = PROCESS_PID}};

    signal_send_task(task_current(), &info);
}

void signal_process(int sig)
{
    const struct siginfo info = {.signo = sig, .code = SI_USER};

    if (sig < 1 || sig > SIGNAL_COUNT)
        return;
    /* Only the output's reader is still waited for: whoever asks again means it. */
    if (process.exiting && signal_kills(sig))
        platform_exit(SAMARA_EXIT_SIGNAL, (u32)sig);
    signal_send_process(&info);
}

void signal_force(const struct siginfo *info)
{
    struct task_signals *s = &task_current()->signals;
    struct sigaction *action = &process.actions[info->signo - 1];

    if (s->blocked & sig_bit(info->signo) || action->handler == SIG_IGN) {
        action->handler = SIG_DFL;
        s->blocked &= ~sig_bit(info->signo);
    }
    signal_drop(&s->pending, info->signo);
    add(&s->pending, info);
    work_pending = 1;
}

void signal_set_blocked(sigset mask)
{
    struct task *task = task_current();
    sigset shared = process.pending.set & mask & ~task->signals.blocked;

    task->signals.blocked = mask & ~(sig_bit(SIGKILL) | sig_bit(SIGSTOP));
    if (signal_waiting(task))
        work_pending = 1;
    /* What this thread would have taken for the process, another one may. */
    while (shared) {
        int sig = __builtin_ctzll(shared) + 1;
        struct task *other = receiver(sig);

        shared &= shared - 1;
        if (other)
            notify(other);
    }
}

void signal_mask_begin(sigset mask)
{
    struct task_signals *s = &task_current()->signals;

    s->saved_mask = s->blocked;
    s->restore_mask = true;
    signal_set_blocked(mask);
}

void signal_mask_done(void)
{
    struct task_signals *s = &task_current()->signals;

    if (!s->restore_mask)
        return;
    s->restore_mask = false;
    signal_set_blocked(s->saved_mask);
}
