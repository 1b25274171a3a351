/* See net_peer.h. */
#include "monitor/net_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/clock.h"
#include "monitor/fd_close.h"
#include "monitor/printable.h"
#include "monitor/unix_socket.h"

#define MS          INT64_C(1000000)

#define DELAY_LEAST (100 * MS)
#define DELAY_MOST  (1000 * MS)
#define CALM        (10000 * MS) /* who lasted so long may come back at once */

enum { PASST_FD = 3 };

/* Without --no-map-gw the guest would find the host's own services, which listen at 127.0.0.1
 * because they trust whoever can reach that, at its gateway's address. Root's passt becomes nobody
 * in any case, but says so unless it was told. */
static const char *const passt_words[] = {
    "passt", "--foreground", "--quiet", "--no-map-gw", "--tcp-ports", "none", "--udp-ports",
    "none",  "--fd",         "3",       NULL,          NULL,          NULL};
enum { RUNAS = 10 };

/* --- starting it --- */

/* Nothing of ours but its end of the stream and where it complains; and no terminal. */
static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *how, int socket, int said)
{
    sigset_t none, ours;
    int r = 0;

    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    r |= posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    r |= posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    r |= posix_spawn_file_actions_adddup2(files, said, STDERR_FILENO);
    r |= posix_spawn_file_actions_adddup2(files, socket, PASST_FD);
    r |= posix_spawnattr_setsigmask(how, &none);
    r |= posix_spawnattr_setsigdefault(how, &ours);
    r |= posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                           POSIX_SPAWN_SETSID);
    return r;
}

static int spawn(pid_t *pid, int socket, int said)
{
    const char *words[sizeof(passt_words) / sizeof(passt_words[0])];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    int r;

    memcpy(words, passt_words, sizeof(words));
    if (geteuid() == 0) {
        words[RUNAS] = "--runas";
        words[RUNAS + 1] = "nobody";
    }
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    r = prepare(&files, &how, socket, said);
    if (r == 0)
        r = posix_spawnp(pid, words[0], &files, &how, (char *const *)(uintptr_t)words, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return r;
}

/* What it says there must not stop it when nobody listens. */
static int start_with(struct net_peer *p, int socket, struct err *err)
{
    int said[2], r;

    if (pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_sys(err, "passt: pipe");
    r = spawn(&p->passt, socket, said[1]);
    close(said[1]);
    p->said = said[0];
    if (r == 0)
        return 0;
    p->passt = 0;
    fd_close(&p->said);
    errno = r;
    return r == ENOENT ? err_set(err, "passt: not found (apt install passt)")
                       : err_sys(err, "passt: start");
}

static int start(struct net_peer *p, struct err *err)
{
    int ends[2], r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return err_sys(err, "passt: socketpair");
    r = start_with(p, ends[1], err);
    close(ends[1]);
    if (r != 0)
        fd_close(&ends[0]);
    return ends[0];
}

static int connect_to(const char *path, struct err *err)
{
    int fd = unix_connect(path);

    if (fd >= 0)
        return fd;
    return err_set(err, "connect to %s: %s%s", path, strerror(-fd),
                   fd == -ENOENT || fd == -ECONNREFUSED ? " (is passt running?)" : "");
}

static int reach(struct net_peer *p, struct err *err)
{
    int fd;

    p->tried_ns = clock_ns(CLOCK_MONOTONIC);
    fd = p->config->backend == NET_CONFIG_PASST_SOCKET ? connect_to(p->config->name, err)
                                                       : start(p, err);
    if (fd >= 0)
        unix_enlarge(fd);
    return fd;
}

int net_peer_open(struct net_peer *p, const struct net_interface *config, struct err *err)
{
    *p = (struct net_peer)NET_PEER_NONE;
    p->config = config;
    return reach(p, err);
}

/* --- its end --- */

/* The last line that has anything in it. */
static void last_line(char *text, struct err *line)
{
    char *last = NULL, *rest = NULL;
    char clean[sizeof(line->text) / 2];

    for (char *at = strtok_r(text, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest))
        last = at;
    if (!last)
        return;
    printable_copy(clean, sizeof(clean), last, strlen(last));
    err_set(line, "%s", clean);
}

static void read_complaint(struct net_peer *p, struct err *line)
{
    char text[4096];
    ssize_t got = read(p->said, text, sizeof(text) - 1);

    text[got > 0 ? got : 0] = '\0';
    last_line(text, line);
}

/* Its socket is closed, or will be. */
static void end(struct net_peer *p)
{
    kill(p->passt, SIGKILL);
    while (waitpid(p->passt, NULL, 0) < 0 && errno == EINTR)
        ;
    p->passt = 0;
}

void net_peer_close(struct net_peer *p)
{
    if (p->passt > 0)
        end(p);
    fd_close(&p->said);
}

/* --- another one --- */

static void put_off(struct net_peer *p)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);

    if (p->delay_ns == 0 || now - p->tried_ns > CALM)
        p->delay_ns = DELAY_LEAST;
    else
        p->delay_ns = 2 * p->delay_ns < DELAY_MOST ? 2 * p->delay_ns : DELAY_MOST;
    p->next_ns = p->tried_ns + p->delay_ns;
}

bool net_peer_want(struct net_peer *p, struct err *line)
{
    line->text[0] = '\0';
    if (!p->config || p->wanted)
        return false;
    if (p->said >= 0)
        read_complaint(p, line);
    net_peer_close(p);
    put_off(p);
    p->wanted = true;
    return true;
}

int net_peer_wait(const struct net_peer *p)
{
    return p->wanted ? clock_ms_until(p->next_ns) : -1;
}

int net_peer_turn(struct net_peer *p)
{
    struct err why;
    int fd;

    if (net_peer_wait(p) != 0)
        return -1;
    fd = reach(p, &why);
    p->wanted = fd < 0;
    if (fd < 0)
        put_off(p);
    return fd;
}
