/* Formatting into a buffer. */
#ifndef GUEST_LIB_PRINT_H
#define GUEST_LIB_PRINT_H

#include <stdarg.h>
#include "guest-kernel/lib/base.h"

/*
 * Like snprintf for the conversions %s %c %d %i %u %x %p %%, with the length modifiers l and z, a
 * width, the flags 0 and -, and a precision on %s. Always terminates the text (size > 0); returns
 * the length written, at most size - 1.
 */
size_t kprint_to(char *buf, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
size_t kvprint_to(char *buf, size_t size, const char *fmt, va_list ap);

#endif
