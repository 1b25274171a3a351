/*
 * From a pending signal to its handler and back: frames on the program's stack, default actions,
 * and what becomes of the system call that was interrupted. See signal_frame.h for the layout.
 */
#include "abi/memory_map.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/futex.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/signal_action.h"
#include "guest-kernel/task/signal_frame.h"
#include "guest-kernel/task/task_syscalls.h"

enum { SYSCALL_BYTES = 2, SYS_FUTEX = 202, SYS_RESTART_SYSCALL = 219 };

size_t signal_frame_max(void)
{
    return sizeof(struct signal_frame) + arch_fpu_size() + FPU_END_MARK_BYTES + FRAME_FPU_ALIGN +
           FRAME_RED_ZONE + 16;
}

/*
 * What signal(7) says SA_RESTART restarts; other calls end in EINTR. The rest of the kernel returns
 * -EINTR and need not know.
 */
static bool restartable(u64 number)
{
    static const u16 calls[] = {
        0,  1,  16,  17,  18,  19,  20,  42,  43, 44, 45, 46, 47, 61, /* read .. wait4 */
        72, 73, 202, 247, 288, 295, 296, 318,                         /* fcntl .. getrandom */
    };

    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (calls[i] == number)
            return true;
    return false;
}

static bool interrupted(const struct regs *regs)
{
    return (s64)regs->orig_rax >= 0 && (s64)regs->rax == -EINTR;
}

/* After a handler: a wait that had a deadline is never resumed, a mutex that the kernel hands over
 * is always waited for. */
static bool goes_on_after(const struct regs *regs, const struct sigaction *action)
{
    if (regs->orig_rax == SYS_FUTEX && futex_takes_mutex(regs->rsi))
        return true;
    return action->flags & SA_RESTART && restartable(regs->orig_rax) &&
           !task_current()->wait.interrupted;
}

/* The program executes its system call again. A wait that had a deadline must not get a new one:
 * sys_restart_syscall brings the old one with it. */
static void restart(struct regs *regs)
{
    struct task_wait *wait = &task_current()->wait;

    regs->rax = regs->orig_rax;
    if (wait->interrupted) {
        wait->number = regs->orig_rax;
        wait->until = wait->interrupted;
        regs->rax = SYS_RESTART_SYSCALL;
    }
    regs->rip -= SYSCALL_BYTES;
}

/* Once per system call: after that regs are the program's own. Without a handler (action NULL) the
 * program must not notice that it was interrupted. */
static void end_call(struct regs *regs, const struct sigaction *action)
{
    if (interrupted(regs) && (!action || goes_on_after(regs, action)))
        restart(regs);
    regs->orig_rax = UINT64_MAX;
    task_current()->wait.interrupted = 0;
}

static bool on_altstack(const struct sigstack *stack, u64 sp)
{
    return !(stack->flags & (SS_DISABLE | SS_AUTODISARM)) && sp > stack->sp &&
           sp - stack->sp <= stack->size;
}

u32 signal_altstack_flags(const struct sigstack *stack, u64 sp)
{
    if (stack->flags & SS_DISABLE)
        return SS_DISABLE;
    return on_altstack(stack, sp) ? SS_ONSTACK : stack->flags & SS_AUTODISARM;
}

/* Where a frame goes; false if there is no room. A frame that begins on the alternate stack must
 * not run out at its lower end. */
static bool find_place(struct signal_frame_place *place, const struct sigaction *action,
                       const struct sigstack *alt, u64 sp)
{
    bool nested = on_altstack(alt, sp);
    bool enters = action->flags & SA_ONSTACK && !(alt->flags & SS_DISABLE) && !nested;

    sp = enters ? alt->sp + alt->size : sp - FRAME_RED_ZONE;
    if (!signal_frame_place(place, sp, arch_fpu_size(), arch_xfeatures()))
        return false;
    return (!nested && !enters) || (place->frame > alt->sp && place->end <= alt->sp + alt->size);
}

static void save_fpu(u64 addr)
{
    u8 *image = user_pointer(addr);

    if (arch_xfeatures()) /* XSAVE leaves the reserved bytes as they are */
        memset(image + FXSAVE_BYTES, 0, XSAVE_HEADER_BYTES);
    memset(image, 0, FXSAVE_BYTES);
    arch_fpu_save_to(image);
    signal_fpu_mark(image, arch_fpu_size(), arch_xfeatures());
}

/* The thread's own save area is free while the thread runs. */
static void clear_fpu(void)
{
    void *image = task_current()->arch.fpu;

    arch_fpu_clean(image);
    arch_fpu_restore_from(image);
}

