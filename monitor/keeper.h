/*
 * The keeper: the process that the caller started. It opens what takes the caller's rights, makes
 * the monitor as its child and stays behind, while the monitor gives up everything:
 *
 *     caller ── keeper: paths, signals, terminal ──link── monitor: VM, devices, guest
 *
 * It passes on signals, connects to vsock's servers by path, finds network interfaces new peers,
 * puts back the terminal, removes paths, and answers with the monitor's exit status. The link,
 * and a pipe if a working set is recorded, are all it hears of the monitor.
 */
#ifndef SAMARA_MONITOR_KEEPER_H
#define SAMARA_MONITOR_KEEPER_H

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/err.h"
#include "monitor/net_peer.h"
#include "monitor/ready.h"
#include "monitor/room.h"
#include "monitor/snapshot/working_keep.h"

struct keeper {
    int ends[2];     /* of the link: the keeper's, the monitor's; -1: not open (any more) */
    int signal_fd;   /* the keeper's */
    sigset_t before; /* the signals that were blocked when we came */
    pid_t pid;       /* the keeper's own */
    unsigned user;
    pid_t monitor;
    int ending;                /* the last signal passed on that ends most programs; 0: none yet */
    int64_t ending_since;      /* ns, CLOCK_MONOTONIC */
    bool ended;                /* we did it */
    cpu_set_t processors;      /* where we may run; none: unknown */
    cpu_set_t here, elsewhere; /* of these, when the split was near: our own, and the others */
    struct room room;          /* the shared one, until the split */
    unsigned long namespaces;  /* CLONE_NEW*: those that the monitor is in */
};

#define KEEPER_CLOSED                                                                              \
    {                                                                                              \
        .ends = {-1, -1}, .signal_fd = -1, .room = ROOM_NONE                                       \
    }

/* From here on signals wait: none comes between making something and owning it. -1 with err. */
int keeper_open(struct keeper *k, struct err *err);

/* A signal that nobody took ends us now, as it would any process. */
void keeper_close(struct keeper *k);

/* Makes the monitor in namespaces other than ours, as far as the host permits. 1 in the keeper, 0
 * in the monitor, -1 with err. No other thread exists. */
int keeper_split(struct keeper *k, struct err *err);

/* The monitor's first thread, which is about to be woken, comes to our processor: we go to sleep
 * there, and its other thread has another. It may leave when it likes (vm->processors). */
void keeper_make_way(const struct keeper *k);

/* Ends the monitor, which is of no use any more. */
void keeper_give_up(const struct keeper *k);

/* Gives the monitor a copy of its control socket, which listens. */
void keeper_offer_control(const struct keeper *k, int fd);

/* What the keeper does for the monitor while that runs. */
struct keeper_services {
    const char *vsock_path; /* servers are at vsock_path_PORT; NULL: there are none */
    struct ready *ready;    /* of the program, for a snapshot */
    struct working_keep *working;
    struct net_peer *peers; /* of network interfaces */
    unsigned peer_count;
    void (*later)(void *arg); /* called once if it has not ended soon, for what short programs can
                                 do without */
    void *arg;
};

/* Until the monitor has ended: its exit status, or 125 with err if something killed it. */
int keeper_attend(struct keeper *k, const struct keeper_services *services, struct err *err);

#endif
