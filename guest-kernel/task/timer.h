/*
 * Timers of the kernel: a list sorted by CLOCK_MONOTONIC nanoseconds, driven by the local APIC.
 * A callback runs in the kernel with no lock and may set or cancel any timer, its own included.
 */
#ifndef GUEST_KERNEL_TASK_TIMER_H
#define GUEST_KERNEL_TASK_TIMER_H

#include "guest-kernel/lib/base.h"

/* Owned by the caller, zeroed before first use; must be cancelled before its memory goes away. */
struct timer {
    struct timer *next, *prev;
    u64 deadline; /* CLOCK_MONOTONIC, ns */
    void (*fire)(struct timer *timer);
    bool armed;
};

/* (Re)arms the timer. A deadline in the past fires at the next look at the clock. */
void timer_set(struct timer *timer, u64 deadline_ns);
void timer_cancel(struct timer *timer);

/* Runs what is due and programs the APIC for the rest. Called for SAMARA_VECTOR_TIMER. */
void timer_expire(void);

#endif
