/* Mutexes that inherit priority, robust ones, and one word mapped twice. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock;
static volatile int inside;

static long futex(void *word, int op, unsigned value, const void *timeout)
{
    return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static void on_signal(int signal)
{
    (void)signal;
}

static void handle(int signal, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

    sigaction(signal, &action, NULL);
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000};

    nanosleep(&t, NULL);
}

static int make_pi(int robust)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    if (robust)
        pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    return pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) != 0 ||
           pthread_mutex_init(&lock, &attr) != 0;
}

static void *lock_and_unlock(void *argument)
{
    int result = pthread_mutex_lock(&lock);

    printf("locked %d, alone %d\n", result, !inside);
    if (result == EOWNERDEAD)
        printf("consistent %d\n", pthread_mutex_consistent(&lock));
    printf("unlocked %d\n", pthread_mutex_unlock(&lock));
    return argument;
}

/* The waiter must not take the handler's run for the mutex. */
static void a_signal_does_not_give_a_mutex_away(void)
{
    pthread_t thread;

    if (make_pi(0))
        return;
    handle(SIGUSR1, 0);
    pthread_mutex_lock(&lock);
    inside = 1;
    pthread_create(&thread, NULL, lock_and_unlock, NULL);
    pause_ms(30);
    pthread_kill(thread, SIGUSR1);
    pause_ms(30);
    inside = 0;
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

static void *die_with_it(void *argument)
{
    pthread_mutex_lock(&lock);
    pause_ms(40);
    return argument;
}

static void the_waiter_inherits_from_the_dead(void)
{
    pthread_t holder, waiter;

    if (make_pi(1))
        return;
    pthread_create(&holder, NULL, die_with_it, NULL);
    pause_ms(10);
    pthread_create(&waiter, NULL, lock_and_unlock, NULL);
    pthread_join(holder, NULL);
    pthread_join(waiter, NULL);
}

static int *first, *second;

static void *wait_at_first(void *argument)
{
    const struct timespec t = {.tv_sec = 5};

    return futex(first, FUTEX_WAIT, 0, &t) == 0 ? argument : NULL;
}

static void a_word_mapped_twice_is_one(void)
{
    int fd = memfd_create("word", 0);
    pthread_t thread;
    void *woken;

    if (ftruncate(fd, 4096) != 0)
        return;
    first = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_create(&thread, NULL, wait_at_first, first);
    pause_ms(30);
    printf("woke %ld\n", futex(second, FUTEX_WAKE, 1, NULL));
    pthread_join(thread, &woken);
    printf("woken %d\n", woken == first);
}

static void bad_words_are_refused(void)
{
    static unsigned word = 12345678;
    const struct timespec t = {.tv_sec = 1};

    printf("wake nowhere %d\n", futex((void *)8, FUTEX_WAKE, 1, NULL) == -1 && errno == EFAULT);
    printf("lock of nobody %d\n", futex(&word, FUTEX_LOCK_PI, 0, &t) == -1 && errno == ESRCH);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    a_signal_does_not_give_a_mutex_away();
    the_waiter_inherits_from_the_dead();
    a_word_mapped_twice_is_one();
    bad_words_are_refused();
    return 0;
}
