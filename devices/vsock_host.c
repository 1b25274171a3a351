/*
 * The host's side of vsock as UNIX sockets, by Firecracker's convention: see vsock.h. Sockets come
 * from the device's owner: the one that listens at the beginning, those to servers on demand.
 *
 * A client's line is peeked at until its newline is there, so that nothing behind it is taken from
 * the stream; one of messages is the first of them. Clients that say nothing are few: the oldest
 * gives way.
 */
#include "devices/vsock_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 16,
    LINE_BYTES = 32, /* "CONNECT 4294967295\n" is 19 */
    PORTS_FIRST = 1 << 30,
    PORTS_LAST = INT32_MAX,
    TRIES = 100, /* to connect: one second, while Linux's guests wait for two */
};

static const uint64_t accept_pause_ns = 100 * 1000 * 1000;
static const uint64_t try_again_ns = 10 * 1000 * 1000;

/* --- listening --- */

/* Makes place for one more client that has not said what it wants. */
static void drop_oldest_handshake(struct vsock *vsock)
{
    struct vsock_conn *oldest = NULL;

    for (unsigned i = 0; i < vsock->used; i++) {
        struct vsock_conn *conn = &vsock->conns[i];

        if (conn->state == CONN_HANDSHAKE && (oldest == NULL || conn->born < oldest->born))
            oldest = conn;
    }
    if (oldest != NULL)
        conn_free(oldest);
}

static bool accept_one(const struct vsock_entrance *at)
{
    struct vsock *vsock = at->vsock;
    struct stream_fd stream = {.kind = STREAM_SOCKET};
    struct vsock_conn *conn;
    int reason;

    stream.fd = accept4(at->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (stream.fd < 0)
        return false;
    if (vsock->handshakes == VSOCK_HANDSHAKES)
        drop_oldest_handshake(vsock);
    conn = conn_new(vsock, stream, CONN_HANDSHAKE, at->kind);
    if (conn == NULL) {
        stream_close(&stream);
        errno = EMFILE; /* as good a name for a full table */
        return false;
    }
    reason = conn_watch(conn); /* tells at once if the line is there already */
    if (reason == 0)
        return true;
    conn_free(conn);
    errno = reason;
    return false;
}

static void listen_event(void *arg, uint32_t events)
{
    const struct vsock_entrance *at = arg;
    struct vsock *vsock = at->vsock;

    (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (accept_one(at))
            continue;
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            host_stop(vsock); /* out of something: a full backlog must not keep us busy */
            loop_timer_set(vsock->loop, &vsock->listen_again, loop_now_ns() + accept_pause_ns);
        }
        break;
    }
}

static void listen_again(void *arg)
{
    host_start(arg);
}

void host_start(struct vsock *vsock)
{
    vsock->listen_again.fn = listen_again;
    vsock->listen_again.arg = vsock;
    for (unsigned i = 0; i < VSOCK_KINDS; i++) {
        struct vsock_entrance *at = &vsock->entrances[i];

        if (at->fd >= 0 && at->watch < 0)
            at->watch = loop_add(vsock->loop, at->fd, EPOLLIN, listen_event, at);
    }
}

void host_stop(struct vsock *vsock)
{
    loop_timer_cancel(vsock->loop, &vsock->listen_again);
    for (unsigned i = 0; i < VSOCK_KINDS; i++) {
        loop_del(vsock->loop, vsock->entrances[i].watch);
        vsock->entrances[i].watch = -1;
    }
}

/* --- CONNECT --- */

