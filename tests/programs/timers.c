/* Timers, however short their period, leave the program time to run and count what went by. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t hits, overruns;

static void note(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    hits++;
    overruns += info->si_overrun;
}

static void block(int how, int signal)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(how, &set, NULL);
}

static timer_t posix_timer(int signal, long ns)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal};
    struct itimerspec every = {{0, ns}, {0, ns}};
    timer_t id;

    if (timer_create(CLOCK_MONOTONIC, &event, &id) != 0 || timer_settime(id, 0, &every, NULL) != 0)
        puts("no timer");
    return id;
}

static void work(void)
{
    for (volatile int i = 0; i < 20000000; i++)
        ;
}

static void storm(const char *name)
{
    struct itimerval every = {{0, 1}, {0, 1}}, off = {0};
    timer_t id = posix_timer(SIGALRM, 1);

    setitimer(ITIMER_REAL, &every, NULL);
    work();
    setitimer(ITIMER_REAL, &off, NULL);
    timer_delete(id);
    printf("storm, %s: over\n", name);
}

static void storms_end(void)
{
    signal(SIGALRM, SIG_IGN);
    storm("ignored");
    block(SIG_BLOCK, SIGALRM);
    storm("ignored and blocked");
    signal(SIGALRM, SIG_DFL);
    storm("blocked");
}

static void overruns_are_counted(void)
{
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    struct timespec t = {.tv_nsec = 105000000};
    timer_t id;

    sigaction(SIGRTMIN, &action, NULL);
    block(SIG_BLOCK, SIGRTMIN);
    hits = overruns = 0;
    id = posix_timer(SIGRTMIN, 10000000);
    nanosleep(&t, NULL);
    block(SIG_UNBLOCK, SIGRTMIN);
    printf("overruns %d\n", hits >= 1 && overruns >= 8);
    timer_delete(id);
}

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void tick(int signal)
{
    (void)signal;
}

/* Signals every 20 ms must not make a wait of 100 ms begin again and again. */
static void waits_end(const char *name, int flags)
{
    struct sigaction action = {.sa_handler = tick, .sa_flags = flags};
    struct itimerval every = {{0, 20000}, {0, 20000}}, off = {0};
    struct timespec t = {.tv_nsec = 100000000};
    long long start = now_ms();
    int word = 0, fds[2];
    struct pollfd p = {.events = POLLIN};
    long waited;

    if (pipe(fds) != 0)
        return;
    p.fd = fds[0];
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    waited = syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0) == -1 ? errno : 0;
    printf("%s: futex %ld", name, waited);
    waited = poll(&p, 1, 100) == -1 ? errno : 0;
    printf(", poll %ld", waited);
    waited = nanosleep(&t, &t) == -1 ? errno : 0;
    printf(", nanosleep %ld", waited);
    setitimer(ITIMER_REAL, &off, NULL);
    waited = now_ms() - start;
    printf(", in time %d\n", waited < 2000);
    close(fds[0]);
    close(fds[1]);
}

static long long ms_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void sleeping_uses_no_cpu_time(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec soon = {.it_value = {.tv_nsec = 50000000}};
    struct timespec t = {.tv_nsec = 200000000};
    long long before = ms_of(CLOCK_PROCESS_CPUTIME_ID);
    timer_t id;

    hits = 0;
    printf("timer of CPU time %d\n", timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &id));
    timer_settime(id, 0, &soon, NULL);
    nanosleep(&t, NULL);
    printf("asleep: cpu %d, hits %d\n", ms_of(CLOCK_PROCESS_CPUTIME_ID) - before < 50, hits);
    while (hits == 0)
        ;
    printf("awake: cpu %d\n", ms_of(CLOCK_PROCESS_CPUTIME_ID) - before >= 50);
    timer_delete(id);
}

static void *spin(void *argument)
{
    for (;;)
        ;
    return argument;
}

/* Waiting for the busy thread's slice to end, every sleep would take all of its ten milliseconds.
 * The shortest of many tells, on a slow machine too. */
static void sleepers_wake_beside_a_busy_thread(void)
{
    struct timespec t = {.tv_nsec = 1000000};
    long long shortest = 1000;
    pthread_t thread;

    pthread_create(&thread, NULL, spin, NULL);
    for (int i = 0; i < 100; i++) {
        long long start = now_ms();

        nanosleep(&t, NULL);
        if (now_ms() - start < shortest)
            shortest = now_ms() - start;
    }
    printf("woken soon %d\n", shortest < 8);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    storms_end();
    overruns_are_counted();
    waits_end("handler", 0);
    waits_end("restarting handler", SA_RESTART);
    sleeping_uses_no_cpu_time();
    sleepers_wake_beside_a_busy_thread();
    return 0;
}
