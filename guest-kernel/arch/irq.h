/* Interrupt notes, the local APIC's timer, and idling. */
#ifndef GUEST_ARCH_IRQ_H
#define GUEST_ARCH_IRQ_H

#include "guest-kernel/lib/base.h"

/* Nonzero: something must be looked at before the program goes on. */
extern volatile u32 work_pending;

/* Enables the local APIC. */
void irq_init(void);

/* Has the I/O APIC send a line's rising edges as `vector` to this processor. For monitors that do
 * not send MSIs. */
void irq_route(u32 line, u32 vector);

/* Takes the noted interrupts: bit v - 32 is vector v. EOI has been sent for them. */
u32 irq_take(void);

/* Halts until an interrupt is noted; returns at once if one is. */
void cpu_idle(void);

/* One shot at a time of clock_monotonic_ns(), vector SAMARA_VECTOR_TIMER; replaces the one before.
 */
void timer_arm(u64 deadline_ns);

#endif
