/* The device lock: who waits has it in the end. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>
#include "monitor/device_lock.h"

static struct device_lock lock;
static struct device_event event;
static unsigned had, seen;

static void *have_it(void *arg)
{
    (void)arg;
    device_lock_take(&lock);
    had++;
    device_lock_release(&lock);
    return NULL;
}

/* With a mutex whoever releases it and takes it again at once has it again, nearly always. */
Test(device_lock, who_waits_is_not_overtaken_for_ever)
{
    pthread_t other;

    for (unsigned i = 0; i < 20; i++) {
        unsigned overtaken = 0;

        device_lock_take(&lock);
        cr_assert_eq(pthread_create(&other, NULL, have_it, NULL), 0);
        while (had == i) {
            usleep(1000);
            device_lock_release(&lock);
            device_lock_take(&lock);
            cr_assert_lt(overtaken++, 1000);
        }
        device_lock_release(&lock);
        pthread_join(other, NULL);
    }
    cr_assert_not(device_lock_is_taken(&lock));
}

static void *count(void *arg)
{
    unsigned *sum = arg;

    for (unsigned i = 0; i < 100000; i++) {
        device_lock_take(&lock);
        had++;
        ++*sum;
        device_lock_release(&lock);
    }
    return NULL;
}

Test(device_lock, one_at_a_time)
{
    unsigned sums[4] = {0};
    pthread_t threads[4];

    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count, &sums[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(had, 400000);
    cr_assert_eq(atomic_load(&lock.hungry), 0);
}

static void *count_what_happens(void *arg)
{
    (void)arg;
    device_lock_take(&lock);
    while (had < 100) {
        device_lock_wait(&lock, &event);
        seen++;
    }
    device_lock_release(&lock);
    return NULL;
}

Test(device_lock, what_happens_is_not_missed)
{
    pthread_t other;

    cr_assert_eq(pthread_create(&other, NULL, count_what_happens, NULL), 0);
    for (unsigned i = 0; i < 100; i++) {
        device_lock_take(&lock);
        had++;
        device_event_happened(&event);
        device_lock_release(&lock);
    }
    pthread_join(other, NULL);
    cr_assert_leq(seen, 101);
}
