/* Jobs: in order, without the lock, and what becomes of them when their owner stops. */
#include "monitor/worker.h"

#include <criterion/criterion.h>
#include <time.h>

#include "monitor/latch.h"

struct counted {
    struct worker_job job;
    struct latch *started, *go; /* NULL: does not wait */
    unsigned order;
    bool worked, done, ran;
};

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct worker worker;
static pthread_t thread;
static unsigned order;

static void *worker_main(void *arg)
{
    (void)arg;
    worker_run(&worker);
    return NULL;
}

static void start(void)
{
    worker_init(&worker, &lock);
    pthread_create(&thread, NULL, worker_main, NULL);
}

static void stop(void)
{
    worker_stop(&worker);
    pthread_join(thread, NULL);
}

TestSuite(worker, .init = start, .fini = stop, .timeout = 30);

static void work(struct worker_job *job)
{
    struct counted *c = (struct counted *)job;

    c->worked = true;
    if (c->started)
        latch_set(c->started, true);
    if (c->go)
        latch_wait(c->go);
}

static void done(struct worker_job *job, bool ran)
{
    struct counted *c = (struct counted *)job;

    cr_assert(device_lock_is_taken(&lock), "under the lock");
    c->done = true;
    c->ran = ran;
    c->order = order++;
}

static void submit(struct counted *c)
{
    c->job.work = work;
    c->job.done = done;
    device_lock_take(&lock);
    worker_submit(&worker, &c->job);
    device_lock_release(&lock);
}

static void await_done(struct counted *c)
{
    const struct timespec moment = {.tv_nsec = 100000};
    bool there = false;

    while (!there) {
        nanosleep(&moment, NULL);
        device_lock_take(&lock);
        there = c->done;
        device_lock_release(&lock);
    }
}

Test(worker, jobs_are_done_in_order)
{
    struct counted c[10] = {0};

    for (unsigned i = 0; i < 10; i++)
        submit(&c[i]);
    await_done(&c[9]);
    for (unsigned i = 0; i < 10; i++)
        cr_assert(c[i].worked && c[i].ran && c[i].order == i);
}

Test(worker, the_lock_is_free_while_a_job_works)
{
    struct latch started = {0}, go = {0};
    struct counted c = {.started = &started, .go = &go};

    submit(&c);
    latch_wait(&started);
    device_lock_take(&lock);
    cr_assert(!c.done);
    device_lock_release(&lock);
    latch_set(&go, true);
    await_done(&c);
}

static void *let_go_later(void *arg)
{
    const struct timespec later = {.tv_nsec = 50000000};

    nanosleep(&later, NULL);
    latch_set(arg, true);
    return NULL;
}

Test(worker, quiescing_waits_for_the_one_and_drops_the_others)
{
    struct latch started = {0}, go = {0};
    struct counted first = {.started = &started, .go = &go}, second = {0};
    pthread_t helper;

    submit(&first);
    latch_wait(&started);
    submit(&second);
    pthread_create(&helper, NULL, let_go_later, &go);
    device_lock_take(&lock);
    worker_quiesce(&worker);
    cr_assert(first.done && first.ran);
    cr_assert(second.done && !second.ran && !second.worked);
    device_lock_release(&lock);
    pthread_join(helper, NULL);
}
