/* The real guest kernel with a fault of our choice in it. */
#ifndef TESTS_VM_BROKEN_KERNEL_H
#define TESTS_VM_BROKEN_KERNEL_H

/* A copy, in the scratch directory, that executes an invalid instruction where `function` begins.
 * The path is scratch's static buffer. */
const char *broken_kernel(const char *function);

#endif
