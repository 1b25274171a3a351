/*
 * See event_loop.h. The data of an epoll event is a watch's slot and the generation it had when it
 * was added; the generation changes when the slot is given up. Two slots beyond the table stand for
 * the loop's own descriptors.
 */
#include "monitor/event_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/clock.h"

enum { SLOT_WAKE = LOOP_WATCHES, SLOT_TIMER };
enum { EVENTS_PER_TURN = 32 };

struct loop_watch {
    loop_watch_fn fn;
    void *arg;
    int fd; /* -1: free */
    int next_free;
    uint32_t generation;
};

static uint64_t event_data(int slot, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint32_t)slot;
}

static int add_own(struct event_loop *loop, int fd, int slot, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = event_data(slot, 0)};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int loop_init(struct event_loop *loop, struct device_lock *lock, struct err *err)
{
    *loop = (struct event_loop)LOOP_CLOSED;
    loop->lock = lock;
    loop->free = -1;
    loop->tasks_end = &loop->tasks;
    loop->watches = calloc(LOOP_WATCHES, sizeof(*loop->watches));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->watches == NULL || loop->epoll_fd < 0 || loop->wake_fd < 0 || loop->timer_fd < 0 ||
        add_own(loop, loop->wake_fd, SLOT_WAKE, EPOLLIN | EPOLLET) != 0 ||
        add_own(loop, loop->timer_fd, SLOT_TIMER, EPOLLIN) != 0) {
        err_sys(err, "event loop");
        loop_close(loop);
        return -1;
    }
    return 0;
}

void loop_close(struct event_loop *loop)
{
    fd_close(&loop->epoll_fd);
    fd_close(&loop->wake_fd);
    fd_close(&loop->timer_fd);
    free(loop->watches);
    loop->watches = NULL;
}

/* --- watches --- */

static int take_slot(struct event_loop *loop)
{
    int slot = loop->free;

    if (slot >= 0)
        loop->free = loop->watches[slot].next_free;
    else if (loop->used < LOOP_WATCHES)
        slot = loop->used++;
    return slot;
}

static void free_slot(struct event_loop *loop, int slot)
{
    struct loop_watch *watch = &loop->watches[slot];

    watch->fd = -1;
    watch->generation++;
    watch->next_free = loop->free;
    loop->free = slot;
}

int loop_add(struct event_loop *loop, int fd, uint32_t events, loop_watch_fn fn, void *arg)
{
    int slot = take_slot(loop);
    struct loop_watch *watch;
    struct epoll_event event = {.events = events};

    if (slot < 0) {
        errno = ENOSPC;
        return -1;
    }
    watch = &loop->watches[slot];
    watch->fn = fn;
    watch->arg = arg;
    watch->fd = fd;
    event.data.u64 = event_data(slot, watch->generation);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        free_slot(loop, slot);
        return -1;
    }
    return slot;
}

int loop_mod(struct event_loop *loop, int watch, uint32_t events)
{
    const struct loop_watch *w = &loop->watches[watch];
    struct epoll_event event = {.events = events, .data.u64 = event_data(watch, w->generation)};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &event);
}

void loop_del(struct event_loop *loop, int watch)
{
    struct epoll_event unused = {0};

    if (watch < 0 || loop->watches[watch].fd < 0)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->watches[watch].fd, &unused);
    free_slot(loop, watch);
}

/* --- timers --- */

uint64_t loop_now_ns(void)
{
    return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

/* Sets the timerfd to the first timer; zero disarms it. */
static void program_timer(struct event_loop *loop)
{
    uint64_t at = loop->timers != NULL ? loop->timers->at_ns : 0;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)}};

    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void unlink_timer(struct event_loop *loop, struct loop_timer *timer)
{
    struct loop_timer **at = &loop->timers;

    while (*at != timer)
        at = &(*at)->next;
    *at = timer->next;
    timer->armed = false;
}

void loop_timer_set(struct event_loop *loop, struct loop_timer *timer, uint64_t at_ns)
{
    struct loop_timer *first = loop->timers;
    struct loop_timer **at = &loop->timers;

    if (timer->armed)
        unlink_timer(loop, timer);
    timer->at_ns = at_ns != 0 ? at_ns : 1; /* zero would disarm the timerfd */
    timer->armed = true;
    while (*at != NULL && (*at)->at_ns <= timer->at_ns)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
    if (loop->timers != first || first == timer)
        program_timer(loop);
}

