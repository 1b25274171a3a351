/*
 * The loop thread: file descriptors, timers and deferred work, one callback at a time, each with
 * the device lock held.
 *
 *     epoll ──> watch (slot, generation) ──┐
 *     timerfd ──> timers in order ─────────┼──> callback under the device lock
 *     eventfd ──> wake, stop; tasks ───────┘
 *
 * Every function but loop_run, loop_turn and loop_stop wants the device lock held, by whichever
 * thread, once loop_run is under way; so a register write in the vCPU thread may watch and unwatch.
 * An event that epoll had already reported for a watch since deleted is recognised by its
 * generation and dropped.
 */
#ifndef SAMARA_MONITOR_EVENT_LOOP_H
#define SAMARA_MONITOR_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/device_lock.h"
#include "monitor/err.h"

#define LOOP_WATCHES 8192

typedef void (*loop_watch_fn)(void *arg, uint32_t events);
typedef void (*loop_fn)(void *arg);

struct loop_watch; /* a slot of the watch table */

/* A timer and a task live in their owner's struct, zeroed but for fn and arg. */
struct loop_timer {
    loop_fn fn;
    void *arg;
    uint64_t at_ns; /* CLOCK_MONOTONIC */
    bool armed;
    struct loop_timer *next;
};

struct loop_task {
    loop_fn fn;
    void *arg;
    bool posted;
    struct loop_task *next;
};

struct event_loop {
    struct device_lock *lock;
    int epoll_fd, wake_fd, timer_fd;
    bool stop;
    bool sleeping;              /* in epoll_wait without a task to run: a new task must wake it */
    struct loop_watch *watches; /* LOOP_WATCHES slots, touched as they are first used */
    int used, free;             /* slots ever used; head of the list of free ones, or -1 */
    struct loop_timer *timers;  /* in order of time */
    struct loop_task *tasks, **tasks_end;
};

/* A loop that loop_close accepts. */
#define LOOP_CLOSED                                                                                \
    {                                                                                              \
        .epoll_fd = -1, .wake_fd = -1, .timer_fd = -1                                              \
    }

/* All that a loop ever allocates or opens. -1 with err. */
int loop_init(struct event_loop *loop, struct device_lock *lock, struct err *err);

/* Closes what loop_init opened; watched descriptors stay their owners'. */
void loop_close(struct event_loop *loop);

/* Watches fd (events as in epoll_ctl, EPOLLET and EPOLLONESHOT included). Returns the watch, which
 * is
 * >= 0, or -1 with errno: EPERM for a file that is always ready, ENOSPC when the table is full. */
int loop_add(struct event_loop *loop, int fd, uint32_t events, loop_watch_fn fn, void *arg);

/* Changes what is watched for, which also reports anew what is ready. -1 with errno. */
int loop_mod(struct event_loop *loop, int watch, uint32_t events);

/* Ends a watch, before its fd is closed. -1 is allowed and does nothing. */
void loop_del(struct event_loop *loop, int watch);

/* Arms (or moves) a timer; fn runs once at or after at_ns. Cancelling one not armed does nothing.
 */
void loop_timer_set(struct event_loop *loop, struct loop_timer *timer, uint64_t at_ns);
void loop_timer_cancel(struct event_loop *loop, struct loop_timer *timer);
uint64_t loop_now_ns(void);

/* Runs a task once in the loop's next turn, after other descriptors had theirs: for work that has
 * to be done in bounded pieces. Posting one already posted does nothing. */
void loop_post(struct event_loop *loop, struct loop_task *task);
void loop_unpost(struct event_loop *loop, struct loop_task *task);

/* Runs until loop_stop. 0, or -1 with err if epoll fails. */
int loop_run(struct event_loop *loop, struct err *err);

/* One turn: waits at most timeout_ms (-1: no end) and runs what is due. For tests and draining. */
int loop_turn(struct event_loop *loop, int timeout_ms, struct err *err);

/* Makes loop_run return after the callback under way. From any thread or signal handler. */
void loop_stop(struct event_loop *loop);

#endif
