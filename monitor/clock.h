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

#endif
