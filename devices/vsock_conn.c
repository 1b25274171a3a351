/*
 * The connections of a vsock device: see vsock_state.h.
 *
 *   client ──> HANDSHAKE ──CONNECT──> REQUESTED ──RESPONSE──> OPEN <──REQUEST for stdio── guest
 *   guest ──REQUEST──> CONNECTING ──connected──> OPEN
 *
 *   OPEN ──violation──> RESETTING ──RST sent──> free
 *   OPEN ──both directions shut by the guest, all written──> RESETTING
 *   OPEN ──RST from the guest──> DRAINING ──all written──> free
 *
 * Descriptors are watched edge-triggered: readable is a flag that a read ends with EAGAIN, so the
 * steady state needs no epoll_ctl. Writing is watched only while something is held.
 */
#include "devices/vsock_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static bool is_socket(const struct vsock_conn *conn)
{
    return conn->stream.kind == STREAM_SOCKET;
}

/* --- the table --- */

static struct vsock_conn **bucket_of(const struct vsock *vsock, uint32_t host_port,
                                     uint32_t guest_port)
{
    uint32_t mix = host_port * 0x9e3779b1u ^ guest_port * 0x85ebca77u;

    return (struct vsock_conn **)(uintptr_t)&vsock->bucket[(mix >> 16) % VSOCK_BUCKETS];
}

struct vsock_conn *conn_find(const struct vsock *vsock, uint32_t host_port, uint32_t guest_port)
{
    struct vsock_conn *conn = *bucket_of(vsock, host_port, guest_port);

    while (conn != NULL && (conn->host_port != host_port || conn->guest_port != guest_port))
        conn = conn->hash_next;
    return conn;
}

bool conn_is_named(const struct vsock_conn *conn)
{
    return conn->state == CONN_CONNECTING || conn->state == CONN_REQUESTED ||
           conn->state == CONN_OPEN || conn->state == CONN_RESETTING;
}

void conn_name(struct vsock_conn *conn, uint32_t host_port, uint32_t guest_port)
{
    struct vsock_conn **bucket = bucket_of(conn->vsock, host_port, guest_port);

    conn->host_port = host_port;
    conn->guest_port = guest_port;
    conn->hash_next = *bucket;
    *bucket = conn;
}

static void forget_name(struct vsock_conn *conn)
{
    struct vsock_conn **at = bucket_of(conn->vsock, conn->host_port, conn->guest_port);

    while (*at != conn)
        at = &(*at)->hash_next;
    *at = conn->hash_next;
}

/* A slot whose connection only waits for a guest that does not answer our SHUTDOWN with RST. */
static struct vsock_conn *reclaim(struct vsock *vsock)
{
    for (unsigned i = VSOCK_STDIO; i < vsock->used; i++) {
        struct vsock_conn *conn = &vsock->conns[i];

        if (conn->state == CONN_OPEN && !conn->reads && !conn->writes && conn->pending == 0) {
            conn_free(conn);
            break;
        }
    }
    return vsock->free;
}

static void conn_init(struct vsock_conn *conn, struct vsock *vsock, struct stream_fd stream,
                      enum vsock_conn_state state, enum vsock_kind kind)
{
    *conn = (struct vsock_conn){.vsock = vsock,
                                .state = state,
                                .kind = kind,
                                .stream = stream,
                                .stdio = -1,
                                .watch = -1,
                                .reads = true,
                                .writes = true,
                                .born = vsock->births++};
    vsock->handshakes += state == CONN_HANDSHAKE;
}

struct vsock_conn *conn_new(struct vsock *vsock, struct stream_fd stream,
                            enum vsock_conn_state state, enum vsock_kind kind)
{
    struct vsock_conn *conn = vsock->free;

    if (conn == NULL && vsock->used < VSOCK_CONNS)
        conn = &vsock->conns[vsock->used++];
    else if (conn == NULL)
        conn = reclaim(vsock);
    if (conn == NULL)
        return NULL;
    if (conn == vsock->free)
        vsock->free = conn->hash_next;
    conn_init(conn, vsock, stream, state, kind);
    return conn;
}

struct vsock_conn *conn_new_stdio(struct vsock *vsock, int number)
{
    struct vsock_conn *conn = &vsock->conns[number];

    assert(vsock->stdio[number].fd >= 0 && conn->state == CONN_FREE);
    conn_init(conn, vsock, vsock->stdio[number], CONN_OPEN, VSOCK_BYTES);
    vsock->stdio[number] = STREAM_CLOSED;
    conn->stdio = number;
    conn->reads = number == 0;
    conn->writes = number != 0;
    return conn;
}

static void close_stream(struct vsock_conn *conn)
{
    loop_del(conn->vsock->loop, conn->watch);
    conn->watch = -1;
    conn->reads = conn->writes = conn->readable = false;
    stream_close(&conn->stream);
}

