/*
 * What the files of vsock share: streams and listeners, and the steps from one file to another.
 * vsock.c is the outside and the interrupt, vsock_stream.c the table, vsock_tx.c and vsock_rx.c the
 * two directions, vsock_message.c what is different for messages, vsock_listen.c the listeners.
 * Nobody else includes this.
 */
#ifndef GUEST_KERNEL_DRIVERS_VSOCK_STATE_H
#define GUEST_KERNEL_DRIVERS_VSOCK_STATE_H

#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/drivers/vsock_queue.h"

#define CREDIT_FIRST (128u << 10)
#define CREDIT_MOST  (1u << 20)

enum state { CONNECTING, ESTABLISHED, RESET };

enum { OWED_RESPONSE = 1, OWED_SHUTDOWN = 2, OWED_CREDIT = 4, OWED_ASK = 8 };

struct vsock_stream {
    struct vsock_stream *next;
    struct vsock_stream *accept_next;
    struct vsock_listener *listener; /* waiting to be accepted there */
    struct wait_queue wait;
    enum vsock_kind kind;
    enum state state;
    bool orphan; /* the program has closed it: lives until the peer answers SHUTDOWN with RST */
    u8 shut_own, shut_peer;
    u8 owed;
    bool asked;   /* for credit, since the last time there was some */
    bool stalled; /* a sender waits for room in the pool */
    u32 local_port, peer_port;
    struct vsock_buffer *first, *last;
    u32 waiting; /* bytes in the buffers */
    u32 credit;  /* bytes we let the peer have under way and unread */
    u32 consumed, consumed_told;
    u32 sent, peer_credit, peer_consumed;
    u32 whole;   /* messages that wait, all of each */
    u32 empties; /* those among them that are empty */
    u32 wanted;  /* bytes of a message that found no room */
};

struct vsock_listener {
    struct vsock_listener *next;
    struct wait_queue wait;
    enum vsock_kind kind;
    u32 port;
    unsigned backlog, count;
    struct vsock_stream *first, *last;
};

struct vsock_core {
    bool present;
    u32 cid; /* ours */
    struct vsock_stream *streams;
    unsigned stream_count;
    struct vsock_listener *listeners;
    bool owing;   /* some stream could not send a control packet */
    bool stalled; /* some stream has `stalled` set */
    bool ending;  /* the monitor takes what is in the ring at the end */
};
extern struct vsock_core vsock;

/* Takes what the device has for us; true if there was anything. */
bool vsock_take_packets(void);

/* The caller is about to wait: nothing may lie unseen in the ring once interrupts are armed. */
void vsock_arm(void);

/* --- vsock_stream.c --- */

/* NULL if there is none that is still alive. */
struct vsock_stream *stream_find(u32 local_port, u32 peer_port);
/* NULL without memory or when there are too many. */
struct vsock_stream *stream_new(u32 local_port, u32 peer_port, enum vsock_kind kind,
                                enum state state);
void stream_free(struct vsock_stream *s);
void stream_drop_buffers(struct vsock_stream *s);
/* The stream is over at once. What was received before can still be read. May free it. */
void stream_reset(struct vsock_stream *s);

/* --- vsock_tx.c --- */

/* False if there is no room. */
bool stream_send_packet(struct vsock_stream *s, u16 op, u32 flags, const void *data, u32 len);
/* Sends control packets (OWED_*) now, or when there is room. */
void stream_owe(struct vsock_stream *s, u8 what);
bool stream_send_ended(const struct vsock_stream *s);
u32 stream_send_credit(const struct vsock_stream *s);
/* There is room in the ring, and credit, for what found none before, or for anything. */
bool stream_has_room(const struct vsock_stream *s);
/* Nothing could be sent: have the reason, whichever it is, end in a wake-up. */
void stream_expect_room(struct vsock_stream *s);
/* An answer to a packet that belongs to no stream; lost if there is no room. */
void vsock_send_reset(u32 local_port, u32 peer_port, enum vsock_kind kind);
void vsock_pay_all(void);
/* Wakes whoever waits for room to send. */
void vsock_room_came(void);

/* --- vsock_rx.c --- */

bool stream_receive_ended(const struct vsock_stream *s);
/* There is something to receive; a message as a whole. */
bool stream_has_data(const struct vsock_stream *s);
/* Was consumed: tells the peer of room once half of it is used up. */
void stream_renew_credit(struct vsock_stream *s);
/* Behind what waits. */
void stream_append(struct vsock_stream *s, struct vsock_buffer *b);
/* The first buffer's bytes have all been read. */
void stream_drop_first(struct vsock_stream *s);

/* --- vsock_message.c --- */

/* Keeps a part of one; takes the buffer. False: more empty ones than are kept. */
bool message_keep(struct vsock_stream *s, struct vsock_buffer *b, u32 flags);

/* --- vsock_listen.c --- */

struct vsock_listener *listener_find(u32 port);
void listener_leave(struct vsock_stream *s);

#endif
