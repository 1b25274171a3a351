/*
 * Interrupt notes and the local APIC (xAPIC page, Intel SDM volume 3, chapter 11). KVM's APIC timer
 * counts nanoseconds at divide-by-1.
 */
#include "guest-kernel/arch/irq.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/gate.h"

enum {
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_TIMER = 0x320,
    APIC_INITIAL_COUNT = 0x380,
    APIC_DIVIDE = 0x3e0,
    SPURIOUS_ENABLE = 1 << 8,
    DIVIDE_BY_1 = 0xb,
    DIVIDE_BY_128 = 0xa,
};

extern volatile u32 irq_notes;

/* A plain mov: KVM emulates the access. */
static void apic_write(u32 offset, u32 value)
{
    volatile u32 *reg = (volatile u32 *)(uintptr_t)(SAMARA_WINDOW + SAMARA_GPA_LAPIC + offset);

    __asm__ volatile("movl %1, %0" : "=m"(*reg) : "r"(value) : "memory");
}

void irq_init(void)
{
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | SAMARA_VECTOR_SPURIOUS);
    apic_write(APIC_TIMER, SAMARA_VECTOR_TIMER);
}

/* 82093AA: a register's number goes to +0x00, its contents are at +0x10; two for each line from
 * 0x10 on. Zero in the upper one is the processor with APIC id 0; in the lower: fixed, edge, high,
 * not masked. */
void irq_route(u32 line, u32 vector)
{
    volatile u32 *select = (volatile u32 *)(uintptr_t)(SAMARA_WINDOW + SAMARA_GPA_IOAPIC);
    volatile u32 *data = (volatile u32 *)(uintptr_t)(SAMARA_WINDOW + SAMARA_GPA_IOAPIC + 0x10);
    const u32 values[2] = {vector, 0};

    for (u32 i = 2; i-- > 0;) {
        __asm__ volatile("movl %1, %0" : "=m"(*select) : "r"(0x10 + 2 * line + i) : "memory");
        __asm__ volatile("movl %1, %0" : "=m"(*data) : "r"(values[i]) : "memory");
    }
}

u32 irq_take(void)
{
    const u32 spurious = 1u << (SAMARA_VECTOR_SPURIOUS - 32);
    u32 notes = __atomic_exchange_n(&irq_notes, 0, __ATOMIC_SEQ_CST);

    if (notes & ~spurious)
        apic_write(APIC_EOI, 0);
    return notes & ~spurious;
}

void cpu_idle(void)
{
    gate_halt();
}

void timer_arm(u64 deadline_ns)
{
    static u32 divide;
    u64 now = clock_monotonic_ns();
    u64 left = deadline_ns > now ? deadline_ns - now : 1;
    u32 want = left < 0xffffffff ? DIVIDE_BY_1 : DIVIDE_BY_128;

    if (want != divide) {
        divide = want;
        apic_write(APIC_DIVIDE, want);
    }
    if (want == DIVIDE_BY_128)
        left = left / 128 < 0xffffffff ? left / 128 : 0xffffffff;
    apic_write(APIC_INITIAL_COUNT, (u32)left);
}
