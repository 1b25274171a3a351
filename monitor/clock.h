/*
 * The host's clocks in nanoseconds. A system call, not the vDSO: where that cannot tell the time it
 * makes the call too, so that whether the seccomp policy needs it would depend on the host.
 */
#ifndef SAMARA_MONITOR_CLOCK_H
#define SAMARA_MONITOR_CLOCK_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    syscall(SYS_clock_gettime, id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What is left until then by CLOCK_MONOTONIC, for poll(2): milliseconds, rounded up; 0: it is over.
 */
static inline int clock_ms_until(int64_t ns)
{
    const int64_t left = ns - clock_ns(CLOCK_MONOTONIC);

    return left > 0 ? (int)((left + 999999) / 1000000) : 0;
}

#endif
