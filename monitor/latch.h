/*
 * Something that one thread does and others wait for, once: futex(2) itself, since a condition with
 * several waiters makes calls that the seccomp policy would have to allow.
 */
#ifndef SAMARA_MONITOR_LATCH_H
#define SAMARA_MONITOR_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "monitor/futex.h"

enum latch_state { LATCH_PENDING, LATCH_GOOD, LATCH_BAD };

struct latch {
    _Atomic uint32_t state;
};

/* What was written before is seen by whoever has waited. */
static inline void latch_set(struct latch *latch, bool good)
{
    atomic_store(&latch->state, good ? LATCH_GOOD : LATCH_BAD);
    futex_wake_all(&latch->state);
}

/* Whether it went well. */
static inline bool latch_wait(struct latch *latch)
{
    uint32_t state;

    while ((state = atomic_load(&latch->state)) == LATCH_PENDING)
        futex_sleep(&latch->state, LATCH_PENDING);
    return state == LATCH_GOOD;
}

#endif
