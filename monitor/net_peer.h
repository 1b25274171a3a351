/*
 * The other end of a network interface's stream, in the keeper: passt, which it connects to by path
 * or starts itself, and again when the monitor says that it has gone.
 *
 *     monitor: gone ──> net_peer_want ──(not before its time)──> net_peer_turn ──> a new socket
 *
 * The monitor is a stranger: however often it asks, there are ten attempts a second at first, and
 * one when they do not last.
 */
#ifndef SAMARA_MONITOR_NET_PEER_H
#define SAMARA_MONITOR_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/net_config.h"

struct net_peer {
    const struct net_interface *config; /* NULL: there is none to be had */
    pid_t passt;                        /* which we have started; 0: none */
    int said;                           /* the reading end of its standard error */
    bool wanted;
    int64_t tried_ns, next_ns, delay_ns; /* CLOCK_MONOTONIC */
};

#define NET_PEER_NONE                                                                              \
    {                                                                                              \
        .said = -1                                                                                 \
    }

/* A connected socket, of an interface with passt. -1 with err. */
int net_peer_open(struct net_peer *peer, const struct net_interface *config, struct err *err);

/* It has gone and another is wanted; the line says why, as far as passt did, or is empty. False if
 * there is none to be had or it is wanted already. */
bool net_peer_want(struct net_peer *peer, struct err *line);

/* When its turn is: ms from now, at least 0, or -1: not wanted. */
int net_peer_wait(const struct net_peer *peer);

/* If it is its turn: a new socket, or -1: later. */
int net_peer_turn(struct net_peer *peer);

/* Ends what was started, and waits for that. */
void net_peer_close(struct net_peer *peer);

#endif
