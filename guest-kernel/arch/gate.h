/*
 * The gate: int3 from the ring-3 kernel into the nucleus, for the few things only ring 0 can do.
 * The service number goes in R8D, arguments in RDI, RSI, RDX; results come in RAX. About 5 us on
 * KVM without hardware virtualisation, 100 ns with it.
 */
#ifndef GUEST_ARCH_GATE_H
#define GUEST_ARCH_GATE_H

#define GATE_HALT   0 /* halt until an interrupt is noted; returns at once if one already is */
#define GATE_INVLPG 1 /* RDI: virtual address */
#define GATE_CR3    2 /* reload CR3: flush every translation of the program */
#define GATE_WRMSR  3 /* RDI: index, RSI: value */
#define GATE_OUT8   4 /* RDI: port, RSI: value */
#define GATE_RESET  5 /* triple fault: the end under every monitor; does not return */

#ifndef __ASSEMBLER__
#include "guest-kernel/lib/base.h"

static inline u64 gate(u32 service, u64 a, u64 b)
{
    register u32 r8 __asm__("r8") = service;
    u64 rax;

    __asm__ volatile("int3"
                     : "=a"(rax), "+r"(r8), "+D"(a), "+S"(b)
                     :
                     : "rcx", "rdx", "memory", "cc");
    return rax;
}

static inline void gate_halt(void)
{
    gate(GATE_HALT, 0, 0);
}

static inline void gate_invlpg(u64 va)
{
    gate(GATE_INVLPG, va, 0);
}

static inline void gate_reload_cr3(void)
{
    gate(GATE_CR3, 0, 0);
}

static inline void gate_wrmsr(u32 index, u64 value)
{
    gate(GATE_WRMSR, index, value);
}

static inline _Noreturn void gate_reset(void)
{
    for (;;)
        gate(GATE_RESET, 0, 0);
}

static inline void gate_out8(u16 port, u8 value)
{
    gate(GATE_OUT8, port, value);
}
#endif

#endif
