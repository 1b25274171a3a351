/* Finding and checking the program that is to run: PATH, file type, ELF. */
#ifndef SAMARA_MONITOR_PROGRAM_H
#define SAMARA_MONITOR_PROGRAM_H

#include "monitor/err.h"
#include "monitor/vm_config.h"

enum { EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };

/*
 * Opens what `name` means (looked up in PATH if it has no slash) and fills in program_fd,
 * program_size and exec_path, which is allocated. 0, or EXIT_NOT_FOUND or EXIT_NOT_RUNNABLE with
 * err.
 */
int program_open(struct vm_config *config, const char *name, struct err *err);

#endif
