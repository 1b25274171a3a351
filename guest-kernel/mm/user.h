/*
 * The program's memory as system calls see it. The kernel never faults: it prepares a range, then
 * uses plain pointers. A prepared range stays so until the kernel sleeps or changes the map
 * (another thread may unmap it meanwhile): prepare again after every wait.
 */
#ifndef GUEST_MM_USER_H
#define GUEST_MM_USER_H

#include "guest-kernel/lib/base.h"

/*
 * Maps what [addr, addr + len) lacks. 0, or -EFAULT if any of it is not the program's or does not
 * allow the access. Everything in the range becomes backed by RAM: callers with large lengths
 * prepare and copy piece by piece.
 */
int user_prepare(u64 addr, size_t len, bool write);

/* 0 or -EFAULT; on failure an unspecified part has been copied. */
int copy_from_user(void *dst, u64 src, size_t len);
int copy_to_user(u64 dst, const void *src, size_t len);

/* Copies a NUL-terminated string. Its length, -EFAULT, or -ENAMETOOLONG if it and its NUL do not
 * fit in size bytes. */
long user_string(char *dst, u64 src, size_t size);

/* Where the byte at a prepared address lies in the physical window; what follows it there belongs
 * to it up to the end of its page. */
void *user_page(u64 addr);

/* A prepared range as a pointer. */
static inline void *user_pointer(u64 addr)
{
    return (void *)(uintptr_t)addr;
}

#endif
