/* The event loop: stale events, order, bounded turns, and calls from another thread. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <pthread.h>
#include <unistd.h>

#include "monitor/event_loop.h"

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct event_loop loop;
static int pipes[2][2];
static int watch[2];
static unsigned calls[2];
static bool locked;

static void setup(void)
{
    cr_assert_eq(loop_init(&loop, &lock, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(pipe2(pipes[i], O_NONBLOCK), 0);
}

static void teardown(void)
{
    loop_close(&loop);
    loop_close(&loop); /* closing twice is harmless */
}

TestSuite(event_loop, .init = setup, .fini = teardown, .timeout = 20);

static void poke(unsigned i)
{
    cr_assert_eq(write(pipes[i][1], "x", 1), 1);
}

static void count(void *arg, uint32_t events)
{
    char byte;

    (void)events;
    locked = device_lock_is_taken(&lock);
    calls[(uintptr_t)arg]++;
    cr_assert_eq(read(pipes[(uintptr_t)arg][0], &byte, 1), 1);
}

static void delete_other(void *arg, uint32_t events)
{
    uintptr_t me = (uintptr_t)arg;

    (void)events;
    calls[me]++;
    loop_del(&loop, watch[!me]);
    loop_del(&loop, watch[me]);
}

static void *number(unsigned i)
{
    return (void *)(uintptr_t)i;
}

Test(event_loop, a_ready_descriptor_calls_back_under_the_lock)
{
    watch[0] = loop_add(&loop, pipes[0][0], EPOLLIN, count, number(0));
    cr_assert_geq(watch[0], 0);
    cr_assert_eq(loop_turn(&loop, 0, NULL), 0);
    cr_assert_eq(calls[0], 0);
    poke(0);
    cr_assert_eq(loop_turn(&loop, 1000, NULL), 0);
    cr_assert_eq(calls[0], 1);
    cr_assert(locked);
    cr_assert_not(device_lock_is_taken(&lock), "released after it");
}

Test(event_loop, an_event_of_a_deleted_watch_is_dropped)
{
    for (unsigned i = 0; i < 2; i++) {
        watch[i] = loop_add(&loop, pipes[i][0], EPOLLIN, delete_other, number(i));
        poke(i);
    }
    loop_turn(&loop, 0, NULL); /* epoll reports both; whoever is first deletes both */
    loop_turn(&loop, 0, NULL);
    cr_assert_eq(calls[0] + calls[1], 1);
}

static void replace_other(void *arg, uint32_t events)
{
    uintptr_t me = (uintptr_t)arg;

    delete_other(arg, events);
    watch[me] = loop_add(&loop, pipes[me][0], EPOLLIN, count, arg);
    watch[!me] = loop_add(&loop, pipes[!me][0], EPOLLIN, count, number(!me));
}

Test(event_loop, a_stale_event_does_not_reach_the_slots_new_owner)
{
    for (unsigned i = 0; i < 2; i++) {
        watch[i] = loop_add(&loop, pipes[i][0], EPOLLIN, replace_other, number(i));
        poke(i);
    }
    loop_turn(&loop, 0, NULL);
    cr_assert_eq(calls[0] + calls[1], 1, "not with the event of the first batch");
    loop_turn(&loop, 0, NULL);
    cr_assert_eq(calls[0] + calls[1], 3);
}

Test(event_loop, regular_files_are_refused_with_eperm)
{
    int fd = open("/proc/self/exe", O_RDONLY);

    cr_assert_eq(loop_add(&loop, fd, EPOLLIN, count, NULL), -1);
    cr_assert_eq(errno, EPERM);
    loop_del(&loop, -1);
    cr_assert_geq(loop_add(&loop, pipes[0][0], EPOLLIN, count, NULL), 0, "no slot was lost");
    cr_assert_eq(loop.used, 1);
}

Test(event_loop, modifying_reports_anew)
{
    watch[0] = loop_add(&loop, pipes[0][0], EPOLLIN | EPOLLET, count, number(0));
    poke(0);
    poke(0);
    loop_turn(&loop, 0, NULL);
    loop_turn(&loop, 0, NULL);
    cr_assert_eq(calls[0], 1, "one edge");
    cr_assert_eq(loop_mod(&loop, watch[0], EPOLLIN | EPOLLET), 0);
    loop_turn(&loop, 0, NULL);
    cr_assert_eq(calls[0], 2);
}

/* --- timers --- */

static char order[16];
static unsigned ordered;
static struct loop_timer timers[3];

static void note(void *arg)
{
    order[ordered++] = (char)('0' + (uintptr_t)arg);
}

