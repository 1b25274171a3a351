/*
 * Both ends of a connection that is measured: see net.h.
 *
 *     net serve PLACE...                         says hello, then does what others ask
 *     net rtt PLACE COUNT                        us that a byte takes there and back
 *     net send|receive PLACE MIB                 GiB/s
 *     net MODE guest:PATH:PORT COUNT COMMAND...  the same of a machine that COMMAND starts
 *
 * Prints "hello" when it is connected, then one number. Nothing is left of what was sent when the
 * time is taken.
 */
#include "net.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { WARM_UP = 200 };

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void give_order(int fd, char what, uint64_t bytes)
{
    const struct order order = {.bytes = bytes, .what = what};

    write_all(fd, &order, sizeof(order));
}

static void hello(void)
{
    puts("hello");
    fflush(stdout);
}

static void there_and_back(int fd, uint64_t times)
{
    char byte = 'r';

    while (times-- > 0) {
        write_all(fd, &byte, 1);
        check(read(fd, &byte, 1) == 1, "read");
    }
}

static double rtt(int fd, bool datagrams, uint64_t count)
{
    double start;

    if (!datagrams)
        give_order(fd, ORDER_ECHO, 0);
    there_and_back(fd, WARM_UP);
    hello();
    start = now_us();
    there_and_back(fd, count);
    return (now_us() - start) / (double)count;
}

static double rate(uint64_t mib, double start)
{
    return (double)mib / 1024 / ((now_us() - start) / 1e6);
}

static double send_all(int fd, uint64_t mib)
{
    double start;
    char byte;

    hello();
    start = now_us();
    give_order(fd, ORDER_TAKE, mib << 20);
    write_bytes(fd, mib << 20);
    check(read(fd, &byte, 1) == 1, "read");
    return rate(mib, start);
}

static double receive_all(int fd, uint64_t mib)
{
    double start;

    hello();
    start = now_us();
    give_order(fd, ORDER_GIVE, mib << 20);
    read_bytes(fd, mib << 20);
    return rate(mib, start);
}

static double measure(const char *mode, const char *place, uint64_t count)
{
    int fd = place_connect(place);
    double result = 0;

    if (strcmp(mode, "rtt") == 0)
        result = rtt(fd, place_is_datagram(place), count);
    else if (strcmp(mode, "send") == 0)
        result = send_all(fd, count);
    else if (strcmp(mode, "receive") == 0)
        result = receive_all(fd, count);
    else
        check(false, mode);
    close(fd);
    return result;
}

/* Its output is nobody's business; what it complains about goes where ours does. */
static pid_t start(char **argv)
{
    posix_spawn_file_actions_t files;
    pid_t pid;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    check(posix_spawn(&pid, argv[0], &files, NULL, argv, environ) == 0, argv[0]);
    posix_spawn_file_actions_destroy(&files);
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    pid_t machine = 0;
    double result;

    signal(SIGPIPE, SIG_IGN);
    if (argc >= 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv + 2, argc - 2);
    if (argc < 4)
        return 2;
    if (argc > 4)
        machine = start(argv + 4);
    result = measure(argv[1], argv[2], strtoull(argv[3], NULL, 10));
    if (machine > 0)
        stop(machine);
    printf("%.3f\n", result);
    return 0;
}
