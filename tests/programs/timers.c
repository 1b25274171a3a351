/* Timers, however short their period, leave the program time to run and count what went by. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    storms_end();
    overruns_are_counted();
    return 0;
}
