/* Exceptions, once they are in ring 3: the program's become mappings or signals, ours a report. */
#include "abi/memory_map.h"
#include "guest-kernel/arch/panic.h"
#include "guest-kernel/arch/regs.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/task/task.h"

enum { PAGE_FAULT = 14 };

void trap_from_program(struct regs *regs, unsigned vector, u32 error, u64 address);
_Noreturn void trap_from_kernel(struct regs *regs, unsigned vector, u32 error, u64 address);

_Static_assert(SAMARA_GPA_TABLES + SAMARA_TSS_OFFSET + 36 == 0x1000 + 0x100 + 36,
               "tss_ist1 in kernel.ld");

static const char *const names[32] = {
    [0] = "divide error",        [1] = "debug",          [2] = "NMI",
    [3] = "breakpoint",          [4] = "overflow",       [5] = "bound range",
    [6] = "invalid instruction", [7] = "no FPU",         [8] = "double fault",
    [10] = "invalid TSS",        [11] = "segment",       [12] = "stack segment",
    [13] = "general protection", [14] = "page fault",    [16] = "x87",
    [17] = "alignment",          [18] = "machine check", [19] = "SIMD",
    [21] = "control protection",
};

/* Vectors whose frame begins with an error code; below the others' lies an old one. */
static bool has_error(unsigned vector)
{
    const u32 vectors =
        1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21;

    return vectors >> vector & 1;
}

/* Called by entry.S. */
void trap_from_program(struct regs *regs, unsigned vector, u32 error, u64 address)
{
    if (!has_error(vector))
        error = 0;
    if (vector == PAGE_FAULT && mm_fault(address, error) == FAULT_OK)
        return;
    task_fault(regs, vector, error, address);
}

/* Called by entry.S on the trap stack, which nothing else uses. */
_Noreturn void trap_from_kernel(struct regs *regs, unsigned vector, u32 error, u64 address)
{
    const char *name = vector < ARRAY_LEN(names) && names[vector] ? names[vector] : "exception";

    if (vector == PAGE_FAULT)
        panic(regs, "%s in the kernel at address 0x%lx (error 0x%x)", name, address, error);
    if (has_error(vector))
        panic(regs, "%s in the kernel (vector %u, error 0x%x)", name, vector, error);
    panic(regs, "%s in the kernel (vector %u)", name, vector);
}
