/* Offsets in struct samara_platform and values of abi/platform.h, which is for C alone; checked against it
 * by tests/monitor/platform.c. */
#ifndef TESTS_VM_KERNELS_PLATFORM_H
#define TESTS_VM_KERNELS_PLATFORM_H

#define PLATFORM_CLONE_COUNTER 56
#define PLATFORM_EXIT_KIND    96
#define PLATFORM_EXIT_CODE    100
#define PLATFORM_PANIC_LENGTH 108
#define PLATFORM_PANIC_TEXT   1136
#define EXIT_STATUS           1
#define EXIT_PANIC            4

#endif