static bool build_frame(struct regs *regs, const struct sigaction *action,
                        const struct siginfo *info, sigset mask)
{
    struct task_signals *s = &task_current()->signals;
    struct signal_frame_place place;
    struct signal_frame *frame;

    if (!(action->flags & SA_RESTORER) || !find_place(&place, action, &s->altstack, regs->rsp) ||
        user_prepare(place.frame, place.end - place.frame, true) != 0)
        return false;
    save_fpu(place.fpu);
    clear_fpu(); /* an exception still pending in it would hit the handler */
    frame = user_pointer(place.frame);
    *frame = (struct signal_frame){.return_address = action->restorer,
                                   .uc = {.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS |
                                                   (arch_xfeatures() ? UC_FP_XSTATE : 0u),
                                          .stack = s->altstack,
                                          .mask = mask},
                                   .info = *info};
    frame->uc.stack.flags = signal_altstack_flags(&s->altstack, regs->rsp);
    signal_context_save(&frame->uc.context, regs);
    frame->uc.context.oldmask = mask;
    frame->uc.context.fpstate = place.fpu;
    frame->uc.context.err = s->err;
    frame->uc.context.trapno = s->trapno;
    frame->uc.context.cr2 = s->cr2;
    if (s->altstack.flags & SS_AUTODISARM)
        s->altstack = (struct sigstack){.flags = SS_DISABLE};

    regs->rsp = place.frame;
    regs->rip = action->handler;
    regs->rdi = (u64)info->signo;
    regs->rsi = place.frame + offsetof(struct signal_frame, info);
    regs->rdx = place.frame + offsetof(struct signal_frame, uc);
    regs->rax = 0;
    regs->rflags &= ~0x10500ull; /* RF, DF, TF: as a function expects them */
    return true;
}

/* Dying of a signal is the program's own affair; why is said to those who asked. */
static const char *if_verbose(const char *why)
{
    return platform_flags() & SAMARA_FLAG_VERBOSE ? why : NULL;
}

/* As on Linux: SIGSEGV, whose handler may have a stack of its own; unless it was that. */
static void no_frame(int sig)
{
    const struct siginfo fault = {.signo = SIGSEGV, .code = SI_KERNEL};

    if (sig == SIGSEGV)
        process_kill(SIGSEGV, if_verbose("no stack for a signal handler"));
    signal_force(&fault);
}

static void run_handler(struct regs *regs, int sig, const struct siginfo *info)
{
    struct task_signals *s = &task_current()->signals;
    const struct sigaction action = process.actions[sig - 1];
    sigset mask = s->restore_mask ? s->saved_mask : s->blocked;

    end_call(regs, &action);
    if (action.handler >= SAMARA_WINDOW || !build_frame(regs, &action, info, mask)) {
        no_frame(sig);
        return;
    }
    s->restore_mask = false;
    if (action.flags & SA_RESETHAND)
        process.actions[sig - 1].handler = SIG_DFL;
    signal_set_blocked(s->blocked | action.mask | (action.flags & SA_NODEFER ? 0 : sig_bit(sig)));
}

static const char *reason(const struct siginfo *info)
{
    switch (info->signo) {
    case SIGSEGV:
        return "invalid memory access";
    case SIGBUS:
        return "memory access beyond the end of a file, or misaligned";
    case SIGILL:
        return "invalid instruction";
    case SIGFPE:
        return "arithmetic exception";
    default:
        return "default action";
    }
}

void signal_deliver(struct regs *regs)
{
    struct task *task = task_current();
    struct siginfo info;
    int sig;

    while ((sig = signal_take(task, ~task->signals.blocked, &info)) != 0) {
        if (signal_is_ignored(sig))
            continue;
        if (process.actions[sig - 1].handler == SIG_DFL)
            process_kill(sig, if_verbose(reason(&info)));
        run_handler(regs, sig, &info);
    }
    if (task->signals.restore_mask)
        signal_mask_done();
    /* Interrupted for nothing: another thread took the signal, or it is ignored by now. */
    if (interrupted(regs))
        end_call(regs, NULL);
    task->wait.interrupted = 0;
}

/* Loads the FPU image of a frame. */
static bool load_fpu(u64 addr)
{
    size_t size = arch_fpu_size();
    void *image = task_current()->arch.fpu;
    bool marked;
    u32 end = 0;

    if (!addr) {
        clear_fpu();
        return true;
    }
    if (copy_from_user(image, addr, FXSAVE_BYTES) != 0)
        return false;
    marked = signal_fpu_marked(image, size, arch_xfeatures());
    if (marked && (copy_from_user(image, addr, size) != 0 ||
                   copy_from_user(&end, addr + size, sizeof(end)) != 0))
        return false;
    signal_fpu_sanitize(image, size, arch_xfeatures(), marked && end == FP_XSTATE_MAGIC2);
    arch_fpu_restore_from(image);
    return true;
}

long sys_rt_sigreturn(const u64 a[6])
{
    struct task *task = task_current();
    struct regs *regs = task->arch.regs;
    struct ucontext uc;

    (void)a;
    /* The handler's ret took the return address off the stack. */
    if (copy_from_user(&uc, regs->rsp, sizeof(uc)) != 0 ||
        !signal_context_restore(&uc.context, regs) || !load_fpu(uc.context.fpstate)) {
        const struct siginfo bad = {.signo = SIGSEGV, .code = SI_KERNEL};

        regs->orig_rax = UINT64_MAX;
        signal_force(&bad);
        return 0;
    }
    task->wait.number = 0; /* the handler may have waited itself: a call begun before it ends */
    signal_set_blocked(uc.mask);
    if (task->signals.altstack.flags & SS_DISABLE && uc.stack.flags & SS_AUTODISARM)
        task->signals.altstack = uc.stack;
    return (long)regs->rax;
}
