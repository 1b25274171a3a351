/* The end of a kernel that found itself wrong: a report for the monitor, and exit. */
#ifndef GUEST_ARCH_PANIC_H
#define GUEST_ARCH_PANIC_H

#include "guest-kernel/arch/regs.h"

/* Writes what (one line), the registers if there are any, and the call chain; ends the VM. */
_Noreturn void panic(const struct regs *regs, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "symbol+0x12" for an address in the kernel, else "0x...". Returns the length. */
size_t symbol_name(char *buf, size_t size, u64 address);

#endif
