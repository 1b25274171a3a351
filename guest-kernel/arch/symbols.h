/*
 * The kernel's own symbol table, made after a first link by symtable.awk and linked in by the
 * second: functions only, sorted by address.
 */
#ifndef GUEST_ARCH_SYMBOLS_H
#define GUEST_ARCH_SYMBOLS_H

#include "guest-kernel/lib/base.h"

struct symbol {
    u32 offset; /* from SAMARA_WINDOW */
    u32 name;   /* offset into symbol_names */
};

extern const struct symbol symbol_table[] __attribute__((weak));
extern const u32 symbol_count __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));

#endif
