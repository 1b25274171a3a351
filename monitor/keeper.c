/* See keeper.h. */
#include "monitor/keeper.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/samara_sdk.h"
#include "monitor/clock.h"
#include "monitor/fd_close.h"
#include "monitor/link.h"
#include "monitor/report.h"
#include "monitor/unix_socket.h"
#include "monitor/warn.h"

enum { KEEPERS, MONITORS };           /* ends of the link */
#define ENDING_NS INT64_C(1000000000) /* for a program to end that was told to */
/* A short program has ended by then, and others need the processors. */
#define LATER_NS INT64_C(5000000)
#define NEVER    INT64_MAX

/* Job control: the monitor stops and goes on with the keeper. */
static const int stopping[] = {SIGTSTP, SIGTTIN, SIGTTOU};
static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

enum { STOPPING = sizeof(stopping) / sizeof(stopping[0]) };
enum { FORWARDED = sizeof(forwarded) / sizeof(forwarded[0]) };

/* --- signals --- */

/* What the caller told us to ignore (nohup) stays ignored. */
static void add_signals(sigset_t *set, const int *signals, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct sigaction now;

        if (sigaction(signals[i], NULL, &now) != 0 || now.sa_handler != SIG_IGN)
            sigaddset(set, signals[i]);
    }
}

int keeper_open(struct keeper *k, struct err *err)
{
    sigset_t set;

    sigemptyset(&set);
    add_signals(&set, forwarded, FORWARDED);
    add_signals(&set, stopping, STOPPING);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, &k->before) != 0)
        return err_sys(err, "sigprocmask");
    k->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return k->signal_fd < 0 ? err_sys(err, "signalfd") : link_open(k->ends, err);
}

void keeper_close(struct keeper *k)
{
    bool opened = k->signal_fd >= 0;

    room_close(&k->room);
    fd_close(&k->signal_fd);
    fd_close(&k->ends[KEEPERS]);
    fd_close(&k->ends[MONITORS]);
    if (opened)
        sigprocmask(SIG_SETMASK, &k->before, NULL);
}

/* --- the split --- */

/* What the monitor is to have of its own, tried in this order: a host may permit only some of it.
 * What makes the room it makes itself, beside other work (confine.h), unless there is a shared one.
 */
static const unsigned long wishes[] = {
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS,
    CLONE_NEWPID | CLONE_NEWUTS,
    0,
};

/*
 * fork() with namespaces. The C library does not hear of it: what it has cached of this thread's id
 * is the keeper's, so that nobody may address the monitor's first thread by its pthread_t.
 */
static pid_t clone_into(unsigned long namespaces)
{
    return (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0L, 0L, 0L, 0L);
}

static pid_t start_monitor(struct keeper *k, unsigned long put_off)
{
    pid_t child = -1;

    for (unsigned i = 0; child < 0 && i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        k->namespaces = wishes[i] & ~put_off;
        child = clone_into(k->namespaces);
    }
    return child;
}

/* The shared room belongs to the host's users: who goes in does so before having other ones. */
static void enter_shared_room(struct keeper *k)
{
    k->namespaces |= room_join(&k->room);
    if (unshare(CLONE_NEWUSER) == 0)
        k->namespaces |= CLONE_NEWUSER;
}

/* A child that blocks stop signals gets EIO from a terminal instead of being stopped. */
static void become_monitor(struct keeper *k, bool shared)
{
    sigset_t stop;

    if (shared)
        enter_shared_room(k);
    room_close(&k->room);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* new credentials can reset it */
    fd_close(&k->signal_fd);
    fd_close(&k->ends[KEEPERS]);
    sigemptyset(&stop);
    for (unsigned i = 0; i < STOPPING; i++)
        sigaddset(&stop, stopping[i]);
    sigprocmask(SIG_UNBLOCK, &stop, NULL);
}

/* --- processors --- */

/*
 * Some kernels (sched_vcpu_pack) put a new or woken thread onto the processor of the one that did
 * it, or that it was on before, although others idle, and leave it there: the two would take turns.
 * There are three at work when a VM is made, and the path to the guest's first instruction is as
 * long as they wait for each other; so whoever knows who is about to sleep says who goes where.
 */
static void find_places(struct keeper *k)
{
    int now = sched_getcpu();

    CPU_ZERO(&k->here);
    CPU_ZERO(&k->elsewhere);
    if (now < 0 || sched_getaffinity(0, sizeof(k->processors), &k->processors) != 0)
        return;
    CPU_SET((size_t)now, &k->here);
    k->elsewhere = k->processors;
    CPU_CLR((size_t)now, &k->elsewhere);
}

