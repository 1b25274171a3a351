/* epoll in all its modes, each answer a line: compared with the host's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static int control(int set, int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    return epoll_ctl(set, op, fd, &event);
}

static int by_data(const void *a, const void *b)
{
    uint64_t x = ((const struct epoll_event *)a)->data.u64;
    uint64_t y = ((const struct epoll_event *)b)->data.u64;

    return (x > y) - (x < y);
}

static void await(const char *what, int set, int timeout)
{
    struct epoll_event got[8];
    int n = epoll_wait(set, got, 8, timeout);

    say(what, n);
    if (n > 0)
        qsort(got, (size_t)n, sizeof(got[0]), by_data);
    for (int i = 0; i < n; i++)
        printf("    %d: %x\n", (int)got[i].data.u64, got[i].events);
}

static void level(void)
{
    int set = epoll_create1(EPOLL_CLOEXEC), ends[2];
    char buf[8];

    pipe(ends);
    say("add", control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    say("add the other", control(set, EPOLL_CTL_ADD, ends[1], EPOLLOUT, 2));
    await("writable", set, 0);
    write(ends[1], "abcd", 4);
    await("both", set, -1);
    read(ends[0], buf, 2);
    await("still both", set, 0);
    read(ends[0], buf, 2);
    await("drained", set, 0);
    say("change", control(set, EPOLL_CTL_MOD, ends[1], 0, 2));
    await("nothing wanted", set, 10);
    close(ends[1]);
    await("hung up", set, 0);
    say("remove", epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
    await("empty", set, 0);
    close(set);
}

static void edges(void)
{
    int set = epoll_create1(0), ends[2], counter = eventfd(0, EFD_NONBLOCK);
    uint64_t one = 1;
    char buf[8];

    pipe2(ends, O_NONBLOCK);
    write(ends[1], "abcd", 4);
    control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 1);
    await("data before", set, 0);
    await("no edge", set, 0);
    read(ends[0], buf, 2);
    await("partly read: no edge", set, 0);
    write(ends[1], "ef", 2);
    await("more data: an edge", set, 0);
    read(ends[0], buf, 8);
    write(ends[1], "gh", 2);
    await("drained and filled: an edge", set, 0);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 1);
    await("changed: an edge", set, 0);
    control(set, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLET, 2);
    write(counter, &one, 8);
    await("counted", set, 0);
    write(counter, &one, 8);
    await("counted again", set, 0);
    await("no edge", set, 0);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 1);
    await("once", set, 0);
    await("not twice", set, 0);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 1);
    await("armed again", set, 0);
    close(set);
}

static void mistakes(void)
{
    int set = epoll_create1(0), other = epoll_create(1), ends[2], file = open("/", O_RDONLY);
    struct epoll_event got[2], *volatile nowhere = (struct epoll_event *)8;

    pipe(ends);
    puts(epoll_create(0) < 0 ? "create 0: refused" : "create 0: made"); /* musl makes it */
    say("create flags", epoll_create1(1));
    say("directory", control(set, EPOLL_CTL_ADD, file, EPOLLIN, 1));
    say("itself", control(set, EPOLL_CTL_ADD, set, EPOLLIN, 1));
    say("no set", control(ends[0], EPOLL_CTL_ADD, ends[1], EPOLLIN, 1));
    say("closed", control(set, EPOLL_CTL_ADD, 999, EPOLLIN, 1));
    say("absent", control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN, 1));
    say("absent", epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
    say("operation", control(set, 9, ends[0], EPOLLIN, 1));
    say("no event", epoll_ctl(set, EPOLL_CTL_ADD, ends[0], NULL));
    say("add", control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    say("again", control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    say("nested", control(set, EPOLL_CTL_ADD, other, EPOLLIN, 2));
    say("in a circle", control(other, EPOLL_CTL_ADD, set, EPOLLIN, 2));
    say("wait for none", epoll_wait(set, got, 0, 0));
    say("wait on a pipe", epoll_wait(ends[0], got, 1, 0));
    say("wait on nothing", epoll_wait(999, got, 1, 0));
    write(ends[1], "x", 1);
    say("bad address", epoll_wait(set, nowhere, 1, 0));
    control(other, EPOLL_CTL_ADD, ends[1], EPOLLOUT, 3);
    await("nested set is ready", set, 0);
    close(set);
    close(other);
}

static void closing(void)
{
    int set = epoll_create1(0), ends[2], copy;
    struct epoll_event got;
    unsigned seen = 0;

    pipe(ends);
    write(ends[1], "x", 1);
    copy = dup(ends[0]);
    control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1);
    say("the copy is another", control(set, EPOLL_CTL_ADD, copy, EPOLLIN, 2));
    close(ends[0]);
    await("file lives on", set, 0);
    close(copy);
    await("file is gone", set, 0);
    for (unsigned i = 0; i < 3; i++) {
        int counter = eventfd(1, 0);

        control(set, EPOLL_CTL_ADD, counter, EPOLLIN, i);
    }
    for (int i = 0; i < 3; i++) {
        if (epoll_wait(set, &got, 1, 0) == 1)
            seen |= 1u << got.data.u32;
    }
    printf("each has its turn: %x\n", seen);
    close(set);
}

static void *ring(void *arg)
{
    uint64_t one = 1;

    usleep(20000);
    write(*(const int *)arg, &one, 8);
    return NULL;
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void waiting(void)
{
    int set = epoll_create1(0), counter = eventfd(0, 0);
    struct epoll_event got;
    struct timespec before, after;
    sigset_t all, none;
    pthread_t thread;

    control(set, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLET, 7);
    pthread_create(&thread, NULL, ring, &counter);
    await("woken by a thread", set, 5000);
    pthread_join(thread, NULL);
    clock_gettime(CLOCK_MONOTONIC, &before);
    await("time-out", set, 30);
    clock_gettime(CLOCK_MONOTONIC, &after);
    puts((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 29
             ? "in time"
             : "too early");
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART}, NULL);
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &all, NULL);
    ualarm(20000, 0);
    usleep(40000);
    say("blocked signal", epoll_pwait(set, &got, 1, 10, &all));
    say("let in", epoll_pwait(set, &got, 1, 5000, &none));
}

int main(void)
{
    level();
    edges();
    mistakes();
    closing();
    waiting();
    return 0;
}
