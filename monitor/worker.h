/*
 * A thread for what may take long: jobs run one after the other without the device lock, and are
 * done with it.
 *
 *     submit ──> work (no lock) ──> done (device lock)
 *        └── cancelled: quiesce ────┘
 *
 * A job lives in its owner's struct. All but worker_run and worker_stop want the device lock held.
 */
#ifndef SAMARA_MONITOR_WORKER_H
#define SAMARA_MONITOR_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "monitor/device_lock.h"

struct worker_job {
    void (*work)(struct worker_job *job);
    void (*done)(struct worker_job *job, bool ran);
    struct worker_job *next;
};

struct worker {
    struct device_lock *lock;
    struct worker_job *jobs, **jobs_end;
    bool busy, stop;
    struct device_event more, idle;
};

void worker_init(struct worker *worker, struct device_lock *lock);

/* Jobs run in the order in which they are submitted. */
void worker_submit(struct worker *worker, struct worker_job *job);

/* Jobs that have not begun are done without having run; waits for the one that has, with the lock
 * released. Nobody submits meanwhile. */
void worker_quiesce(struct worker *worker);

/* Waits, with the lock released, until all jobs are done. */
void worker_drain(struct worker *worker);

/* Runs the next job here and now; false if there is none. */
bool worker_turn(struct worker *worker);

/* The thread's main: returns after worker_stop, when the job under way is done. */
void worker_run(struct worker *worker);
void worker_stop(struct worker *worker);

#endif
