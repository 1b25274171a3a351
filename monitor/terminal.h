/*
 * The terminal that the program's standard streams are on, if any: its size, and its modes, which
 * the program may change as any program may and which are put back when it has run.
 */
#ifndef SAMARA_MONITOR_TERMINAL_H
#define SAMARA_MONITOR_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/platform.h"

struct terminal {
    int fd;                      /* of its own; -1: none */
    uint32_t flags;              /* SAMARA_FLAG_STDIN_TTY << n for each fd n that is one */
    struct samara_termios modes; /* as found */
};

#define TERMINAL_NONE                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Looks at descriptors 0 to 2; the lowest terminal among them is the one. */
void terminal_find(struct terminal *t);

/* 0 x 0 without a terminal. */
void terminal_size(const struct terminal *t, uint16_t *rows, uint16_t *cols);

/* Sets the modes; wanted is the guest's. flush discards what was typed and not read yet. Line speed
 * and character size stay as they are. */
void terminal_set(struct terminal *t, const struct samara_termios *wanted, bool flush);

/* Puts the modes back if they are others by now, and closes. */
void terminal_close(struct terminal *t);

#endif
