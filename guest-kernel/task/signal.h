/*
 * Linux signals: queues, masks, dispositions, delivery to a handler on the program's stack and the
 * way back. Layouts are those of the x86-64 kernel ABI (arch/x86/include/uapi/asm/{signal,siginfo,
 * sigcontext,ucontext}.h). Stopping does not exist here (one process, no parent to continue it):
 * SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU do nothing by default, SIGCONT neither.
 */
#ifndef GUEST_KERNEL_TASK_SIGNAL_H
#define GUEST_KERNEL_TASK_SIGNAL_H

#include "guest-kernel/lib/base.h"

struct regs;
struct task;

#define SIGNAL_COUNT 64

enum {
    SIGHUP = 1,
    SIGINT = 2,
    SIGQUIT = 3,
    SIGILL = 4,
    SIGTRAP = 5,
    SIGABRT = 6,
    SIGBUS = 7,
    SIGFPE = 8,
    SIGKILL = 9,
    SIGUSR1 = 10,
    SIGSEGV = 11,
    SIGUSR2 = 12,
    SIGPIPE = 13,
    SIGALRM = 14,
    SIGTERM = 15,
    SIGSTKFLT = 16,
    SIGCHLD = 17,
    SIGCONT = 18,
    SIGSTOP = 19,
    SIGTSTP = 20,
    SIGTTIN = 21,
    SIGTTOU = 22,
    SIGURG = 23,
    SIGXCPU = 24,
    SIGXFSZ = 25,
    SIGVTALRM = 26,
    SIGPROF = 27,
    SIGWINCH = 28,
    SIGIO = 29,
    SIGPWR = 30,
    SIGSYS = 31,
    SIGRTMIN = 32,
};

enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };

#define SIG_DFL      0ul
#define SIG_IGN      1ul

#define SA_RESTORER  0x04000000ul
#define SA_ONSTACK   0x08000000ul
#define SA_RESTART   0x10000000ul
#define SA_NODEFER   0x40000000ul
#define SA_RESETHAND 0x80000000ul

enum { SS_ONSTACK = 1, SS_DISABLE = 2 };
#define SS_AUTODISARM 0x80000000u
#define MINSIGSTKSZ   2048

/* si_code */
enum {
    SI_USER = 0,
    SI_KERNEL = 0x80,
    SI_QUEUE = -1,
    SI_TIMER = -2,
    SI_TKILL = -6,
    ILL_ILLOPN = 2,
    FPE_INTDIV = 1,
    FPE_FLTDIV = 3,
    FPE_FLTOVF = 4,
    FPE_FLTUND = 5,
    FPE_FLTRES = 6,
    FPE_FLTINV = 7,
    SEGV_MAPERR = 1,
    SEGV_ACCERR = 2,
    BUS_ADRALN = 1,
    BUS_ADRERR = 2,
    TRAP_TRACE = 2,
};

typedef u64 sigset; /* bit n-1 is signal n */

static inline sigset sig_bit(int sig)
{
    return 1ull << (sig - 1);
}

/* struct kernel_sigaction of the ABI. */
struct sigaction {
    u64 handler;
    u64 flags;
    u64 restorer;
    sigset mask;
};
_Static_assert(sizeof(struct sigaction) == 32, "kernel_sigaction");

/* stack_t */
struct sigstack {
    u64 sp;
    u32 flags;
    u32 pad;
    u64 size;
};
_Static_assert(sizeof(struct sigstack) == 24, "stack_t");

/* siginfo_t: the fields after code depend on the signal. */
struct siginfo {
    s32 signo;
    s32 err;
    s32 code;
    s32 pad;
    union {
        struct {
            s32 pid;
            u32 uid;
            u64 value;
        } user; /* kill, tkill, sigqueue */
        struct {
            s32 id;
            s32 overrun;
            u64 value;
        } timer;
        struct {
            u64 addr;
        } fault;
        u8 bytes[112];
    };
};
_Static_assert(sizeof(struct siginfo) == 128, "siginfo_t");

struct signal_entry;

/* Signals sent and not yet taken: a set, and the information that came with each, oldest first. */
struct signal_pending {
    sigset set;
    struct signal_entry *first;
};

/* The signal state of a thread. */
struct task_signals {
    sigset blocked;
    sigset saved_mask; /* to put back after a handler, when restore_mask (sigsuspend, ppoll) */
    bool restore_mask;
    sigset awaited; /* sigtimedwait: these end the wait though blocked */
    struct sigstack altstack;
    struct signal_pending pending;
    u64 trapno, err, cr2; /* of the last exception that became a signal */
};

/* Sends sig to one thread or to the process (to whichever thread does not block it). Real-time
 * signals queue; others are sent once until taken. False: no memory for a queued one. */
bool signal_send_task(struct task *task, const struct siginfo *info);
bool signal_send_process(const struct siginfo *info);

/* The kernel's own: a signal to the calling thread (SIGPIPE), or to the process from outside. */
void signal_self(int sig);
void signal_process(int sig);

/* True while the signal of a POSIX timer waits to be taken. */
bool signal_timer_pending(int id);

/* A fault of the calling thread: delivered even if blocked or ignored, then with default action. */
void signal_force(const struct siginfo *info);

/* True when the thread has something to take before it goes on: a wait must end. */
bool signal_waiting(const struct task *task);

/* Delivers what is pending to the calling thread about to return with regs: builds frames,
 * restarts system calls, or ends the process. */
void signal_deliver(struct regs *regs);

/* Swaps the thread's mask for the time of a system call (ppoll, pselect, epoll_pwait, sigsuspend);
 * the old one comes back after the handler. Call signal_mask_done when the call did not end in
 * -EINTR. */
void signal_mask_begin(sigset mask);
void signal_mask_done(void);

/* Takes the first pending signal of set from thread or process; 0 if there is none. */
int signal_take(struct task *task, sigset set, struct siginfo *info);
void signal_flush(struct signal_pending *pending);

/* Bytes of the program's stack that one frame may need at most (AT_MINSIGSTKSZ). */
size_t signal_frame_max(void);

#endif
