#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { PIPE_BYTES = 1 << 20 };

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void close_all(struct child *child)
{
    if (child->in >= 0)
        close(child->in);
    if (child->out >= 0)
        close(child->out);
    if (child->err >= 0)
        close(child->err);
    child->in = child->out = child->err = -1;
}

bool child_start(struct child *child, char *const argv[], bool with_stdin)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int error = -1;

    *child = (struct child){.in = -1, .out = -1, .err = -1};
    if (with_stdin && pipe2(in, O_CLOEXEC) != 0)
        return false;
    in[0] = with_stdin ? in[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    child->in = in[1];
    child->err = memfd_create("stderr", MFD_CLOEXEC);
    if (in[0] >= 0 && child->err >= 0 && pipe2(out, O_CLOEXEC) == 0) {
        child->out = out[0];
        if (with_stdin)
            fcntl(in[1], F_SETPIPE_SZ, PIPE_BYTES);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, child->err, STDERR_FILENO);
        /* We ignore SIGPIPE; a child must not inherit that. */
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        child->started = now_ns();
        error = posix_spawn(&child->pid, argv[0], &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        close(out[1]);
    }
    if (in[0] >= 0)
        close(in[0]);
    if (error == 0)
        return true;
    fprintf(stderr, "bench: start %s: %s\n", argv[0], strerror(error > 0 ? error : errno));
    close_all(child);
    return false;
}

/* One read with a time limit; nothing more is 0. */
static size_t read_some(int fd, char *to, size_t size, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t got;

    if (poll(&ready, 1, timeout_ms) <= 0)
        return 0;
    got = read(fd, to, size);
    return got > 0 ? (size_t)got : 0;
}

uint64_t child_read_first(struct child *child, char *text, size_t capacity, int timeout_ms)
{
    size_t got = read_some(child->out, text, capacity - 1, timeout_ms);
    uint64_t first = now_ns();

    text[got] = '\0';
    return got > 0 ? first : 0;
}

uint64_t child_read(struct child *child, char *text, size_t capacity, int timeout_ms)
{
    uint64_t first = child_read_first(child, text, capacity, timeout_ms);
    size_t kept = strlen(text);
    char rest[4096];
    size_t got;

    if (first == 0)
        return 0;
    while ((got = read_some(child->out, rest, sizeof(rest), timeout_ms)) > 0) {
        size_t take = got < capacity - 1 - kept ? got : capacity - 1 - kept;

        memcpy(text + kept, rest, take);
        kept += take;
        text[kept] = '\0';
    }
    return first;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int child_reap(struct child *child, uint64_t *ended)
{
    struct rusage use = {0};
    int status = -1;

    while (wait4(child->pid, &status, 0, &use) < 0 && errno == EINTR)
        ;
    *ended = now_ns();
    child->cpu_s = seconds(use.ru_utime) + seconds(use.ru_stime);
    close_all(child);
    return status;
}

void child_kill(struct child *child)
{
    uint64_t ended;

    kill(child->pid, SIGKILL);
    child_reap(child, &ended);
}

void child_show_stderr(const struct child *child, const char *prefix)
{
    char text[2048];
    ssize_t got = pread(child->err, text, sizeof(text) - 1, 0);
    char *rest = text;
    char *line;

    text[got > 0 ? got : 0] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line)
            fprintf(stderr, "%s%s\n", prefix, line);
}
