/* The socket system calls: X(number, name) for each sys_name(const u64 a[6]), Linux x86-64 ABI. */
#ifndef GUEST_KERNEL_NET_SOCKET_SYSCALLS_H
#define GUEST_KERNEL_NET_SOCKET_SYSCALLS_H

#include "guest-kernel/lib/base.h"

#define SOCKET_SYSCALLS(X)                                                                         \
    X(41, socket)                                                                                  \
    X(42, connect)                                                                                 \
    X(43, accept)                                                                                  \
    X(44, sendto)                                                                                  \
    X(45, recvfrom)                                                                                \
    X(46, sendmsg)                                                                                 \
    X(47, recvmsg)                                                                                 \
    X(48, shutdown)                                                                                \
    X(49, bind)                                                                                    \
    X(50, listen)                                                                                  \
    X(51, getsockname)                                                                             \
    X(52, getpeername)                                                                             \
    X(53, socketpair)                                                                              \
    X(54, setsockopt)                                                                              \
    X(55, getsockopt)                                                                              \
    X(288, accept4)                                                                                \
    X(299, recvmmsg)                                                                               \
    X(307, sendmmsg)

#define X(number, name) long sys_##name(const u64 a[6]);
SOCKET_SYSCALLS(X)
#undef X

#endif
