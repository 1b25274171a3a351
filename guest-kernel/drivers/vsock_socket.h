/*
 * Stream sockets for programs: AF_VSOCK, and the pairs of AF_UNIX; the system calls are listed in
 * socket_syscalls.h. Other address families answer EAFNOSUPPORT.
 *
 * A socket is a file whose private part is fresh, listening, or has a stream, or it is half of a
 * pair. Another thread may change it while we wait: after each wait everything is looked up again.
 * A stream or listener wakes its waiters before it goes away.
 *
 * vsock_socket.c is the file and what the calls share, vsock_connect.c makes connections,
 * socket_pair.c pairs, vsock_transfer.c moves bytes, vsock_option.c has names and options.
 */
#ifndef GUEST_KERNEL_DRIVERS_VSOCK_SOCKET_H
#define GUEST_KERNEL_DRIVERS_VSOCK_SOCKET_H

#include "guest-kernel/drivers/socket_syscalls.h"
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/fs/file.h"

#define AF_UNIX        1
#define AF_VSOCK       40
#define SOCK_STREAM    1
#define SOCK_TYPE_MASK 0xfu
#define NS_PER_S       1000000000ull

struct sockaddr_vm {
    u16 family, reserved;
    u32 port, cid;
    u8 flags, zero[3];
};
_Static_assert(sizeof(struct sockaddr_vm) == 16, "vm_sockets.h");

struct socket {
    struct vsock_stream *stream;
    struct vsock_listener *listener;
    u32 port; /* bound to, or VSOCK_PORT_ANY */
    bool connecting;
    int error;                         /* for SO_ERROR, positive */
    u64 receive_timeout, send_timeout; /* ns, 0 for none */
    struct wait_queue wait;            /* of a socketpair's */
    struct file *in, *out;             /* its pipes' ends; NULL once shut down */
    bool pair;
};

/* A fresh socket; flags: O_NONBLOCK counts. NULL without memory. */
struct file *socket_new(u32 flags);
void socket_drop_stream(struct file *f);

long socket_receive(const struct socket *sock, void *buf, size_t len);
long socket_peek(const struct socket *sock, size_t skip, void *buf, size_t len);
long socket_send(const struct socket *sock, const void *buf, size_t len);

/* The same for half of a pair (socket_pair.c). */
long pair_receive(const struct socket *sock, void *buf, size_t len);
long pair_peek(const struct socket *sock, size_t skip, void *buf, size_t len);
long pair_send(const struct socket *sock, const void *buf, size_t len);
u32 pair_poll(const struct socket *sock);
void pair_shutdown(struct socket *sock, bool receive, bool send);

/* A system call on the socket that is its first argument: call's result, -EBADF or -ENOTSOCK. */
long with_socket(const u64 a[6], long (*call)(struct file *f, const u64 a[6]));

/* The outcome of the connection under way: 0, -EAGAIN, or why it failed. */
int socket_connect_outcome(struct file *f);

/* Deadlines and waits: a time-out is EAGAIN, as for SO_RCVTIMEO. timeout 0: none. */
u64 deadline_after(u64 timeout);
int socket_wait(struct file *f, u64 deadline);

/* Writes as much of the value as fits, and its whole length. at 0: not wanted. */
int give_value(u64 at, u64 len_at, const void *value, u32 size);
int give_address(u64 at, u64 len_at, u32 cid, u32 port);

#endif
