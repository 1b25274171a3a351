/*
 * virtio-vsock streams (Virtio 1.2, 5.10): connections, credit in both directions, no sockets. Both
 * stdio and AF_VSOCK sockets stand on this.
 *
 * Memory: a received packet stays in the buffer the device wrote it to until it is read; small ones
 * are copied together, so what a stream holds is bounded by a few times its credit. What is sent is
 * copied into a bounded pool.
 *
 * All lengths and buffers are kernel-accessible memory: user ranges are prepared by the caller.
 * Functions return a count or 0, or a negative errno; `deadline` is kvmclock nanoseconds, 0 for
 * don't wait (-EAGAIN) and VSOCK_FOREVER for no end.
 */
#ifndef GUEST_KERNEL_DRIVERS_VSOCK_H
#define GUEST_KERNEL_DRIVERS_VSOCK_H

#include "guest-kernel/boot/boot_info.h"
#include "guest-kernel/task/wait.h"

#define VSOCK_CID_ANY   0xffffffffu
#define VSOCK_CID_LOCAL 1u
#define VSOCK_CID_HOST  2u
#define VSOCK_FOREVER   (~0ull)

enum { VSOCK_SHUT_RECEIVE = 1, VSOCK_SHUT_SEND = 2 };

struct vsock_stream;
struct vsock_listener;

/* Finds and starts the device; false if there is none. */
bool vsock_init(const struct boot_info *info);
bool vsock_present(void);
u32 vsock_cid(void);

/* Puts a REQUEST for a stream from local_port (0: any free one) to cid:port into the ring; the caller
 * flushes. NULL if memory or ports end; *error says which. */
struct vsock_stream *vsock_request(u32 local_port, u32 cid, u32 port, int *error);
/* Kicks the device for everything queued and takes what it answered. */
void vsock_flush(void);
/* Waits until the stream is established: 0, -ECONNRESET, -ETIMEDOUT, -EINTR, -EAGAIN. */
int vsock_established(struct vsock_stream *s, u64 deadline);

/* At least one byte, 0 at the end of the stream. */
long vsock_receive(struct vsock_stream *s, void *to, size_t len, u64 deadline, bool peek);
/* All of it unless a deadline or signal ends the wait: then what was sent so far, or the error.
 * -EPIPE when the peer or we have closed this direction; the caller raises SIGPIPE. */
long vsock_send(struct vsock_stream *s, const void *from, size_t len, u64 deadline);
/* Ends directions (VSOCK_SHUT_*): the peer is told once for each. */
int vsock_shutdown(struct vsock_stream *s, unsigned how);
/* Gives the stream up; what was sent is still delivered. s is invalid afterwards. */
void vsock_close(struct vsock_stream *s);

size_t vsock_readable(const struct vsock_stream *s); /* bytes waiting */
/* POLLIN, POLLOUT, POLLHUP, POLLRDHUP, POLLERR as of now; arms the interrupt. */
unsigned vsock_poll(struct vsock_stream *s);
struct wait_queue *vsock_wait_queue(struct vsock_stream *s);
void vsock_peer(const struct vsock_stream *s, u32 *cid, u32 *port);
u32 vsock_local_port(const struct vsock_stream *s);

/* Accepts connections to `port` (0: any free one). NULL with *error when taken or out of memory. */
struct vsock_listener *vsock_listen(u32 port, unsigned backlog, int *error);
struct vsock_stream *vsock_accept(struct vsock_listener *l, u64 deadline, int *error);
bool vsock_accept_ready(struct vsock_listener *l);
struct wait_queue *vsock_listener_wait_queue(struct vsock_listener *l);
u32 vsock_listener_port(const struct vsock_listener *l);
void vsock_unlisten(struct vsock_listener *l);

/* Waits, at most until deadline, for the device to have taken everything sent. */
void vsock_drain(u64 deadline);

#endif
