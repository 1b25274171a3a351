/*
 * What the monitor gives up before the guest runs, beside the seccomp filters. Each measure is
 * taken where the host permits it; what is missing is remembered with the reason.
 *
 *     keeper   ── clone: user, pid, mount, ipc, uts namespaces ──┐
 *     vCPU thread   confine_process ── ... machine ... ── confine_thread ── guest runs
 *     loop thread        └─────── contents ────────── confine_thread
 *     another                └── the room ──┘
 */
#ifndef SAMARA_MONITOR_CONFINE_H
#define SAMARA_MONITOR_CONFINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "monitor/err.h"

enum confine_measure {
    CONFINE_USER_NS,
    CONFINE_PID_NS,
    CONFINE_MOUNT_NS,
    CONFINE_IPC_NS,
    CONFINE_UTS_NS,
    CONFINE_NET_NS,
    CONFINE_ROOT, /* empty, read-only */
    CONFINE_NO_NEW_PRIVS,
    CONFINE_CAPABILITIES,
    CONFINE_LANDLOCK,
    CONFINE_LIMITS,
    CONFINE_NOT_DUMPABLE,
    CONFINE_SECCOMP,
    CONFINE_MEASURES,
};

struct confinement {
    _Atomic int
        reason[CONFINE_MEASURES]; /* 0: taken; else why not, an errno. Before that: EINPROGRESS */
    bool files_grow;              /* the program's output goes to regular files */
    unsigned user;                /* the owner */
    bool all;                     /* whatever it costs */
    int net_ns, landlock;         /* descriptors for the threads, or -1 */
    pthread_t room_thread;
    bool room_thread_runs;
};

/* Nothing has been taken but the namespaces (CLONE_NEW*) in which the process was made. all: also
 * what costs much and adds little, the network namespace. */
void confine_init(struct confinement *c, unsigned long namespaces, bool files_grow, bool all,
                  unsigned user);

/* In the only thread, at once: what others inherit. */
void confine_process(struct confinement *c);

/* In each thread, when it has time: the capabilities that it could never get back. */
void confine_bounds(void);

/* Begins what takes long, in a thread of its own, and waits for it. When it begins, no path is
 * opened any more; afterwards none leads anywhere. */
void confine_begin_room(struct confinement *c);
void confine_end_room(struct confinement *c);

/* In each thread, with the room made; one of them does what is for the whole process, too. */
void confine_thread(struct confinement *c, bool for_process);

/* When both have. */
void confine_finish(struct confinement *c);

/* The thread has its filter, which protects unless that was not wanted. */
void confine_seccomp(struct confinement *c, bool protects);

/* The measures that are missing, "net namespace: Operation not permitted, ..."; "" if none is. */
void confine_missing(const struct confinement *c, char *to, size_t size);

const char *confine_name(enum confine_measure measure);

#endif
