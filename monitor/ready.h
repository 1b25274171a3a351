/*
 * The keeper's part of abi/samara_sdk.h: the host's end of the connection over which a program says
 * that it is ready, and the `samara snapshot` that is started then, as if the user had done so.
 *
 *     dialled ──"ready"──> samara snapshot NAME OUT ──ends──> "done" or "failed"
 *
 * One connection at a time, and one snapshot. The guest's bytes are a stranger's.
 */
#ifndef SAMARA_MONITOR_READY_H
#define SAMARA_MONITOR_READY_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "monitor/err.h"

enum { READY_FDS = 2 };

struct ready {
    const char *name, *out; /* of the VM, and where to; out NULL: nobody takes a snapshot */
    int fd;                 /* ours of the connection; -1: there is none */
    int end;                /* readable when the child has ended; -1: there is none */
    pid_t child;
    bool used;
    char line[8];
    size_t got;
};

#define READY_NONE                                                                                 \
    {                                                                                              \
        .fd = -1, .end = -1                                                                        \
    }

/* The guest wants to connect: a stream for the monitor, or -errno. */
int ready_dialled(struct ready *r);

/* What to wait for (a negative fd: nothing), and what has come of it. signals: those that the child
 * is to have blocked. */
void ready_watch(const struct ready *r, struct pollfd fds[READY_FDS]);
void ready_turn(struct ready *r, const struct pollfd fds[READY_FDS], const sigset_t *signals);

/* Ends the child, if it is still there. */
void ready_close(struct ready *r);

#endif
