/* Between the signal files of this folder: dispositions and masks. */
#ifndef GUEST_KERNEL_TASK_SIGNAL_ACTION_H
#define GUEST_KERNEL_TASK_SIGNAL_ACTION_H

#include "guest-kernel/task/signal.h"

/* True if the default action of sig ends the process; else it does nothing. */
bool signal_kills(int sig);

/* True if sig, sent now and not blocked, would do nothing. */
bool signal_is_ignored(int sig);

/* Forgets every pending instance of sig. */
void signal_drop(struct signal_pending *pending, int sig);

/* What sigaltstack reports in ss_flags when the stack pointer is sp. */
u32 signal_altstack_flags(const struct sigstack *stack, u64 sp);

/* Sets the calling thread's mask (never SIGKILL, SIGSTOP) and looks at what that uncovers. */
void signal_set_blocked(sigset mask);

#endif
