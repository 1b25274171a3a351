/* What a command has to say when it ends, for main() to print. */
#ifndef SAMARA_MONITOR_REPORT_H
#define SAMARA_MONITOR_REPORT_H

#include "abi/platform.h"
#include "monitor/err.h"
#include "monitor/printable.h"

enum { EXIT_TIMEOUT = 124, EXIT_SAMARA = 125 };

struct report {
    struct err err;                                /* one line; "" for nothing */
    char guest[PRINTABLE_ROOM(SAMARA_PANIC_TEXT)]; /* lines from the guest, printable */
};

#endif