void loop_timer_cancel(struct event_loop *loop, struct loop_timer *timer)
{
    bool first = loop->timers == timer;

    if (!timer->armed)
        return;
    unlink_timer(loop, timer);
    if (first)
        program_timer(loop);
}

/* Runs as many timers as are due now; one that sets itself to the past waits for the next turn. */
static void run_timers(struct event_loop *loop)
{
    uint64_t now = loop_now_ns();
    unsigned count = 0;

    for (const struct loop_timer *t = loop->timers; t != NULL && t->at_ns <= now; t = t->next)
        count++;
    while (count-- > 0 && loop->timers != NULL && loop->timers->at_ns <= now) {
        struct loop_timer *timer = loop->timers;

        unlink_timer(loop, timer);
        timer->fn(timer->arg);
    }
    program_timer(loop);
}

/* --- tasks --- */

/* Each write is an edge: nobody reads the counter, which 2^64 writes would fill. */
static void wake(struct event_loop *loop)
{
    uint64_t one = 1;
    const struct iovec iov = {.iov_base = &one, .iov_len = sizeof(one)};
    ssize_t written = writev(loop->wake_fd, &iov, 1);

    (void)written;
}

void loop_post(struct event_loop *loop, struct loop_task *task)
{
    if (task->posted)
        return;
    task->posted = true;
    task->next = NULL;
    *loop->tasks_end = task;
    loop->tasks_end = &task->next;
    if (loop->sleeping) {
        loop->sleeping = false;
        wake(loop);
    }
}

void loop_unpost(struct event_loop *loop, struct loop_task *task)
{
    struct loop_task **at = &loop->tasks;

    if (!task->posted)
        return;
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    if (loop->tasks_end == &task->next)
        loop->tasks_end = at;
    task->posted = false;
}

/* Runs as many tasks as there are now; those they post wait for the next turn. The lock is released
 * between them, so that a vCPU may get in. */
static void run_tasks(struct event_loop *loop)
{
    unsigned count = 0;

    device_lock_take(loop->lock);
    for (const struct loop_task *task = loop->tasks; task != NULL; task = task->next)
        count++;
    while (count-- > 0 && loop->tasks != NULL) {
        struct loop_task *task = loop->tasks;

        loop_unpost(loop, task);
        task->fn(task->arg);
        device_lock_release(loop->lock);
        device_lock_take(loop->lock);
    }
    device_lock_release(loop->lock);
}

/* --- the loop --- */

static void dispatch(struct event_loop *loop, const struct epoll_event *event)
{
    int slot = (int)(uint32_t)event->data.u64;
    uint32_t generation = (uint32_t)(event->data.u64 >> 32);
    const struct loop_watch *watch;

    if (slot == SLOT_WAKE)
        return; /* the tasks come next */
    device_lock_take(loop->lock);
    loop->sleeping = false;
    if (slot == SLOT_TIMER) {
        run_timers(loop);
    } else {
        watch = &loop->watches[slot];
        if (watch->fd >= 0 && watch->generation == generation)
            watch->fn(watch->arg, event->events);
    }
    device_lock_release(loop->lock);
}

static bool stopping(const struct event_loop *loop)
{
    return __atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE);
}

int loop_turn(struct event_loop *loop, int timeout_ms, struct err *err)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count;

    device_lock_take(loop->lock);
    if (loop->tasks != NULL)
        timeout_ms = 0;
    loop->sleeping = timeout_ms != 0;
    device_lock_release(loop->lock);

    count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);
    if (count < 0 && errno != EINTR)
        return err_sys(err, "epoll_wait");

    for (int i = 0; i < count && !stopping(loop); i++)
        dispatch(loop, &events[i]);
    if (!stopping(loop))
        run_tasks(loop);
    return 0;
}

int loop_run(struct event_loop *loop, struct err *err)
{
    while (!stopping(loop))
        if (loop_turn(loop, -1, err) != 0)
            return -1;
    return 0;
}

void loop_stop(struct event_loop *loop)
{
    __atomic_store_n(&loop->stop, true, __ATOMIC_RELEASE);
    wake(loop);
}
