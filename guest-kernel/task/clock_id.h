/* The program's clocks by their Linux numbers, and its times. */
#ifndef GUEST_KERNEL_TASK_CLOCK_ID_H
#define GUEST_KERNEL_TASK_CLOCK_ID_H

#include "guest-kernel/lib/base.h"

#define NS_PER_SECOND 1000000000ull

enum {
    CLOCK_REALTIME = 0,
    CLOCK_MONOTONIC = 1,
    CLOCK_PROCESS_CPUTIME_ID = 2,
    CLOCK_THREAD_CPUTIME_ID = 3,
    CLOCK_MONOTONIC_RAW = 4,
    CLOCK_REALTIME_COARSE = 5,
    CLOCK_MONOTONIC_COARSE = 6,
    CLOCK_BOOTTIME = 7,
    CLOCK_REALTIME_ALARM = 8,
    CLOCK_BOOTTIME_ALARM = 9,
    CLOCK_TAI = 11,
};

struct timespec64 {
    s64 sec, nsec;
};

/* False: no such clock, or a thread that does not exist. */
bool clock_read(int id, u64 *ns);

/* True for clocks one can sleep on; the CPU-time ones are not among them. */
bool clock_can_wait(int id);

/* The CLOCK_MONOTONIC deadline of an absolute or relative time of a clock that can be waited on. */
u64 clock_deadline(int id, u64 ns, bool absolute);

/* A struct timespec of the program: 0, -EFAULT or -EINVAL. Far futures saturate. */
int timespec_from_user(u64 addr, u64 *ns);
int timespec_to_user(u64 addr, u64 ns);

/* The same for struct timeval; its microseconds in ns. */
int timeval_from_user(u64 addr, u64 *ns);
int timeval_to_user(u64 addr, u64 ns);

#endif
