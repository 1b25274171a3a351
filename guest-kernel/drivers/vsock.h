/*
 * virtio-vsock connections (Virtio 1.2, 5.10): of bytes and of messages, credit in both directions,
 * no sockets. Both stdio and AF_VSOCK sockets stand on this.
 *
 * Memory: a received packet stays in the buffer the device wrote it to until it is read; small ones
 * are copied together, so what a stream holds is bounded by a few times its credit. What is sent is
 * copied into a bounded pool, unless it is long: then the device takes it from where it is.
 *
 * Nothing here waits. What cannot proceed returns -EAGAIN with the interrupt armed; the caller then
 * waits on the queue it is told about and tries again. Buffers are memory the kernel may touch:
 * user ranges are prepared by the caller. Errors are negative errno.
 */
#ifndef GUEST_KERNEL_DRIVERS_VSOCK_H
#define GUEST_KERNEL_DRIVERS_VSOCK_H

#include "guest-kernel/boot/boot_info.h"
#include "guest-kernel/task/wait.h"

#define VSOCK_CID_ANY   0xffffffffu
#define VSOCK_CID_LOCAL 1u
#define VSOCK_CID_HOST  2u
#define VSOCK_PORT_ANY  0xffffffffu

enum { VSOCK_SHUT_RECEIVE = 1, VSOCK_SHUT_SEND = 2 };

enum vsock_kind { VSOCK_BYTES, VSOCK_MESSAGES }; /* STREAM, SEQPACKET */

struct vsock_stream; /* a connection of either kind */
struct vsock_listener;

/* Finds and starts the device; false if there is none. */
bool vsock_init(const struct boot_info *info);
bool vsock_present(void);
u32 vsock_cid(void);

/* Puts a REQUEST for a stream from local_port (or VSOCK_PORT_ANY) to the host's port into the ring;
 * the caller flushes. NULL if memory or ports end; *error says which, -ESOCKTNOSUPPORT that the
 * device knows no messages. paused: the peer may send nothing before vsock_resume. */
struct vsock_stream *vsock_request(u32 local_port, u32 port, enum vsock_kind kind, bool paused,
                                   int *error);

/* Lets the peer of an established stream send, once; to be followed by a receive, poll or flush. */
void vsock_resume(struct vsock_stream *s);
bool vsock_resumed(const struct vsock_stream *s);

/* Kicks the device for everything queued and takes what it answered. */
void vsock_flush(void);

/* 0 once established, -EAGAIN while the answer is out, -ECONNRESET when refused or reset. */
int vsock_state(struct vsock_stream *s);

/* Some bytes, 0 at the end of the stream. */
long vsock_receive(struct vsock_stream *s, void *to, size_t len);
/* The same of those behind the first `skip`; all stay. */
long vsock_peek(struct vsock_stream *s, size_t skip, void *to, size_t len);

/* As many bytes as there is room for. -EPIPE when the peer or we have ended this direction: raising
 * SIGPIPE is the caller's. */
long vsock_send(struct vsock_stream *s, const void *from, size_t len);

/* --- messages --- */

struct vsock_message {
    size_t whole; /* its length, of which less may have been asked for */
    bool record;  /* it is the last of its record */
};

/* The next message, as much of it as there is room for; the rest is gone unless it was to stay.
 * Bytes, 0 at the end or of an empty one. */
long vsock_receive_message(struct vsock_stream *s, void *to, size_t len, bool stays,
                           struct vsock_message *about);
/* All of it or nothing; -EMSGSIZE if the peer can never take it, -ENOBUFS if memory is out. An
 * empty one is not sent, as on Linux, whose readers would take it for the end. */
long vsock_send_message(struct vsock_stream *s, const void *from, size_t len, bool record);

/* Ends directions (VSOCK_SHUT_*): the peer is told once for each. */
int vsock_shutdown(struct vsock_stream *s, unsigned how);
/* Gives the stream up; what was sent is still delivered. s is invalid afterwards. */
void vsock_close(struct vsock_stream *s);

size_t vsock_readable(struct vsock_stream *s); /* bytes waiting */
/* POLLIN, POLLOUT, POLLHUP, POLLRDHUP, POLLERR as of now; arms the interrupt. */
u32 vsock_poll(struct vsock_stream *s);
struct wait_queue *vsock_wait_queue(struct vsock_stream *s);
u32 vsock_peer_port(const struct vsock_stream *s); /* the peer is always the host */
u32 vsock_local_port(const struct vsock_stream *s);

/* Accepts connections of that kind to `port` (or VSOCK_PORT_ANY); one more than `backlog` wait to
 * be taken, as on Linux, and others are refused. NULL with *error when the port is taken or memory
 * ends. */
struct vsock_listener *vsock_listen(u32 port, enum vsock_kind kind, unsigned backlog, int *error);
void vsock_set_backlog(struct vsock_listener *l, unsigned backlog);

/* One that nobody uses. */
u32 vsock_free_port(void);

/* The longest waiting connection or NULL: arms the interrupt. */
struct vsock_stream *vsock_accept(struct vsock_listener *l);
bool vsock_accept_ready(struct vsock_listener *l); /* arms the interrupt */
struct wait_queue *vsock_listener_wait_queue(struct vsock_listener *l);
u32 vsock_listener_port(const struct vsock_listener *l);
void vsock_unlisten(struct vsock_listener *l);

/* The VM is about to end, and the monitor then takes what lies in the ring: from here on packets
 * are left there without a kick as long as there is room. */
void vsock_end(void);

#endif
