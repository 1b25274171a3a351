/* Finding and checking the program that is to run: PATH, file type, ELF. */
#ifndef SAMARA_MONITOR_PROGRAM_H
#define SAMARA_MONITOR_PROGRAM_H

#include <stdint.h>

#include "monitor/err.h"

enum { EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };
enum { PROGRAM_PATH = 4096 };

struct program {
    int fd; /* open for reading; -1: none */
    uint64_t size;
    char path[PROGRAM_PATH]; /* absolute */
};

#define PROGRAM_CLOSED                                                                             \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Opens what `name` means (looked up in PATH if it has no slash). 0, or EXIT_NOT_FOUND or
 * EXIT_NOT_RUNNABLE with err. */
int program_open(struct program *program, const char *name, struct err *err);

/* Is it one that can run, in `memory` bytes? 0, or EXIT_NOT_RUNNABLE with err. */
int program_check(const struct program *program, const char *name, uint64_t memory,
                  struct err *err);

void program_close(struct program *program);

#endif
