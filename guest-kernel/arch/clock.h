/* Time: kvmclock where KVM gives one, else the TSC. All in nanoseconds. */
#ifndef GUEST_ARCH_CLOCK_H
#define GUEST_ARCH_CLOCK_H

#include "guest-kernel/lib/base.h"

/* wall_base_ns: CLOCK_REALTIME when the clock reads zero; tsc_khz is used without kvmclock (0: 1
 * GHz). */
void clock_init(u64 wall_base_ns, u64 tsc_khz);

/* CLOCK_REALTIME is another from here on. */
void clock_set_wall_base(u64 wall_base_ns);

u64 kvmclock_ns(void);
u64 clock_monotonic_ns(void);
u64 clock_realtime_ns(void);

#endif
