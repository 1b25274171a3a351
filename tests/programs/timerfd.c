/* timerfd, each answer a line: compared with the host's. Times are told only roughly. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static int set(int fd, int flags, long value_ms, long interval_ms)
{
    const struct itimerspec spec = {
        .it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000},
        .it_value = {value_ms / 1000, value_ms % 1000 * 1000000},
    };

    return timerfd_settime(fd, flags, &spec, NULL);
}

int main(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), set_fd = epoll_create1(0);
    int quick = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct itimerspec left, bad = {.it_value = {0, 1000000000}};
    struct timespec now;
    uint64_t count = 0;

    say("poll before", poll(&p, 1, 0));
    say("set", set(fd, 0, 20, 0));
    say("poll", poll(&p, 1, 5000));
    say("read", read(fd, &count, 8));
    say("count", (long)count);
    say("poll again", poll(&p, 1, 0));
    say("periodic", set(fd, 0, 10, 10));
    usleep(55000);
    say("read", read(fd, &count, 8));
    puts(count >= 4 && count < 50 ? "some periods" : "a wrong count");
    say("wait for the next", read(fd, &count, 8));
    say("small buffer", read(fd, &count, 4));
    say("off", set(fd, 0, 0, 0));
    say("get", timerfd_gettime(fd, &left));
    say("left", left.it_value.tv_sec + left.it_value.tv_nsec);
    set(fd, 0, 100000, 7000);
    timerfd_gettime(fd, &left);
    puts(left.it_value.tv_sec == 99 && left.it_interval.tv_sec == 7 ? "99 s, every 7" : "wrong");
    say("nothing yet", read(quick, &count, 8));
    clock_gettime(CLOCK_REALTIME, &now);
    say("in the past", set(quick, TFD_TIMER_ABSTIME, now.tv_sec * 1000 - 5000, 0));
    say("in a set", epoll_ctl(set_fd, EPOLL_CTL_ADD, quick, &event));
    say("ready", epoll_wait(set_fd, &got, 1, 5000));
    say("read", read(quick, &count, 8));
    set(quick, 0, 10, 0);
    say("an edge", epoll_wait(set_fd, &got, 1, 5000));
    say("bad clock", timerfd_create(77, 0));
    say("bad flags", timerfd_create(CLOCK_MONOTONIC, 1));
    say("bad time", timerfd_settime(fd, 0, &bad, NULL));
    say("not a timer", set(set_fd, 0, 1, 0));
    say("write", write(fd, &count, 8));
    return 0;
}
