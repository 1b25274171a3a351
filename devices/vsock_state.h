/*
 * What the files of the vsock device share.
 *
 *     vsock_host.c    listening socket, CONNECT lines, connecting to PATH_N
 *     vsock_tx.c      packets from the guest ──> connections ──> host
 *     vsock_rx.c      host ──> connections ──> packets to the guest
 *     vsock_conn.c    the connections: table, watching, waiting, life
 *     vsock_ready.c   their credit and their turns
 *     vsock_buffer.c  what the host did not take at once
 *     vsock_message.c the same for messages, and those to the guest
 *     vsock.c         the device: creation, operations, end
 *
 * Data is never held before it is needed: what comes from the host is read straight into the
 * guest's buffers when it has credit, and what comes from the guest is written straight to the
 * host. Only what the host does not take goes to the connection's buffer, as large as the credit it
 * gives.
 */
#ifndef SAMARA_DEVICES_VSOCK_STATE_H
#define SAMARA_DEVICES_VSOCK_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/virtio_vsock.h"
#include "devices/vsock.h"

enum {
    VSOCK_STDIO = 3,
    VSOCK_CONNS = 4096,   /* the first three are stdio's: nobody else can take them */
    VSOCK_BUCKETS = 4096, /* a power of two */
    VSOCK_HANDSHAKES = 64,
    VSOCK_REFUSALS = 64, /* resets for which there is no connection */
};

/* Of SEQPACKET: the bytes of a ring, and how many of them are for empty messages, which no credit
 * bounds. */
enum { VSOCK_MESSAGE_RING = 64 << 10, VSOCK_EMPTY_MOST = 1 << 10 };
enum { VSOCK_MARKS = 4 }; /* in a byte: each is of a byte of a ring */

/* Bytes that a connection holds for a host that does not read: those that come first have more,
 * which bulk wants. 136 MiB of address space in all, of which nothing is used that is not held. */
enum {
    VSOCK_LARGE = 54,
    VSOCK_MEDIUM = 1024, /* up to this one */
    VSOCK_CREDIT_LARGE = 512 << 10,
    VSOCK_CREDIT_MEDIUM = 64 << 10,
    VSOCK_CREDIT_SMALL = 16 << 10,
};

enum vsock_conn_state {
    CONN_FREE = 0,
    CONN_HANDSHAKE,  /* a client that has not said CONNECT; no ports yet */
    CONN_CONNECTING, /* the owner is asked for a socket to the host's server; no stream yet */
    CONN_REQUESTED,  /* the guest has been asked, or is about to be */
    CONN_OPEN,
    CONN_RESETTING, /* closed here; RST is still to be sent */
    CONN_DRAINING,  /* unknown to the guest; the host still has to take what it sent */
};

/* Control packets still to be sent, as bits in the order in which they go. */
enum {
    PENDING_RST = 1 << 0,
    PENDING_REQUEST = 1 << 1,
    PENDING_RESPONSE = 1 << 2,
    PENDING_SHUTDOWN = 1 << 3,
    PENDING_CREDIT = 1 << 4,
};

struct vsock_conn {
    struct vsock *vsock;
    enum vsock_conn_state state;
    enum vsock_kind kind;
    uint32_t host_port, guest_port;
    struct vsock_conn *hash_next;                /* also the list of free ones */
    struct vsock_conn *ready_next, **ready_link; /* in the list of those with something to send */
    unsigned pending;
    uint64_t born;   /* order of acceptance, for handshakes */
    uint64_t due_ns; /* what it waits for ends then; 0: it does not wait */
    unsigned tries;  /* of connecting */

    struct stream_fd stream;
    int stdio; /* 0-2, or -1 */
    int watch; /* of the loop, or -1 */
    uint32_t watched;
    bool reads, writes; /* directions still open: from the stream, to it */
    bool readable;      /* reading has not said EAGAIN since the last event */
    bool hung_up;       /* the socket's other end is gone altogether */
    uint8_t guest_shut; /* VIRTIO_VSOCK_SHUTDOWN_* received */
    uint8_t our_shut;   /* ... to be told, or told */

    /* Byte counts since the start, modulo 2^32. */
    uint32_t received;  /* from the guest */
    uint32_t forwarded; /* taken by the host or dropped */
    uint32_t told;      /* forwarded as the guest last heard it */
    uint32_t sent;      /* to the guest */
    uint32_t peer_alloc, peer_forwarded;

    uint32_t head, held; /* of its buffer: see vsock_buffer.c */

    /* Of SEQPACKET: see vsock_message.c. */
    uint32_t whole;   /* messages that are held */
    uint32_t empties; /* those among them that are empty: each is one of `held` nevertheless */
    uint32_t part;    /* bytes held behind them, of a message that has not ended */
    uint32_t next;    /* bytes of the host's next message, if it was too long for the credit */
};

