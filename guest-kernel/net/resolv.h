/* /etc/resolv.conf: the name servers of the interfaces, until the program writes its own. */
#ifndef GUEST_KERNEL_NET_RESOLV_H
#define GUEST_KERNEL_NET_RESOLV_H

#include "guest-kernel/fs/inode.h"

/* Written anew each time it is opened, which starts the network; once it has been opened for
 * writing it is an ordinary file. */
extern const struct inode_ops resolv_inode_ops;

#endif
