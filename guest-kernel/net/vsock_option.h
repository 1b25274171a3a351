/* AF_VSOCK's own socket options and its device /dev/vsock (vsock(7)). */
#ifndef GUEST_KERNEL_NET_VSOCK_OPTION_H
#define GUEST_KERNEL_NET_VSOCK_OPTION_H

#include "guest-kernel/net/socket.h"

/* SO_VM_SOCKETS_BUFFER_*: kept and told; how much credit a peer has is the driver's matter. */
struct vsock_sizes {
    u64 size, least, most;
};

extern const struct vsock_sizes vsock_sizes_first;

/* As in socket_ops, for level AF_VSOCK. */
int vsock_set_option(struct socket *s, struct vsock_sizes *sizes, u64 name, const void *value,
                     u32 len);
int vsock_get_option(const struct socket *s, const struct vsock_sizes *sizes, u64 name, void *value,
                     u32 *len);

/* /dev/vsock, which knows the CID. */
extern const struct inode_ops vsock_inode_ops;

#endif
