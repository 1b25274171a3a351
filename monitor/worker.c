/* See worker.h. */
#include "monitor/worker.h"

#include <stddef.h>

void worker_init(struct worker *worker, struct device_lock *lock)
{
    *worker = (struct worker){.lock = lock};
    worker->jobs_end = &worker->jobs;
}

void worker_submit(struct worker *worker, struct worker_job *job)
{
    job->next = NULL;
    *worker->jobs_end = job;
    worker->jobs_end = &job->next;
    device_event_happened(&worker->more);
}

static struct worker_job *take(struct worker *worker)
{
    struct worker_job *job = worker->jobs;

    worker->jobs = job->next;
    if (worker->jobs == NULL)
        worker->jobs_end = &worker->jobs;
    return job;
}

void worker_quiesce(struct worker *worker)
{
    struct worker_job *job;

    while (worker->jobs != NULL || worker->busy) {
        if (worker->jobs != NULL) {
            job = take(worker);
            job->done(job, false);
        } else {
            device_lock_wait(worker->lock, &worker->idle);
        }
    }
}

void worker_drain(struct worker *worker)
{
    while (worker->jobs != NULL || worker->busy)
        device_lock_wait(worker->lock, &worker->idle);
}

bool worker_turn(struct worker *worker)
{
    struct worker_job *job;

    if (worker->jobs == NULL)
        return false;
    job = take(worker);
    worker->busy = true;
    device_lock_release(worker->lock);
    job->work(job);
    device_lock_take(worker->lock);
    worker->busy = false;
    job->done(job, true);
    device_event_happened(&worker->idle);
    return true;
}

void worker_run(struct worker *worker)
{
    device_lock_take(worker->lock);
    while (!worker->stop) {
        if (!worker_turn(worker))
            device_lock_wait(worker->lock, &worker->more);
    }
    device_lock_release(worker->lock);
}

void worker_stop(struct worker *worker)
{
    device_lock_take(worker->lock);
    worker->stop = true;
    device_event_happened(&worker->more);
    device_lock_release(worker->lock);
}
