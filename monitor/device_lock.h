/*
 * The one lock around all device state. mmio_bus takes it around a register access and event_loop
 * around every callback; devices never do. Others take it to touch a device from outside either.
 *
 * As with a mutex, who waits is told when it is free, and may find it taken again once it runs:
 * first come, first served would cost bulk transfers a tenth, in changes of threads. But a guest
 * whose vCPU takes it again and again must not keep the loop out: who has lost it a few times is
 * hungry, and until he has it nobody else takes it. futex(2) itself, with the two operations that
 * a mutex of the C library's needs, too.
 */
#ifndef SAMARA_MONITOR_DEVICE_LOCK_H
#define SAMARA_MONITOR_DEVICE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "monitor/futex.h"

enum { DEVICE_LOCK_FREE, DEVICE_LOCK_TAKEN, DEVICE_LOCK_WANTED };

struct device_lock {
    _Atomic uint32_t state;
    _Atomic uint32_t hungry; /* how many are */
};

#define DEVICE_LOCK_INIT                                                                           \
    {                                                                                              \
        0                                                                                          \
    }

enum {
    DEVICE_LOCK_SPINS = 100, /* most work under the lock is shorter than a sleep */
    DEVICE_LOCK_LOSSES = 4,
};

static inline void device_lock_init(struct device_lock *lock)
{
    atomic_init(&lock->state, DEVICE_LOCK_FREE);
    atomic_init(&lock->hungry, 0);
}

/* While it is short work, and nobody is hungry. */
static inline bool device_lock_try(struct device_lock *lock)
{
    for (unsigned i = 0; i < DEVICE_LOCK_SPINS && atomic_load(&lock->hungry) == 0; i++) {
        uint32_t state = DEVICE_LOCK_FREE;

        if (atomic_compare_exchange_strong(&lock->state, &state, DEVICE_LOCK_TAKEN))
            return true;
        if (state == DEVICE_LOCK_WANTED)
            return false;
        __builtin_ia32_pause();
    }
    return false;
}

/* False: slept, and it may be free now. */
static inline bool device_lock_want(struct device_lock *lock, bool hungry)
{
    const uint32_t others = atomic_load(&lock->hungry);

    if (others > 0 && !hungry) {
        futex_sleep(&lock->hungry, others);
        return false;
    }
    if (atomic_exchange(&lock->state, DEVICE_LOCK_WANTED) == DEVICE_LOCK_FREE)
        return true;
    futex_sleep(&lock->state, DEVICE_LOCK_WANTED);
    return false;
}

static inline void device_lock_take(struct device_lock *lock)
{
    unsigned lost = 0;

    if (device_lock_try(lock))
        return;
    while (!device_lock_want(lock, lost >= DEVICE_LOCK_LOSSES)) {
        if (++lost == DEVICE_LOCK_LOSSES)
            atomic_fetch_add(&lock->hungry, 1);
    }
    if (lost >= DEVICE_LOCK_LOSSES) {
        atomic_fetch_sub(&lock->hungry, 1);
        futex_wake_all(&lock->hungry);
    }
}

/* All who sleep are told: a single one might have to wait for the hungry one, who would not know.
 */
static inline void device_lock_release(struct device_lock *lock)
{
    if (atomic_exchange(&lock->state, DEVICE_LOCK_FREE) == DEVICE_LOCK_WANTED)
        futex_wake_all(&lock->state);
}

/* Whether anybody has it. */
static inline bool device_lock_is_taken(const struct device_lock *lock)
{
    return atomic_load(&lock->state) != DEVICE_LOCK_FREE;
}

/* What a thread with the lock may wait for: somebody else, who has it meanwhile, says that
 * something has changed. Who waits looks again in any case. */
struct device_event {
    _Atomic uint32_t count;
};

static inline void device_event_happened(struct device_event *event)
{
    atomic_fetch_add(&event->count, 1);
    futex_wake_all(&event->count);
}

static inline void device_lock_wait(struct device_lock *lock, struct device_event *event)
{
    const uint32_t seen = atomic_load(&event->count);

    device_lock_release(lock);
    futex_sleep(&event->count, seen);
    device_lock_take(lock);
}

#endif
