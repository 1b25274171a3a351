/*
 * The virtio-vsock device (Virtio 1.2, 5.10): connections between the guest and UNIX sockets or the
 * monitor's own stdio. Clients use it as they use Firecracker's:
 *
 *     host to guest: connect to PATH, send "CONNECT <port>\n", read "OK <hostport>\n", talk
 *     guest to host: port N reaches the UNIX socket PATH_N; nobody there is a reset
 *
 * A client is hung up on if the guest has not answered after VSOCK_ANSWER_MS.
 *
 * SEQPACKET connections end in UNIX sockets of that type, message for message: clients have a
 * listening socket of their own, where each line is one message, and PATH_N is asked for the type
 * that the guest asked for. Such sockets need SO_PASSCRED, which tells an empty message from the
 * end (vsock_message.c). A message has at most what the receiver's window takes: see
 * VSOCK_MESSAGE_MOST.
 *
 * Ports SAMARA_STDIO_PORT + 0, 1, 2 of the host are the program's stdin, stdout, stderr.
 *
 * The device is opaque and runs under the device lock: register accesses in the vCPU thread, the
 * callbacks of its descriptors in the loop thread. All memory is taken at creation.
 */
#ifndef SAMARA_DEVICES_VSOCK_H
#define SAMARA_DEVICES_VSOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/stream_fd.h"
#include "devices/virtio_mmio.h"
#include "monitor/err.h"
#include "monitor/event_loop.h"

#define VSOCK_ANSWER_MS 10000

/* Characters of a path, which leaves room in a socket's address for "_4294967295". */
#define VSOCK_PATH_MAX 96

/* Bytes of a message from the host; one from the guest is bounded by the window that it is given,
 * 63 KiB, or 15 KiB for a connection when there are more than a thousand. */
#define VSOCK_MESSAGE_MOST (64 << 10)

struct vsock;

enum vsock_kind { VSOCK_BYTES, VSOCK_MESSAGES, VSOCK_KINDS }; /* STREAM, SEQPACKET */

/* The guest wants to connect to port: the owner connects to whoever listens at PATH_port with a
 * socket of that type and hands the answer to vsock_dialled later, not from inside. False: not now,
 * ask again. */
typedef bool (*vsock_dial_fn)(void *arg, uint32_t port, enum vsock_kind kind, uint64_t ticket);

struct vsock_config {
    uint64_t guest_cid;
    int listen_fds[VSOCK_KINDS]; /* for clients; they do not block; -1: none. Handed over */
    vsock_dial_fn dial;          /* NULL: nobody is there */
    void *dial_arg;
    struct stream_fd stdio[3]; /* stdin, stdout, stderr, fd -1 for those not wanted; handed over */
    /* The host failed to read or write stream `number` (0-2) for a reason (errno) other than that
     * the other end has gone: called before the guest is told that the stream has ended. May be
     * NULL. */
    void (*stdio_failed)(void *arg, int number, int reason);
    void *stdio_arg;
    /* Called once, when the guest has first sent something over a connection. May be NULL. */
    void (*spoke)(void *arg);
    void *spoke_arg;
};

/* NULL with err. The caller ignores SIGPIPE. On success the device owns config->stdio and
 * listen_fds, on failure the caller still does. */
struct vsock *vsock_new(const struct vsock_config *config, const struct virtio_host *host,
                        struct event_loop *loop, struct err *err);

/* What came of dialling: a connected socket that does not block, handed over, or -errno; -EAGAIN is
 * tried again for a second. In the loop thread. */
void vsock_dialled(struct vsock *vsock, uint64_t ticket, int answer);

/* The device behind it, for the bus. */
struct virtio_device *vsock_device(struct vsock *vsock);

/* What a snapshot keeps of the device beside the transport. Version 1. */
struct vsock_saved {
    uint32_t next_port; /* of the host's, for connections to the guest */
    uint32_t count;     /* of the connections that follow */
};
_Static_assert(sizeof(struct vsock_saved) == 8, "saved layout");

/* A connection that the guest knows of. */
struct vsock_saved_conn {
    uint32_t host_port, guest_port;
    uint16_t type; /* VIRTIO_VSOCK_TYPE_* */
    uint8_t guest_shut, our_shut;
    uint32_t pending; /* control packets still to be sent: vsock_state.h */
    uint32_t received, told, sent, peer_alloc, peer_forwarded; /* bytes, modulo 2^32 */
    uint32_t reserved;                                         /* 0 */
};
_Static_assert(sizeof(struct vsock_saved_conn) == 40, "saved layout");

/* Bytes that vsock_save writes at most. */
size_t vsock_saved_most(void);

/* Both as one piece: struct vsock_saved and its connections. Returns the bytes. */
size_t vsock_save(const struct vsock *vsock, void *to);

/* After virtio_load and before virtio_go_on. The program's stdio goes on over the streams of this
 * device: what the host had not taken yet is the snapshot's source's to deliver. All others are
 * reset. -1 with err if it is no such state. */
int vsock_load(struct vsock *vsock, const void *bytes, size_t size, struct err *err);

/* Before virtio_load of a device that has been in use: what it holds of anybody's data is gone from
 * its memory. Standard streams stay. */
void vsock_forget(struct vsock *vsock);

/*
 * The guest has stopped for good: takes what it left in the tx queue and calls done(arg) once all
 * that was received has been written to the host, which may be before this returns. Waits for stdio
 * without end (a reader may be slow, as with any program) and for other connections
 * VSOCK_FINISH_MS.
 */
void vsock_finish(struct vsock *vsock, loop_fn done, void *arg);
#define VSOCK_FINISH_MS 1000

/* Resets every connection and closes everything. NULL is allowed. The loop must still exist. */
void vsock_free(struct vsock *vsock);

#endif