/* Parses "CONNECT <port>" of len bytes without the newline. */
static bool parse_connect(const char *line, size_t len, uint32_t *port)
{
    static const char word[] = "CONNECT ";
    const size_t skip = sizeof(word) - 1;
    uint64_t value = 0;

    if (len <= skip || strncasecmp(line, word, skip) != 0)
        return false;
    for (size_t i = skip; i < len; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(line[i] - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *port = (uint32_t)value;
    return true;
}

static uint32_t free_port(struct vsock *vsock, uint32_t guest_port)
{
    do {
        if (vsock->next_port < PORTS_FIRST || vsock->next_port >= PORTS_LAST)
            vsock->next_port = PORTS_FIRST;
        else
            vsock->next_port++;
    } while (conn_find(vsock, vsock->next_port, guest_port) != NULL);
    return vsock->next_port;
}

/* As recv(), by the one call that the seccomp policy has for sockets. Of a message that is longer
 * than len all of it is counted. */
static ssize_t receive(const struct vsock_conn *conn, char *to, size_t len, int flags)
{
    struct iovec iov = {.iov_base = to, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (conn->kind == VSOCK_MESSAGES)
        flags |= MSG_TRUNC;
    return recvmsg(conn->stream.fd, &msg, flags | MSG_DONTWAIT);
}

void host_handshake(struct vsock_conn *conn)
{
    char line[LINE_BYTES];
    bool messages = conn->kind == VSOCK_MESSAGES;
    ssize_t got = receive(conn, line, sizeof(line), MSG_PEEK);
    const char *end = got > 0 && got <= LINE_BYTES ? memchr(line, '\n', (size_t)got) : NULL;
    size_t len = end != NULL ? (size_t)(end - line) : 0;
    uint32_t port;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (end == NULL && got > 0 && got < LINE_BYTES && !conn->hung_up && !messages)
        return; /* the rest is to come */
    if (conn->hung_up || end == NULL || !parse_connect(line, len, &port) ||
        (messages && (!vsock_has_messages(conn->vsock) || got != (ssize_t)len + 1)) ||
        receive(conn, line, len + 1, 0) != (ssize_t)len + 1) {
        conn_free(conn);
        return;
    }
    conn->vsock->handshakes--;
    conn->state = CONN_REQUESTED;
    conn_name(conn, free_port(conn->vsock, port), port);
    (void)conn_watch(conn); /* for less than before */
    conn_set_due(conn, loop_now_ns() + conn->vsock->answer_ns);
    conn_post(conn, PENDING_REQUEST);
}

bool host_accepted(struct vsock_conn *conn)
{
    char line[LINE_BYTES];
    struct iovec iov = {.iov_base = line};

    iov.iov_len = (size_t)snprintf(line, sizeof(line), "OK %u\n", conn->host_port);
    return stream_writev(&conn->stream, &iov, 1) == (ssize_t)iov.iov_len;
}

/* --- connecting --- */

/* Names a connection that is CONNECTING to the owner: the place, and which of those that had it. */
static uint64_t ticket_of(const struct vsock_conn *conn)
{
    return conn->born * VSOCK_CONNS + (uint64_t)(conn - conn->vsock->conns);
}

static struct vsock_conn *conn_of_ticket(struct vsock *vsock, uint64_t ticket)
{
    struct vsock_conn *conn = &vsock->conns[ticket % VSOCK_CONNS];

    return conn->state == CONN_CONNECTING && conn->born == ticket / VSOCK_CONNS ? conn : NULL;
}

struct vsock_conn *host_connect(struct vsock *vsock, enum vsock_kind kind)
{
    return vsock->dial != NULL ? conn_new(vsock, STREAM_CLOSED, CONN_CONNECTING, kind) : NULL;
}

static void wait_for_server(struct vsock_conn *conn)
{
    if (++conn->tries < TRIES)
        conn_set_due(conn, loop_now_ns() + try_again_ns);
    else
        conn_reset(conn);
}

void host_dial(struct vsock_conn *conn)
{
    const struct vsock *vsock = conn->vsock;

    conn->due_ns = 0;
    if (!vsock->dial(vsock->dial_arg, conn->host_port, conn->kind, ticket_of(conn)))
        wait_for_server(conn);
}

void vsock_dialled(struct vsock *vsock, uint64_t ticket, int answer)
{
    struct vsock_conn *conn = conn_of_ticket(vsock, ticket);

    if (conn == NULL) { /* the guest has given it up */
        if (answer >= 0)
            close(answer);
        return;
    }
    if (answer >= 0) {
        conn->stream = (struct stream_fd){.fd = answer, .kind = STREAM_SOCKET};
        conn_respond(conn);
    } else if (answer == -EAGAIN) {
        wait_for_server(conn);
    } else {
        conn_reset(conn);
    }
    vsock_work(vsock);
}
