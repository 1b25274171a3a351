/*
 * Which pages a snapshot has to have, and when. Most are copied while the guest runs, those that it
 * changes meanwhile once more, and so on until few are left (pre-copy); these are copied while it
 * stands. What it takes to see a page before the guest writes it (userfaultfd: 68 ns a page to arm,
 * none for mapped files; fork(): another process) would stop a large guest for longer.
 *
 *     begin ── next, next, ... ── over ──┬── next, ...
 *                                        └── (guest stands) last ── end
 *
 * All under the device lock.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_ROUNDS_H
#define SAMARA_MONITOR_SNAPSHOT_ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/err.h"

struct vm;

enum {
    ROUNDS_RUN = 32,   /* pages of RAM side by side, at most */
    ROUNDS_MOST = 6,   /* rounds */
    ROUNDS_FEW = 256,  /* pages: the guest may stand for them */
    ROUNDS_CHUNK = 512 /* pages that are looked at together */
};

struct rounds {
    struct vm *vm;
    bool active, logs;
    bool diff;         /* only what has changed since the snapshot that it grew from */
    unsigned number;   /* of the round, from 0 */
    uint64_t next;     /* page */
    uint64_t expected; /* pages that have changed, as of the last look */
};

enum rounds_verdict {
    ROUNDS_PAGES, /* *first and *count */
    ROUNDS_LATER, /* nothing in what was looked at: ask again */
    ROUNDS_OVER,  /* of this round */
    ROUNDS_FAILED,
};

/* -1 with err. */
int rounds_begin(struct rounds *r, struct vm *vm, bool diff, struct err *err);

/* The next pages that are to be taken from RAM as they are now. */
enum rounds_verdict rounds_next(struct rounds *r, uint64_t *first, unsigned *count,
                                struct err *err);

/* After ROUNDS_OVER: 1: the guest is to stand now; 0: there is another round; -1 with err. */
int rounds_over(struct rounds *r, struct err *err);

/* While the guest stands: what is left, to vm->copies. -1 with err. */
int rounds_last(struct rounds *r, struct err *err);

/* After that nothing needs to be logged any more; in the loop thread. */
void rounds_stop(struct rounds *r);

/* Gives back all memory. Also of what has not begun, or not been finished. */
void rounds_end(struct rounds *r);

#endif
