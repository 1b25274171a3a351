/*
 * Something that one thread does and others wait for, once: futex(2) itself, since a condition with
 * several waiters makes calls that the seccomp policy would have to allow.
 */
#ifndef SAMARA_MONITOR_LATCH_H
#define SAMARA_MONITOR_LATCH_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

enum latch_state { LATCH_PENDING, LATCH_GOOD, LATCH_BAD };

struct latch {
    _Atomic int state;
};

/* What was written before is seen by whoever has waited. */
static inline void latch_set(struct latch *latch, bool good)
{
    atomic_store(&latch->state, good ? LATCH_GOOD : LATCH_BAD);
    syscall(SYS_futex, &latch->state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Whether it went well. */
static inline bool latch_wait(struct latch *latch)
{
    int state;

    while ((state = atomic_load(&latch->state)) == LATCH_PENDING)
        syscall(SYS_futex, &latch->state, FUTEX_WAIT_PRIVATE, LATCH_PENDING, NULL, NULL, 0);
    return state == LATCH_GOOD;
}

#endif
