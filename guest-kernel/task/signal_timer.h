/*
 * Timers that send signals, and those who take the signals. As on Linux the next period of such a
 * timer starts when the signal of the last one is taken, and what went by in between is counted as
 * overrun: however short the period is, the program gets to run. Where no signal is pending
 * although the time came (it is ignored, or there was no memory for it), and after each one taken,
 * a timer waits at least TIMER_FLOOR_NS.
 */
#ifndef GUEST_KERNEL_TASK_SIGNAL_TIMER_H
#define GUEST_KERNEL_TASK_SIGNAL_TIMER_H

#include "guest-kernel/lib/base.h"

struct siginfo;

#define TIMER_FLOOR_NS 100000ull

/* A timer of CPU time is a wall-clock timer that looks, when it fires, how much CPU time is still
 * missing; no sooner than this. */
#define TIMER_CPU_POLL_NS 1000000ull

/* The signal of alarm and ITIMER_REAL has been taken. */
void itimer_signal_taken(void);

/* The signal of a POSIX timer has been taken: sets its overrun count. */
void posix_timer_signal_taken(struct siginfo *info);

#endif
