/*
 * Starts one timer of each kind, says "up", and as each goes off says so; then waits for a line.
 * What it says is only the names, since how late a machine is proves nothing: but no timer may be
 * early by the clock that it counts by. With an argument that many milliseconds have to be on every
 * clock by then.
 */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TIMER_MS = 400 };

static long long least = TIMER_MS - 1;

static volatile sig_atomic_t alarms;
static long long started;

static void on_alarm(int sig)
{
    (void)sig;
    alarms++;
}

static long long now_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void say(const char *what, long long since, clockid_t id)
{
    printf("%s%s\n", what, now_ms(id) - since < least ? " too early" : "");
    fflush(stdout);
}

static int timer(clockid_t id, int flags, const struct itimerspec *at)
{
    int fd = timerfd_create(id, TFD_NONBLOCK);

    if (fd < 0 || timerfd_settime(fd, flags, at, NULL) != 0)
        exit(1);
    return fd;
}

static void expect(int fd, const char *what, long long since, clockid_t id)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t times;

    while (poll(&p, 1, -1) != 1)
        ;
    if (read(fd, &times, sizeof(times)) != sizeof(times) || times < 1)
        exit(1);
    say(what, since, id);
}

int main(int argc, char *argv[])
{
    const struct timespec span = {.tv_nsec = TIMER_MS * 1000000};
    struct itimerspec once = {.it_value = span}, due = {.it_value = {.tv_nsec = 0}};
    struct itimerval real = {.it_value = {.tv_usec = TIMER_MS * 1000}};
    struct timespec rest = span;
    long long real_started;
    int relative, absolute;
    char byte;

    if (argc > 1)
        least = atoll(argv[1]);
    signal(SIGALRM, on_alarm);
    puts("up");
    fflush(stdout);
    started = now_ms(CLOCK_MONOTONIC);
    real_started = now_ms(CLOCK_REALTIME);
    relative = timer(CLOCK_MONOTONIC, 0, &once);
    due.it_value.tv_sec = (real_started + TIMER_MS) / 1000 + 1;
    absolute = timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME, &due);
    setitimer(ITIMER_REAL, &real, NULL);
    while (nanosleep(&rest, &rest) != 0)
        ;
    say("nanosleep", started, CLOCK_MONOTONIC);
    while (!alarms)
        pause();
    say("itimer", started, CLOCK_MONOTONIC);
    expect(relative, "timerfd", started, CLOCK_MONOTONIC);
    expect(absolute, "realtime", real_started, CLOCK_REALTIME);
    if (read(0, &byte, 1) < 0)
        return 1;
    return 0;
}
