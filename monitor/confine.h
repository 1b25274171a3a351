/*
 * What the monitor gives up before the guest runs, beside the seccomp filters. Each measure is
 * taken where the host permits it; what is missing is remembered with the reason.
 *
 *     keeper   ── clone: PID, UTS, user namespaces; the shared room, if there is one ──┐
 *     monitor   confine_process ── confine_make_room ── confine_thread ── the threads that stay
 */
#ifndef SAMARA_MONITOR_CONFINE_H
#define SAMARA_MONITOR_CONFINE_H

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
    unsigned user;                /* the owner */
    bool all;                     /* whatever it costs */
};

/* Nothing has been taken but the namespaces (CLONE_NEW*) in which the process is. all: also what
 * costs much and adds little, a network namespace that is made for this one. */
void confine_init(struct confinement *c, unsigned long namespaces, bool all, unsigned user);

/* In the only thread, at once: what all inherit. */
void confine_process(struct confinement *c);

/* In the thread that makes all those that stay, while others work: what is missing of the room, its
 * namespaces and the empty root. proc: /proc, opened before. No path leads anywhere afterwards. */
void confine_make_room(struct confinement *c, int proc);

/* Then, in the same: capabilities, Landlock, limits. No file is opened any more, and files_grow:
 * the program's output or a trace is written to some. */
void confine_thread(struct confinement *c, bool files_grow);

/* The threads have their filters, which protect unless that was not wanted. */
void confine_seccomp(struct confinement *c, bool protects);

/* The measures that are missing, "net namespace: Operation not permitted, ..."; "" if none is. */
void confine_missing(const struct confinement *c, char *to, size_t size);

const char *confine_name(enum confine_measure measure);

/* Why it is missing. */
const char *confine_reason(const struct confinement *c, enum confine_measure measure);

#endif