static void set_in_ms(unsigned i, unsigned ms)
{
    timers[i].fn = note;
    timers[i].arg = number(i);
    loop_timer_set(&loop, &timers[i], loop_now_ns() + ms * 1000000u);
}

static void turn_for_ms(unsigned ms)
{
    uint64_t end = loop_now_ns() + ms * 1000000u;

    while (loop_now_ns() < end)
        cr_assert_eq(loop_turn(&loop, 5, NULL), 0);
}

Test(event_loop, timers_run_in_order_of_time)
{
    set_in_ms(0, 30);
    set_in_ms(1, 10);
    set_in_ms(2, 20);
    turn_for_ms(60);
    cr_assert_str_eq(order, "120");
    cr_assert(!timers[0].armed);
}

Test(event_loop, timers_move_and_are_cancelled)
{
    set_in_ms(0, 5);
    set_in_ms(1, 10);
    set_in_ms(0, 20);
    set_in_ms(2, 15);
    loop_timer_cancel(&loop, &timers[2]);
    loop_timer_cancel(&loop, &timers[2]);
    turn_for_ms(50);
    cr_assert_str_eq(order, "10");
}

static void again(void *arg)
{
    calls[0]++;
    loop_timer_set(&loop, arg, 1); /* long past */
}

Test(event_loop, a_timer_that_sets_itself_to_the_past_does_not_take_over)
{
    timers[0].fn = again;
    timers[0].arg = &timers[0];
    loop_timer_set(&loop, &timers[0], 1);
    loop_turn(&loop, 1000, NULL);
    cr_assert_eq(calls[0], 1);
    loop_turn(&loop, 1000, NULL);
    cr_assert_eq(calls[0], 2);
}

/* --- tasks --- */

static struct loop_task tasks[3];

static void post_again(void *arg)
{
    note(arg);
    loop_post(&loop, &tasks[(uintptr_t)arg]);
}

Test(event_loop, a_task_that_posts_itself_leaves_room_for_others)
{
    tasks[0] = (struct loop_task){.fn = post_again, .arg = number(0)};
    tasks[1] = (struct loop_task){.fn = note, .arg = number(1)};
    loop_post(&loop, &tasks[0]);
    loop_post(&loop, &tasks[0]);
    loop_post(&loop, &tasks[1]);
    loop_turn(&loop, -1, NULL);
    cr_assert_str_eq(order, "01");
    watch[0] = loop_add(&loop, pipes[0][0], EPOLLIN, count, number(0));
    poke(0);
    loop_turn(&loop, -1, NULL);
    cr_assert_str_eq(order, "010");
    cr_assert_eq(calls[0], 1);
}

Test(event_loop, an_unposted_task_does_not_run)
{
    for (unsigned i = 0; i < 3; i++) {
        tasks[i] = (struct loop_task){.fn = note, .arg = number(i)};
        loop_post(&loop, &tasks[i]);
    }
    loop_unpost(&loop, &tasks[2]);
    loop_unpost(&loop, &tasks[0]);
    loop_unpost(&loop, &tasks[0]);
    loop_post(&loop, &tasks[2]);
    loop_turn(&loop, 0, NULL);
    cr_assert_str_eq(order, "12");
}

/* --- another thread --- */

static void *run(void *arg)
{
    (void)arg;
    cr_assert_eq(loop_run(&loop, NULL), 0);
    return NULL;
}

static void stop(void *arg)
{
    note(arg);
    loop_stop(&loop);
}

Test(event_loop, a_task_from_another_thread_wakes_the_loop)
{
    pthread_t thread;

    tasks[0] = (struct loop_task){.fn = stop, .arg = number(7)};
    cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
    usleep(20000);
    device_lock_take(&lock);
    loop_post(&loop, &tasks[0]);
    device_lock_release(&lock);
    pthread_join(thread, NULL);
    cr_assert_str_eq(order, "7");
}

Test(event_loop, a_timer_from_another_thread_wakes_the_loop)
{
    pthread_t thread;

    timers[0] = (struct loop_timer){.fn = stop, .arg = number(5)};
    cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
    usleep(20000);
    device_lock_take(&lock);
    loop_timer_set(&loop, &timers[0], loop_now_ns() + 1000000);
    device_lock_release(&lock);
    pthread_join(thread, NULL);
    cr_assert_str_eq(order, "5");
}

Test(event_loop, stopping_from_anywhere_ends_the_loop)
{
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
    usleep(20000);
    loop_stop(&loop);
    pthread_join(thread, NULL);
}
