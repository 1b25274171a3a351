/* Eight threads: mutex, condition, barrier, thread-local storage, sleeping, signals, join, exit. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 2000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t hits;
static long counter;
static int turn;
static __thread int mine;
static __thread char block[3000]; /* thread-local storage over more than a page's end */
static pthread_key_t key;
static int destroyed;

static void on_signal(int signal)
{
    (void)signal;
    sem_post(&hits);
}

static void on_destroy(void *value)
{
    (void)value;
    pthread_mutex_lock(&lock);
    destroyed++;
    pthread_mutex_unlock(&lock);
}

static void count(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
    }
}

/* The threads go one after the other, in order. */
static void take_turn(int number)
{
    pthread_mutex_lock(&lock);
    while (turn != number)
        pthread_cond_wait(&changed, &lock);
    printf("turn of %d\n", number);
    turn++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void *work(void *argument)
{
    int number = (int)(long)argument;
    struct timespec t = {.tv_nsec = (THREADS - number) * 1000000};

    mine = number;
    block[2999] = (char)number;
    pthread_setspecific(key, argument);
    count();
    pthread_barrier_wait(&barrier);
    nanosleep(&t, NULL);
    take_turn(number);
    return (void *)(long)(mine * 100 + block[2999]);
}

static void many_threads(void)
{
    pthread_t threads[THREADS];
    void *results[THREADS];

    pthread_barrier_init(&barrier, NULL, THREADS);
    pthread_key_create(&key, on_destroy);
    for (long i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            puts("no thread");
            exit(1);
        }
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], &results[i]);
    for (int i = 0; i < THREADS; i++)
        printf("joined %d: %ld\n", i, (long)results[i]);
    printf("counter %ld, destroyed %d\n", counter, destroyed);
}

static void *wait_for_signals(void *argument)
{
    for (;;)
        pause();
    return argument;
}

/* Signals sent to one thread, then the thread is cancelled where it waits. */
static void signalled_thread(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t thread;
    void *result;

    sem_init(&hits, 0, 0);
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, wait_for_signals, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_kill(thread, SIGUSR1);
        while (sem_wait(&hits) != 0)
            ;
    }
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("signalled, cancelled %d\n", result == PTHREAD_CANCELED);
}

static void waiting_ends_in_time(void)
{
    struct timespec t;
    int rc;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 20000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    pthread_mutex_lock(&lock);
    do {
        rc = pthread_cond_timedwait(&changed, &lock, &t);
    } while (rc == 0);
    pthread_mutex_unlock(&lock);
    printf("timed wait %d\n", rc == ETIMEDOUT);
}

static volatile int spin = 1;

static void *spinner(void *argument)
{
    while (spin)
        ;
    return argument;
}

/* A thread that never gives the processor away must not keep the others from it. */
static void nobody_starves(void)
{
    struct timespec t = {.tv_nsec = 10000000};
    pthread_t thread;

    pthread_create(&thread, NULL, spinner, NULL);
    nanosleep(&t, NULL);
    spin = 0;
    pthread_join(thread, NULL);
    puts("nobody starves");
}

static void *short_life(void *argument)
{
    return argument;
}

static void threads_come_and_go(void)
{
    int made = 0;

    for (int i = 0; i < 500; i++) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, short_life, NULL) == 0 && pthread_join(thread, NULL) == 0)
            made++;
    }
    printf("came and went %d\n", made);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    many_threads();
    signalled_thread();
    waiting_ends_in_time();
    nobody_starves();
    threads_come_and_go();
    return 0;
}
