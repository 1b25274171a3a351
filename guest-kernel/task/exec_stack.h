/* The stack a Linux program starts on: strings, auxiliary vector, environment, arguments. */
#ifndef GUEST_TASK_EXEC_STACK_H
#define GUEST_TASK_EXEC_STACK_H

#include "guest-kernel/task/exec.h"

struct exec_stack {
    const struct exec_image *image;
    u64 top; /* end of the mapped stack */
    u64 entry;
    u64 headers; /* program address of the program headers, 0 for none */
    u64 header_size, header_count;
};

/* Writes the stack; *rsp is where argc lies, 16-aligned. 0, -E2BIG or -ENOMEM. */
int exec_stack_build(const struct exec_stack *stack, u64 *rsp);

#endif
