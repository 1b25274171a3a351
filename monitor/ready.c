/* See ready.h. */
#include "monitor/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/report.h"

static const char word[] = "ready\n";
enum { WORD = sizeof(word) - 1 };

int ready_dialled(struct ready *r)
{
    int pair[2];

    if (!r->out || r->fd >= 0)
        return -ECONNREFUSED;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -errno;
    r->fd = pair[0];
    r->got = 0;
    return pair[1];
}

/* --- the child --- */

static void become_snapshot(const struct ready *r, const sigset_t *signals)
{
    const char *const argv[] = {"samara", "snapshot", r->name, r->out, NULL};

    sigprocmask(SIG_SETMASK, signals, NULL);
    signal(SIGPIPE, SIG_DFL);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(EXIT_SAMARA);
}

/* False with nothing started. */
static bool start(struct ready *r, const sigset_t *signals)
{
    int pipe[2];

    if (pipe2(pipe, O_CLOEXEC) != 0)
        return false;
    r->child = fork();
    if (r->child == 0) {
        fcntl(pipe[1], F_SETFD, 0); /* which is closed when it ends */
        become_snapshot(r, signals);
    }
    close(pipe[1]);
    if (r->child < 0) {
        close(pipe[0]);
        r->child = 0;
        return false;
    }
    r->end = pipe[0];
    return true;
}

/* --- the connection --- */

static void answer(struct ready *r, bool good)
{
    const char *text = good ? "done\n" : "failed\n";

    if (r->fd >= 0)
        (void)send(r->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    fd_close(&r->fd);
}

static void take_word(struct ready *r, const sigset_t *signals)
{
    bool again = r->used;

    if (r->got < WORD)
        return;
    r->used = true;
    if (again || memcmp(r->line, word, WORD) != 0 || !start(r, signals))
        answer(r, false);
}

static void hear(struct ready *r, const sigset_t *signals)
{
    ssize_t n = recv(r->fd, r->line + r->got, WORD - r->got, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fd_close(&r->fd);
        return;
    }
    r->got += (size_t)n;
    take_word(r, signals);
}

static void child_ended(struct ready *r)
{
    int status = 0;

    waitpid(r->child, &status, 0);
    r->child = 0;
    fd_close(&r->end);
    answer(r, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Once the word has been said nothing more is read. */
void ready_watch(const struct ready *r, struct pollfd fds[READY_FDS])
{
    bool listens = r->fd >= 0 && r->got < WORD;

    fds[0] = (struct pollfd){.fd = listens ? r->fd : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = r->end, .events = POLLIN};
}

void ready_turn(struct ready *r, const struct pollfd fds[READY_FDS], const sigset_t *signals)
{
    if (fds[0].fd >= 0 && fds[0].revents)
        hear(r, signals);
    if (fds[1].fd >= 0 && fds[1].revents)
        child_ended(r);
}

void ready_close(struct ready *r)
{
    if (r->child > 0) {
        kill(r->child, SIGTERM);
        child_ended(r);
    }
    fd_close(&r->fd);
}
