/*
 * What the keeper and the monitor say to each other: messages of one size over a SOCK_SEQPACKET
 * pair, a descriptor with some of them. The keeper has the caller's rights, so it takes what the
 * monitor says for a stranger's; the monitor believes the keeper.
 */
#ifndef SAMARA_MONITOR_LINK_H
#define SAMARA_MONITOR_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/err.h"

enum link_kind {
    LINK_SIGNAL = 1, /* to the monitor: value is a signal for the program */
    LINK_DIAL,       /* to the keeper: connect to vsock's server at port `value`, a stream's */
    LINK_LISTEN,     /* to the monitor: the descriptor is its control socket's */
    LINK_DIALLED,    /* to the monitor: DIAL's answer; value is 0 with a descriptor, or an errno */
    LINK_NET,        /* to the keeper: the peer of network interface `value` has gone */
    LINK_DIAL_MESSAGES, /* to the keeper: as DIAL, one of SOCK_SEQPACKET */
    LINK_NET_CONNECTED, /* to the monitor: the descriptor is another's, of interface `value` */
};

struct link_message {
    uint32_t kind;
    uint32_t value;
    uint64_t ticket; /* DIALLED has that of its DIAL */
};

/* Two ends, which do not block. -1 with err. */
int link_open(int ends[2], struct err *err);

/* Sends a message, and a copy of fd unless that is -1. False if there is no room or nobody. */
bool link_send(int end, const struct link_message *message, int fd);

/* What the keeper has opened for the monitor goes before all else, once: bytes, and copies of the
 * descriptors fds. False if nobody is there. */
bool link_pass(int end, const void *bytes, size_t size, const int *fds, unsigned count);

/* Waits for it. How many descriptors there were, at most `most`; -1 if the other end is gone, or
 * said something else. */
int link_await(int end, void *bytes, size_t size, int *fds, unsigned most);

/* 1: a message, and its descriptor or -1 in *fd (the caller's); 0: none now; -1: the other end is
 * gone. What has another size is dropped. fd NULL: descriptors are not taken. */
int link_receive(int end, struct link_message *message, int *fd);

#endif
