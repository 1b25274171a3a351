/*
 * The one lock around all device state. mmio_bus takes it around a register access and event_loop
 * around every callback; devices never do. Others take it to touch a device from outside either.
 */
#ifndef SAMARA_MONITOR_DEVICE_LOCK_H
#define SAMARA_MONITOR_DEVICE_LOCK_H

#include <pthread.h>

struct device_lock {
    pthread_mutex_t mutex;
};

#define DEVICE_LOCK_INIT                                                                           \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER                                                                  \
    }

static inline void device_lock_init(struct device_lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
}

static inline void device_lock_take(struct device_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}

static inline void device_lock_release(struct device_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

#endif
