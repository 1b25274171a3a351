/* AF_VSOCK stream sockets for programs; the system calls are listed in socket_syscalls.h. Other
 * address families answer EAFNOSUPPORT. */
#ifndef GUEST_KERNEL_DRIVERS_VSOCK_SOCKET_H
#define GUEST_KERNEL_DRIVERS_VSOCK_SOCKET_H

#include "guest-kernel/drivers/socket_syscalls.h"

#endif
