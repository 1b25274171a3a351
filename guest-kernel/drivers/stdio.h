/*
 * The program's file descriptors 0, 1 and 2: three vsock streams to the monitor, or, under a
 * monitor without vsock, the first serial port for output and end-of-file for input.
 */
#ifndef GUEST_KERNEL_DRIVERS_STDIO_H
#define GUEST_KERNEL_DRIVERS_STDIO_H

#include "guest-kernel/boot/boot_info.h"

/* Asks for the streams, all in one kick and without waiting, and installs fds 0-2. Call after
 * vsock_init; if that found no device the fallback console is installed. */
void stdio_init(void);

/* Ends both output streams behind everything written so far, and tells how much of the input was
 * used; the monitor takes it all when the doorbell says EXIT. The last call before platform_exit.
 */
void stdio_finish(void);

/* A line from the kernel on the program's stderr; the newline is added. Never waits. */
void klog_program(const char *text);

#endif
