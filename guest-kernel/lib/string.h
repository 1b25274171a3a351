/* The string functions the kernel (and the compiler) needs; semantics are ISO C's. */
#ifndef GUEST_LIB_STRING_H
#define GUEST_LIB_STRING_H

#include "guest-kernel/lib/base.h"

#if __STDC_HOSTED__
#include <string.h>
#else
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int byte, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
char *strrchr(const char *s, int c);
#endif

#endif
