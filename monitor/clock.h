/* The host's clocks in nanoseconds. */
#ifndef SAMARA_MONITOR_CLOCK_H
#define SAMARA_MONITOR_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
