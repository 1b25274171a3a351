/*
 * Which blocks of disks a snapshot has to have, and when; as rounds.h for pages. A disk's own
 * thread reads them, among the guest's requests, some at a time, which the client takes before the
 * next are read. What is written meanwhile is read once more, in another round.
 *
 *     begin ── next, next, ... ── over ──┬── next, ...
 *                                        └── settle ── (guest stands) last ── next, ... ── end
 *
 * At the moment, few are left. The guest stands neither for them nor for requests that are under
 * way: its disks do, before, until those are done, and after, until their threads have read what is
 * left to memory, which nobody else can delay.
 *
 * All but what the disk's thread does under the device lock.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_DISK_ROUNDS_H
#define SAMARA_MONITOR_SNAPSHOT_DISK_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/err.h"
#include "monitor/worker.h"

struct vm;

enum {
    DISKS_LEFT = 4096, /* blocks that may be left at the moment, of all disks: 16 MiB */
    DISKS_FEW = 256,   /* blocks for which there is no other round */
    DISKS_MOST = 8,    /* rounds */
    DISKS_BATCH = 64,  /* blocks that are read together while the guest runs */
};

/* Blocks on their way out of the process: address space, taken at set-up since a confined monitor
 * cannot map any. */
struct disk_copies {
    uint64_t *numbers; /* NULL: there is none */
    uint8_t *blocks;
    void *all;
    size_t size;
};

/* If there are disks to be kept. Without there are no snapshots of them. */
void disk_copies_open(struct disk_copies *c);

struct disk_rounds {
    struct worker_job job;     /* of one disk at a time */
    struct worker_job barrier; /* likewise: what was begun before it is done */
    struct vm *vm;
    void (*later)(void *arg); /* after DISKS_LATER: ask again; from a disk's thread */
    void *arg;
    bool active, diff;
    bool late;       /* the moment is over */
    bool settling;   /* ... near */
    bool busy;       /* the job is under way */
    bool ended;      /* nobody wants to know any more */
    unsigned number; /* of the round, from 0 */
    unsigned disk;   /* at hand */
    uint64_t next;   /* block of it */
    size_t count;    /* blocks in memory, ... */
    size_t taken;    /* ... of which so many are on their way */
    int result;      /* of the job: 0 or -errno */
    bool full;       /* there were more than DISKS_LEFT */
};

enum disks_verdict {
    DISKS_BLOCKS,
    DISKS_LATER, /* the disk's thread is at it */
    DISKS_OVER,  /* of this round, or of all once the moment is over */
    DISKS_FAILED,
};

struct disks_run {
    unsigned disk;
    uint64_t first; /* block */
    size_t count;
    const uint8_t *bytes; /* until the next call */
};

/* Why no snapshot can have a disk. 0, or -1 with err. */
int disks_check(const struct vm *vm, struct err *err);

/* later and arg are set. diff: only what the overlay itself has, not those beneath it. */
void disk_rounds_begin(struct disk_rounds *d, struct vm *vm, bool diff);

enum disks_verdict disk_rounds_next(struct disk_rounds *d, struct disks_run *run, struct err *err);

/* After DISKS_OVER: 1: few are left; 0: there is another round; -1 with err. */
int disk_rounds_over(struct disk_rounds *d, struct err *err);

/* Some time later: true if that is not so any more, and there is another round. */
bool disk_rounds_again(struct disk_rounds *d);

/* The moment is near: disks take no more requests. True if none is under way, false if that will be
 * so the next time that `later` is called. */
bool disk_rounds_settle(struct disk_rounds *d);

/* The guest stands, no request is under way, and those to come wait: begins to read what is left.
 * Each disk goes on once that is done. -1 with err: they do not wait for anything. */
int disk_rounds_last(struct disk_rounds *d, struct err *err);

/* In the loop thread. False: a thread still reads; `later` will be called. */
bool disk_rounds_end(struct disk_rounds *d);

#endif
