/*
 * The VM's end of its control socket, in the loop thread. Clients are the owner's processes (by
 * SO_PEERCRED), few, and of no weight: one that is slow, silent or talks nonsense loses its
 * connection, and the guest notices nothing of any.
 */
#ifndef SAMARA_MONITOR_CONTROL_SERVER_H
#define SAMARA_MONITOR_CONTROL_SERVER_H

#include <stdbool.h>

#include "monitor/control_proto.h"
#include "monitor/event_loop.h"

enum { CONTROL_CLIENTS = 8, CONTROL_PATIENCE_MS = 10000 };
/* Requests, pieces of them and connections that are attended to in a millisecond, of all clients
 * together: however many there are, the guest's devices have the loop nearly to themselves. */
enum { CONTROL_TURNS = 8, CONTROL_PACE_NS = 1000000 };

/* What requests do. payload has as many bytes as requests of this kind have; answer has room for
 * CONTROL_PAYLOAD bytes and gets text of length *length. False: the answer comes later, by
 * control_answer_waiting. */
typedef bool (*control_fn)(void *arg, enum control_kind kind, const void *payload, char *answer,
                           size_t *length);

/* A request that takes the whole connection: true, and fd is the owner's; or else an answer. */
typedef bool (*control_take_fn)(void *arg, int fd, const struct control_snapshot *wish,
                                char *answer, size_t *length);

struct control_client {
    struct control_server *server;
    int fd, watch;        /* fd -1: a free place */
    uint64_t born;        /* order of coming */
    uint64_t deadline_ns; /* then it is hung up on */
    uint8_t in[CONTROL_HEADER + CONTROL_REQUEST];
    size_t got;
    enum control_kind waiting; /* for an answer that comes later; 0: not */
    bool closing;              /* after the answer */
    uint8_t *out;              /* its place in the server's outs */
    size_t length, sent;
};

struct control_server {
    struct event_loop *loop;
    unsigned owner; /* user id */
    control_fn fn;
    control_take_fn take; /* NULL: nobody takes any */
    void *arg;
    int fd, watch;
    uint64_t births;
    struct loop_timer patience, pace;
    unsigned turns; /* taken in this millisecond */
    bool starved;   /* somebody waits for the next */
    struct control_client clients[CONTROL_CLIENTS];
    /* Answers; apart, so that places nobody has taken yet need no memory. */
    uint8_t outs[CONTROL_CLIENTS][CONTROL_HEADER + CONTROL_PAYLOAD];
};

/* Accepts clients of fd, a listening socket that does not block and is handed over, from now on.
 * All functions want the device lock. */
void control_start(struct control_server *server, struct event_loop *loop, int fd, unsigned owner,
                   control_fn fn, control_take_fn take, void *arg);

/* Answers all that wait for this kind. */
void control_answer_waiting(struct control_server *server, enum control_kind kind,
                            const char *answer, size_t length);

/* Writes out what the socket takes at once: before the process ends. */
void control_flush(struct control_server *server);

#endif