struct vsock_refusal {
    uint64_t cid; /* whom the guest had addressed */
    uint32_t host_port, guest_port;
    uint16_t type;
};

/* A socket where clients connect. */
struct vsock_entrance {
    struct vsock *vsock;
    enum vsock_kind kind;
    int fd, watch;
};

/* A message to the guest that takes several packets; conn NULL: none. */
struct vsock_stage {
    struct vsock_conn *conn;
    uint32_t at, len;
    uint8_t *bytes;
};

struct vsock {
    struct virtio_device device; /* first: operations get a pointer to it */
    struct event_loop *loop;
    uint64_t guest_cid;
    struct stream_fd stdio[3]; /* until the guest connects to them */
    void (*spoke)(void *arg);  /* NULL: it has */
    void *spoke_arg;
    void (*stdio_failed)(void *arg, int number, int reason);
    void *stdio_arg;

    vsock_dial_fn dial;
    void *dial_arg;
    struct vsock_entrance entrances[VSOCK_KINDS];
    struct loop_timer listen_again;
    unsigned handshakes;
    uint64_t births;
    uint32_t next_port;
    uint64_t answer_ns;    /* the time a guest has to answer a REQUEST */
    struct loop_timer due; /* the first of the connections' */

    struct vsock_conn *free;
    unsigned used; /* connections ever used, stdio's included: below it any may be in use */
    struct vsock_conn *ready, **ready_end;
    unsigned refusal_head, refusals; /* a ring */
    struct vsock_refusal refusal[VSOCK_REFUSALS];

    uint8_t *pool;  /* the connections' buffers */
    uint8_t *marks; /* the ends of messages in them */
    struct vsock_stage stage;
    struct vsock_conn *warm; /* has an empty buffer that still takes memory */

    struct loop_task work; /* what one turn left over */
    bool guest_gone;       /* vsock_finish: nothing is sent any more */
    bool finishing;        /* done has not been called */
    loop_fn done;
    void *done_arg;
    struct loop_timer patience;

    struct vsock_conn *bucket[VSOCK_BUCKETS];
    struct vsock_conn conns[VSOCK_CONNS];
};

/* --- vsock_conn.c --- */

/* A connection over a stream, which is handed over, or NULL if the table is full. */
struct vsock_conn *conn_new(struct vsock *vsock, struct stream_fd stream,
                            enum vsock_conn_state state, enum vsock_kind kind);
/* Hands over stdio stream `number` (0-2), which is there; its place is never taken. */
struct vsock_conn *conn_new_stdio(struct vsock *vsock, int number);
/* Gives it its ports and makes it findable. */
void conn_name(struct vsock_conn *conn, uint32_t host_port, uint32_t guest_port);
struct vsock_conn *conn_find(const struct vsock *vsock, uint32_t host_port, uint32_t guest_port);
/* The guest or we may speak of it by its ports. */
bool conn_is_named(const struct vsock_conn *conn);
/* Closes everything at once and forgets it. */
void conn_free(struct vsock_conn *conn);
/* Makes it open: reading begins. Resets it if it cannot be watched. */
void conn_open(struct vsock_conn *conn);
/* The host accepted what the guest asked for: opens it and tells the guest. */
void conn_respond(struct vsock_conn *conn);
/* Closes it here and tells the guest, if that has heard of it. May free it. */
void conn_reset(struct vsock_conn *conn);
/* Something is to be done about it at this time at the latest: see conn_due. */
void conn_set_due(struct vsock_conn *conn, uint64_t at_ns);
/* The guest forgot it: writes out what it holds and is gone. */
void conn_abandon(struct vsock_conn *conn);
/* The host's end of file, and its refusal of more data (reason: a positive errno). */
void conn_end_read(struct vsock_conn *conn);
void conn_end_write(struct vsock_conn *conn, int reason);
/* Tells the device's owner if it is one of stdio's streams (reason: a positive errno). */
void conn_stdio_failed(const struct vsock_conn *conn, int reason);
/* The guest's SHUTDOWN: what it will not read of a file is left to the next reader. */
void conn_guest_shutdown(struct vsock_conn *conn, uint32_t flags);
/* Everything held has been written: does what was waiting for that. May free it. */
void conn_drained(struct vsock_conn *conn);
/* Brings the loop's watch in line with the state. 0, or a positive errno: it cannot be waited for,
 * so what is held will never go. Watching for less than before does not fail. */
int conn_watch(struct vsock_conn *conn);

/* --- vsock_ready.c --- */

