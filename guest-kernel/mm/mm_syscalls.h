/* The system calls of this folder, by x86-64 Linux number: long sys_NAME(const u64 a[6]). */
#ifndef GUEST_MM_MM_SYSCALLS_H
#define GUEST_MM_MM_SYSCALLS_H

#include "guest-kernel/lib/base.h"

/* clang-format off */
#define MM_SYSCALLS(X)                                                                             \
    X(9, mmap) X(10, mprotect) X(11, munmap) X(12, brk) X(25, mremap) X(26, msync) X(27, mincore)  \
    X(28, madvise) X(149, mlock) X(150, munlock) X(151, mlockall) X(152, munlockall)               \
    X(237, mbind) X(238, set_mempolicy) X(239, get_mempolicy) X(325, mlock2)                       \
    X(329, pkey_mprotect)
/* clang-format on */

#define MM_SYSCALL_PROTOTYPE(number, name) long sys_##name(const u64 a[6]);
MM_SYSCALLS(MM_SYSCALL_PROTOTYPE)
#undef MM_SYSCALL_PROTOTYPE

#endif
