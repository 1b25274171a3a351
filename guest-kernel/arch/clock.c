/*
 * kvmclock (Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW): a page KVM fills
 * with the TSC's scale and offset; an odd version means it is being rewritten.
 */
#include "guest-kernel/arch/clock.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/cpu.h"

struct pvclock {
    u32 version;
    u32 pad;
    u64 tsc_timestamp;
    u64 system_time;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    u8 flags;
    u8 pad2[2];
};

static u64 wall_base;
static u64 ns_per_tick_q32 = 1ull << 32; /* without kvmclock */

void clock_init(u64 wall_base_ns, u64 tsc_khz)
{
    wall_base = wall_base_ns;
    if (tsc_khz)
        ns_per_tick_q32 = (u64)(((unsigned __int128)1000000 << 32) / tsc_khz);
}

void clock_set_wall_base(u64 wall_base_ns)
{
    wall_base = wall_base_ns;
}

static u64 scale(u64 value, u64 mul_q32)
{
    return (u64)((unsigned __int128)value * mul_q32 >> 32);
}

u64 kvmclock_ns(void)
{
    const volatile struct pvclock *c =
        (const volatile struct pvclock *)(SAMARA_WINDOW + SAMARA_GPA_KVMCLOCK);
    u32 version;
    u64 now;

    do {
        u64 delta;

        version = c->version;
        __asm__ volatile("" : : : "memory");
        if (version == 0)
            return scale(rdtsc(), ns_per_tick_q32);
        delta = rdtsc() - c->tsc_timestamp;
        delta = c->tsc_shift < 0 ? delta >> -c->tsc_shift : delta << c->tsc_shift;
        now = c->system_time + scale(delta, c->tsc_to_system_mul);
        __asm__ volatile("" : : : "memory");
    } while ((version & 1) || version != c->version);
    return now;
}

u64 clock_monotonic_ns(void)
{
    static u64 last;
    u64 now = kvmclock_ns();

    if (now < last)
        now = last;
    last = now;
    return now;
}

u64 clock_realtime_ns(void)
{
    return wall_base + clock_monotonic_ns();
}