/* Puts it in the ready list if it has something to send. */
void conn_schedule(struct vsock_conn *conn);
void conn_unschedule(struct vsock_conn *conn);
void conn_post(struct vsock_conn *conn, unsigned pending);
bool conn_has_data(const struct vsock_conn *conn);
/* Bytes the guest can take, and bytes it may still send as far as it knows. */
uint32_t conn_credit(const struct vsock_conn *conn);
uint32_t conn_allowance(const struct vsock_conn *conn);
/* Data was forwarded: tells the guest if it must think it has little credit. */
void conn_forwarded(struct vsock_conn *conn, uint32_t bytes);

/* --- vsock_buffer.c --- */

bool buffer_pool_open(struct vsock *vsock);
void buffer_pool_close(struct vsock *vsock);
/* Gives back all of its memory, which nobody holds anything in. */
void buffer_pool_wipe(struct vsock *vsock);
/* The credit it gives: the size of its buffer, or for messages nearly so. */
uint32_t conn_buf_alloc(const struct vsock_conn *conn);
uint32_t buffer_size(const struct vsock_conn *conn);
/* Where it begins, counted over all of them, and where they end. */
size_t buffer_place(const struct vsock_conn *conn);
size_t buffer_places(void);
/* The ring as at most two pieces of len bytes from `offset` on. */
int buffer_pieces(const struct vsock_conn *conn, uint32_t offset, uint32_t len,
                  struct iovec iov[2]);
/* The first len bytes are gone. */
void buffer_consume(struct vsock_conn *conn, uint32_t len);
/* Takes len bytes of a request that has them, with what is held at most buffer_size. */
void buffer_put(struct vsock_conn *conn, struct vq_request *req, uint32_t len);
/* Writes what it can; 0 when all is gone, else -errno. Credit is the caller's matter. */
int buffer_flush(struct vsock_conn *conn, uint32_t *written);
/* Drops what is held; returns how many of the guest's bytes it was. */
uint32_t buffer_drop(struct vsock_conn *conn);

/* --- vsock_message.c --- */

/* What buffer_drop has to do beside. */
void marks_clear(struct vsock_conn *conn);
/* The memory of a buffer's marks goes with it. */
void marks_give_back(struct vsock_conn *conn);

/* A part of a message from the guest, len bytes of a request that has them and was counted as
 * received. 0, or why the host takes no more (-errno); -EOVERFLOW: the guest sends too many empty
 * ones. */
int message_take(struct vsock_conn *conn, struct vq_request *req, uint32_t len, bool last);
/* As buffer_flush; what is left may be a message that has not ended. */
int message_flush(struct vsock_conn *conn, uint32_t *written);
/* The guest sends no more: what has not ended never will. */
void message_drop_part(struct vsock_conn *conn);

/* The bytes of the host's next message; -EAGAIN: none yet; -ENODATA: the end; or -errno. */
ssize_t message_next(const struct vsock_conn *conn);
/* Reads that message, of len bytes, to the request, which has room; the same results. */
ssize_t message_read(const struct vsock_conn *conn, struct vq_request *req, uint32_t len);
/* Reads it to the stage, which has to be free. */
ssize_t message_stage(struct vsock_conn *conn, uint32_t len);
/* What is staged of this connection is not sent. */
void message_unstage(const struct vsock_conn *conn);

/* --- vsock_tx.c --- */

/* Takes packets from the guest, a bounded number; true if there are more. */
bool vsock_take_packets(struct vsock *vsock);

/* --- vsock_rx.c --- */

/* Sends what is ready as far as the guest has buffers, a bounded amount; true if there is more. */
bool vsock_send_packets(struct vsock *vsock);

/* --- vsock_host.c --- */

/* Accepting goes on while the device is active. */
void host_start(struct vsock *vsock);
void host_stop(struct vsock *vsock);
/* A connection to a server, CONNECTING and without ports yet. NULL if nobody connects or the table
 * is full. */
struct vsock_conn *host_connect(struct vsock *vsock, enum vsock_kind kind);
/* One that is CONNECTING, named: asks the owner for a socket. The answer comes to vsock_dialled; a
 * server whose queue is full is asked for again for a while. */
void host_dial(struct vsock_conn *conn);
/* A client's CONNECT line may have arrived. */
void host_handshake(struct vsock_conn *conn);
/* The guest accepted: says OK. False if the client is gone. */
bool host_accepted(struct vsock_conn *conn);

/* --- vsock.c --- */

/* Both directions, then one interrupt; what is left over is done in the loop's next turn. */
void vsock_work(struct vsock *vsock);
/* After anything was drained or freed: is vsock_finish done? */
void vsock_check_finished(struct vsock *vsock);
/* Both sides know messages. */
bool vsock_has_messages(const struct vsock *vsock);

#endif