void conn_free(struct vsock_conn *conn)
{
    struct vsock *vsock = conn->vsock;

    conn_unschedule(conn);
    message_unstage(conn);
    if (conn_is_named(conn))
        forget_name(conn);
    vsock->handshakes -= conn->state == CONN_HANDSHAKE;
    close_stream(conn);
    buffer_drop(conn);
    conn->state = CONN_FREE;
    if (conn->stdio < 0) {
        conn->hash_next = vsock->free;
        vsock->free = conn;
    }
    vsock_check_finished(vsock);
}

/* --- watching --- */

/* A message may need more credit than others would miss: its sender hears of any there is. */
static int flush_held(struct vsock_conn *conn)
{
    uint32_t written;
    int result =
        conn->kind == VSOCK_MESSAGES ? message_flush(conn, &written) : buffer_flush(conn, &written);

    conn_forwarded(conn, written);
    if (conn->kind == VSOCK_MESSAGES && written > 0 && conn->state == CONN_OPEN)
        conn_post(conn, PENDING_CREDIT);
    return result;
}

/* The stream of an open or draining connection has moved. May free it. */
static void stream_event(struct vsock_conn *conn, uint32_t events)
{
    int result = 0;

    if (conn->held > 0 && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        result = flush_held(conn);
    if (conn->hung_up && conn->writes && !conn->reads)
        result = -EPIPE;
    if (result != 0 && result != -EAGAIN)
        conn_end_write(conn, -result);
    else if (conn->held == 0)
        conn_drained(conn);
    else
        conn_schedule(conn);
}

static void conn_event(void *arg, uint32_t events)
{
    struct vsock_conn *conn = arg;
    struct vsock *vsock = conn->vsock;

    conn->hung_up |= (events & EPOLLHUP) != 0;
    conn->readable |= conn->reads && (events & ~(uint32_t)EPOLLOUT) != 0;
    if (conn->state == CONN_HANDSHAKE)
        host_handshake(conn);
    else if (conn->state == CONN_REQUESTED && conn->hung_up)
        conn_reset(conn);
    else if (conn->state == CONN_OPEN || conn->state == CONN_DRAINING)
        stream_event(conn, events);
    vsock_work(vsock);
}

static uint32_t wanted_events(const struct vsock_conn *conn)
{
    uint32_t events = is_socket(conn) ? EPOLLET : 0; /* a socket's hang-up is always of interest */

    if (conn->state == CONN_HANDSHAKE || (conn->state == CONN_OPEN && conn->reads))
        events |= EPOLLIN | EPOLLRDHUP | EPOLLET;
    if (conn->held > 0)
        events |= EPOLLOUT | EPOLLET;
    return events;
}

/* Adds or changes the watch; 0 or -1 with errno. */
static int set_watch(struct vsock_conn *conn, uint32_t events)
{
    struct event_loop *loop = conn->vsock->loop;

    if (conn->watch >= 0)
        return loop_mod(loop, conn->watch, events);
    conn->watch = loop_add(loop, conn->stream.fd, events, conn_event, conn);
    if (conn->watch < 0 && errno == EPERM) {
        conn->stream.kind = STREAM_FILE; /* /dev/null and its like are always ready */
        return 0;
    }
    return conn->watch < 0 ? -1 : 0;
}

int conn_watch(struct vsock_conn *conn)
{
    uint32_t events = conn->stream.fd >= 0 ? wanted_events(conn) : 0;
    int reason = 0;

    if (conn->stream.kind != STREAM_FILE && (conn->watch < 0 || events != conn->watched)) {
        if (events == 0) {
            loop_del(conn->vsock->loop, conn->watch);
            conn->watch = -1;
        } else if (set_watch(conn, events) != 0) {
            reason = errno;
            device_log(&conn->vsock->device, "epoll: %s", strerror(reason));
            return reason;
        }
        conn->watched = events;
    }
    return conn->stream.kind == STREAM_FILE && conn->held > 0 ? EIO : 0;
}

/* --- life --- */

void conn_open(struct vsock_conn *conn)
{
    conn->state = CONN_OPEN;
    conn->due_ns = 0;
    conn->readable = conn->reads; /* something may be there; reading will tell */
    if (conn_watch(conn) != 0)
        conn_reset(conn);
    else
        conn_schedule(conn);
}

void conn_respond(struct vsock_conn *conn)
{
    conn->pending = PENDING_RESPONSE;
    conn_open(conn);
}

/* The guest has heard of it. */
static bool is_known(const struct vsock_conn *conn)
{
    return conn->state != CONN_HANDSHAKE && !(conn->pending & PENDING_REQUEST);
}

void conn_reset(struct vsock_conn *conn)
{
    if (!is_known(conn)) {
        conn_free(conn);
        return;
    }
    buffer_drop(conn);
    message_unstage(conn);
    close_stream(conn);
    conn->state = CONN_RESETTING;
    conn->due_ns = 0;
    conn->pending = 0;
    conn_post(conn, PENDING_RST);
    vsock_check_finished(conn->vsock);
}

void conn_abandon(struct vsock_conn *conn)
{
    message_drop_part(conn);
    message_unstage(conn);
    if (conn->held == 0) {
        conn_free(conn);
        return;
    }
    conn_unschedule(conn);
    forget_name(conn);
    conn->pending = 0; /* the guest may use the ports for another by now */
    conn->state = CONN_DRAINING;
    conn->reads = false;
    (void)conn_watch(conn); /* for less than before, here and below: failing does no harm */
}

/* --- waiting --- */

static void conn_due(struct vsock_conn *conn)
{
    if (conn->state == CONN_CONNECTING)
        host_dial(conn);
    else
        conn_reset(conn); /* the guest did not answer */
}

static void set_timer(struct vsock *vsock, uint64_t at_ns)
{
    if (!vsock->due.armed || at_ns < vsock->due.at_ns)
        loop_timer_set(vsock->loop, &vsock->due, at_ns);
}

/* Serves the connections that are due; the timer goes on with the first of the others. */
static void connections_due(void *arg)
{
    struct vsock *vsock = arg;
    uint64_t now = loop_now_ns(), next = UINT64_MAX;

    for (unsigned i = VSOCK_STDIO; i < vsock->used; i++) {
        struct vsock_conn *conn = &vsock->conns[i];

        if (conn->state == CONN_FREE || conn->due_ns == 0)
            continue;
        if (conn->due_ns <= now)
            conn_due(conn);
        else if (conn->due_ns < next)
            next = conn->due_ns;
    }
    if (next != UINT64_MAX)
        set_timer(vsock, next);
    vsock_work(vsock);
}

void conn_set_due(struct vsock_conn *conn, uint64_t at_ns)
{
    struct vsock *vsock = conn->vsock;

    conn->due_ns = at_ns;
    vsock->due.fn = connections_due;
    vsock->due.arg = vsock;
    set_timer(vsock, at_ns);
}

/* --- ends --- */

/* A file at its end stays open until the guest says how much of it was used. */
static bool awaits_counts(const struct vsock_conn *conn)
{
    return conn->stream.kind == STREAM_FILE && conn->sent != conn->peer_forwarded &&
           !(conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* One direction of the stream is over; how is SHUT_RD or SHUT_WR. */
static void close_direction(struct vsock_conn *conn, int how)
{
    if (how == SHUT_RD)
        conn->reads = conn->readable = false;
    else
        conn->writes = false;
    if (!conn->reads && !conn->writes && !awaits_counts(conn)) {
        close_stream(conn);
        return;
    }
    if (is_socket(conn))
        shutdown(conn->stream.fd, how);
    (void)conn_watch(conn);
}

static void tell_shutdown(struct vsock_conn *conn, uint8_t flag)
{
    if (conn->state != CONN_OPEN || conn->our_shut & flag)
        return;
    conn->our_shut |= flag;
    conn_post(conn, PENDING_SHUTDOWN);
}

void conn_end_read(struct vsock_conn *conn)
{
    if (conn->reads)
        close_direction(conn, SHUT_RD);
    tell_shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_SEND);
    if (conn->hung_up && conn->writes)
        conn_end_write(conn, EPIPE);
}

/* That the reader has gone is no failure. */
void conn_stdio_failed(const struct vsock_conn *conn, int reason)
{
    const struct vsock *vsock = conn->vsock;

    if (conn->stdio >= 0 && reason != EPIPE && reason != ECONNRESET && vsock->stdio_failed != NULL)
        vsock->stdio_failed(vsock->stdio_arg, conn->stdio, reason);
}

void conn_end_write(struct vsock_conn *conn, int reason)
{
    conn_forwarded(conn, buffer_drop(conn));
    if (conn->writes) {
        conn_stdio_failed(conn, reason);
        close_direction(conn, SHUT_WR);
    }
    tell_shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_RCV);
    conn_drained(conn);
}

void conn_guest_shutdown(struct vsock_conn *conn, uint32_t flags)
{
    uint8_t before = conn->guest_shut;

    conn->guest_shut |= flags & (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
    if ((conn->guest_shut & ~before) & VIRTIO_VSOCK_SHUTDOWN_RCV)
        stream_unread(&conn->stream, conn->sent - conn->peer_forwarded);
    if (conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
        message_unstage(conn);
    if (conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
        message_drop_part(conn);
    if (conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV && conn->reads)
        close_direction(conn, SHUT_RD);
    if (conn->held == 0)
        conn_drained(conn);
}

void conn_drained(struct vsock_conn *conn)
{
    const uint8_t both = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;

    if (conn->state == CONN_DRAINING) {
        conn_free(conn);
        return;
    }
    if (conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND && conn->writes)
        close_direction(conn, SHUT_WR);
    if (conn->guest_shut == both) {
        conn_reset(conn); /* a clean end is answered with RST as well (5.10.6.5) */
        return;
    }
    (void)conn_watch(conn);
    conn_schedule(conn);
    vsock_check_finished(conn->vsock);
}