static void send_to(pid_t child, const cpu_set_t *place)
{
    if (CPU_COUNT(place) > 0)
        sched_setaffinity(child, sizeof(*place), place);
}

void keeper_make_way(const struct keeper *k)
{
    send_to(k->monitor, &k->here);
}

int keeper_split(struct keeper *k, struct err *err)
{
    pid_t child;
    bool shared;

    k->pid = getpid();
    k->user = geteuid();
    find_places(k);
    room_open(&k->room);
    shared = k->room.spaces[0] >= 0;
    child = start_monitor(k, shared ? CLONE_NEWUSER : 0);
    if (child < 0)
        return err_sys(err, "start the monitor");
    if (child == 0) {
        become_monitor(k, shared);
        return 0;
    }
    send_to(child, &k->elsewhere); /* at once: it is waited for */
    k->monitor = child;
    room_close(&k->room);
    fd_close(&k->ends[MONITORS]);
    return 1;
}

void keeper_give_up(const struct keeper *k)
{
    kill(k->monitor, SIGKILL);
    while (waitpid(k->monitor, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* --- while the monitor runs --- */

void keeper_offer_control(const struct keeper *k, int fd)
{
    const struct link_message message = {.kind = LINK_LISTEN};

    link_send(k->ends[KEEPERS], &message, fd);
}

/* We are told of a stop only as long as we have not stopped ourselves: so first the monitor. */
static void stop_both(const struct keeper *k)
{
    kill(k->monitor, SIGSTOP);
    kill(getpid(), SIGSTOP);
    kill(k->monitor, SIGCONT);
}

static bool is_stop(int sig)
{
    for (unsigned i = 0; i < STOPPING; i++) {
        if (stopping[i] == sig)
            return true;
    }
    return false;
}

static bool is_ending(int sig)
{
    return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT;
}

/*
 * A job in the background that wants to use the terminal is stopped, and when it goes on wants so
 * again, before it has seen a signal that was to end it. On the host that signal would have been
 * the end, and is here: of a program that would have handled it, too.
 */
static bool ends_instead(struct keeper *k, int sig)
{
    if (sig == SIGTSTP || k->ending == 0 || clock_ns(CLOCK_MONOTONIC) - k->ending_since > ENDING_NS)
        return false;
    kill(k->monitor, SIGKILL);
    k->ended = true;
    return true;
}

static void pass_on(struct keeper *k, int sig)
{
    const struct link_message message = {.kind = LINK_SIGNAL, .value = (uint32_t)sig};

    if (is_ending(sig)) {
        k->ending = sig;
        k->ending_since = clock_ns(CLOCK_MONOTONIC);
    }
    link_send(k->ends[KEEPERS], &message, -1);
}

static void take_signals(struct keeper *k)
{
    struct signalfd_siginfo info;

    while (read(k->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        int sig = (int)info.ssi_signo;

        if (!is_stop(sig))
            pass_on(k, sig);
        else if (!ends_instead(k, sig))
            stop_both(k);
    }
}

static bool is_dial(const struct link_message *message)
{
    return message->kind == LINK_DIAL || message->kind == LINK_DIAL_MESSAGES;
}

/* A server's, at its path. */
static int connect_to(const char *vsock_path, const struct link_message *wish)
{
    int type = wish->kind == LINK_DIAL_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM, fd;
    char path[UNIX_PATH_MAX + 16];

    if (!vsock_path)
        return -ECONNREFUSED;
    snprintf(path, sizeof(path), "%s_%u", vsock_path, wish->value);
    fd = unix_connect_type(type, path);
    if (fd >= 0)
        unix_enlarge(fd);
    return fd;
}

static void dial(const struct keeper *k, const struct keeper_services *s,
                 const struct link_message *wish)
{
    struct link_message answer = {.kind = LINK_DIALLED, .ticket = wish->ticket};
    bool ready = wish->kind == LINK_DIAL && wish->value == SAMARA_READY_PORT && s->ready->out;
    int fd = ready ? ready_dialled(s->ready) : connect_to(s->vsock_path, wish);

    answer.value = fd < 0 ? (uint32_t)-fd : 0;
    link_send(k->ends[KEEPERS], &answer, fd);
    fd_close(&fd);
}

/* The monitor may say so of any, at any time: net_peer.h. */
static void want_peer(const struct keeper_services *s, uint32_t number)
{
    struct err why, line;

    if (number >= s->peer_count || !net_peer_want(&s->peers[number], &why))
        return;
    if (!why.text[0])
        return;
    err_set(&line, "net %u: passt: %s", number, why.text);
    warn_now(line.text);
}

/* Those whose turn it is. A link without room is like an attempt that has failed. */
static void find_peers(const struct keeper *k, const struct keeper_services *s)
{
    for (unsigned i = 0; i < s->peer_count; i++) {
        const struct link_message message = {.kind = LINK_NET_CONNECTED, .value = i};
        struct err why;
        int fd = net_peer_turn(&s->peers[i]);

        if (fd >= 0 && !link_send(k->ends[KEEPERS], &message, fd))
            net_peer_want(&s->peers[i], &why);
        fd_close(&fd);
    }
}

/* ms until the next one's turn; -1: nobody waits for any. */
static int peers_wait(const struct keeper_services *s)
{
    int least = -1;

    for (unsigned i = 0; i < s->peer_count; i++) {
        int wait = net_peer_wait(&s->peers[i]);

        if (wait >= 0 && (least < 0 || wait < least))
            least = wait;
    }
    return least;
}

/* One message, so that there is room for its answer. False: the monitor is gone. */
static bool take_message(const struct keeper *k, const struct keeper_services *s)
{
    struct link_message message;
    int got = link_receive(k->ends[KEEPERS], &message, NULL);

    if (got == 1 && is_dial(&message))
        dial(k, s, &message);
    if (got == 1 && message.kind == LINK_NET)
        want_peer(s, message.value);
    return got >= 0;
}

/* Kernel and program are mapped into guest memory: an access beyond the end of a file that somebody
 * has made shorter is SIGBUS. (The guest's own ends in KVM_RUN with EFAULT.) */
static const char *advice(int sig)
{
    if (sig == SIGSYS)
        return ": its seccomp filter; --seccomp=trap names the call";
    return sig == SIGBUS ? ": a file mapped into the guest became shorter while it ran" : "";
}

static int ending(const struct keeper *k, struct err *err)
{
    int status;

    while (waitpid(k->monitor, &status, 0) < 0) {
        if (errno != EINTR) {
            err_sys(err, "wait for the monitor");
            return EXIT_SAMARA;
        }
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    if (k->ended)
        return 128 + k->ending;
    err_set(err, "the monitor died of signal %d (%s)%s", WTERMSIG(status),
            strsignal(WTERMSIG(status)), advice(WTERMSIG(status)));
    return EXIT_SAMARA;
}

static bool has_room(int end)
{
    struct pollfd room = {.fd = end, .events = POLLOUT};

    return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT);
}

/* -1: for ever. */
static bool is_shorter(int ms, int other_ms)
{
    return ms >= 0 && (other_ms < 0 || ms < other_ms);
}

/* Signals and messages until the monitor is gone: false; or until then, whatever else comes (a
 * guest may see to it that there is always something): true. */
static bool attend(struct keeper *k, const struct keeper_services *s, int64_t until)
{
    int end = k->ends[KEEPERS], ready;
    bool full = false; /* there is no room for an answer */

    for (;;) {
        int peers_ms = peers_wait(s), patience_ms = until == NEVER ? -1 : clock_ms_until(until);
        struct pollfd fds[3 + READY_FDS] = {{.fd = k->signal_fd, .events = POLLIN},
                                            {.fd = end, .events = full ? POLLOUT : POLLIN},
                                            {.fd = s->working->fd, .events = POLLIN}};

        ready_watch(s->ready, fds + 3);
        if (patience_ms == 0)
            return true;
        ready =
            poll(fds, 3 + READY_FDS, is_shorter(peers_ms, patience_ms) ? peers_ms : patience_ms);
        find_peers(k, s);
        if (ready < 0)
            continue; /* EINTR: after a stop */
        if (fds[0].revents)
            take_signals(k);
        ready_turn(s->ready, fds + 3, &k->before);
        if (fds[2].fd >= 0 && fds[2].revents)
            working_keep_turn(s->working);
        if (fds[1].revents & (POLLIN | POLLOUT)) {
            full = !has_room(end);
            if (!full && !take_message(k, s))
                return false;
        } else if (fds[1].revents) {
            return false;
        }
    }
}

int keeper_attend(struct keeper *k, const struct keeper_services *s, struct err *err)
{
    if (attend(k, s, clock_ns(CLOCK_MONOTONIC) + LATER_NS)) {
        s->later(s->arg);
        attend(k, s, NEVER);
    }
    ready_close(s->ready);
    working_keep_close(s->working);
    return ending(k, err);
}
