/*
 * Loading the program: a static Linux ELF (fixed or position-independent) that lies in RAM. Every
 * byte of it, and of the strings, is treated as hostile.
 */
#ifndef GUEST_TASK_EXEC_H
#define GUEST_TASK_EXEC_H

#include "guest-kernel/lib/base.h"

struct exec_image {
    const void *base; /* the file, page-aligned, in the physical window; stays there */
    size_t size;
    const char *argv; /* strings one after the other, each ended by NUL */
    size_t argv_length;
    const char *envp;
    size_t envp_length;
    const char *exec_path;
};

struct exec_start {
    u64 rip;
    u64 rsp;
};

/*
 * Maps the program and builds its stack in the (empty) address space that mm_init left. 0, or
 * -ENOEXEC, -ENOMEM or -E2BIG with the reason in why.
 */
int exec_program(const struct exec_image *image, struct exec_start *out, char *why,
                 size_t why_size);

#endif
