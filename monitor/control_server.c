/* See control_server.h. */
#include "monitor/control_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/stream_fd.h"

static const uint64_t patience_ns = CONTROL_PATIENCE_MS * UINT64_C(1000000);

/* --- clients --- */

static void drop(struct control_client *client)
{
    loop_del(client->server->loop, client->watch);
    close(client->fd);
    client->fd = client->watch = -1;
}

/* A free place, or that of the one who came first. */
static struct control_client *place_for_one(struct control_server *server)
{
    struct control_client *oldest = &server->clients[0];

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *client = &server->clients[i];

        if (client->fd < 0)
            return client;
        if (client->born < oldest->born)
            oldest = client;
    }
    drop(oldest);
    return oldest;
}

/* In the monitor's user namespace everybody but the owner is nobody. */
static bool is_owner(const struct control_server *server, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == server->owner;
}

/* --- pace and patience --- */

enum { CLIENT_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP };
#define CLIENT_WATCH ((uint32_t)CLIENT_EVENTS | EPOLLET)

static void listen_event(void *arg, uint32_t events);
static void client_event(void *arg, uint32_t events);

/* Whoever got no turn is told anew of what is there. */
static void next_pace(void *arg)
{
    struct control_server *server = arg;

    server->turns = 0;
    if (!server->starved)
        return;
    server->starved = false;
    if (server->watch >= 0)
        loop_mod(server->loop, server->watch, EPOLLIN);
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        if (server->clients[i].fd >= 0)
            loop_mod(server->loop, server->clients[i].watch, CLIENT_WATCH);
    }
}

static bool take_turn(struct control_server *server)
{
    if (!server->pace.armed)
        loop_timer_set(server->loop, &server->pace, loop_now_ns() + CONTROL_PACE_NS);
    if (server->turns < CONTROL_TURNS) {
        server->turns++;
        return true;
    }
    server->starved = true;
    return false;
}

static void patience_ends(void *arg)
{
    struct control_server *server = arg;
    uint64_t now = loop_now_ns(), next = UINT64_MAX;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *client = &server->clients[i];

        if (client->fd >= 0 && client->deadline_ns <= now)
            drop(client);
        else if (client->fd >= 0 && client->deadline_ns < next)
            next = client->deadline_ns;
    }
    if (server->watch < 0)
        server->watch = loop_add(server->loop, server->fd, EPOLLIN, listen_event, server);
    if (next != UINT64_MAX)
        loop_timer_set(server->loop, &server->patience, next);
}

static void be_patient(struct control_client *client)
{
    struct control_server *server = client->server;

    client->deadline_ns = loop_now_ns() + patience_ns;
    if (!server->patience.armed)
        loop_timer_set(server->loop, &server->patience, client->deadline_ns);
}

/* --- answers --- */

/* Sends what is left; drops the client when that is the end of it. False if it is gone. */
static bool send_rest(struct control_client *client)
{
    while (client->sent < client->length) {
        struct iovec iov = {.iov_base = client->out + client->sent,
                            .iov_len = client->length - client->sent};
        const struct stream_fd stream = {.fd = client->fd, .kind = STREAM_SOCKET};
        ssize_t n = stream_writev(&stream, &iov, 1);

        if (n == -EAGAIN)
            return true;
        if (n <= 0) {
            drop(client);
            return false;
        }
        client->sent += (size_t)n;
    }
    client->length = client->sent = client->got = 0;
    if (client->closing)
        drop(client);
    return client->fd >= 0;
}

static bool answer(struct control_client *client, unsigned kind, const char *text, size_t length)
{
    const struct control_frame frame = {.length = (uint32_t)length,
                                        .version = CONTROL_VERSION,
                                        .kind = (uint16_t)(CONTROL_ANSWER | kind)};

    control_put_header(client->out, &frame);
    memcpy(client->out + CONTROL_HEADER, text, length);
    client->length = CONTROL_HEADER + length;
    client->sent = 0;
    client->waiting = 0;
    return send_rest(client);
}

void control_answer_waiting(struct control_server *server, enum control_kind kind, const char *text,
                            size_t length)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *client = &server->clients[i];

        if (client->fd >= 0 && client->waiting == kind)
            answer(client, kind, text, length);
    }
}

void control_flush(struct control_server *server)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        if (server->clients[i].fd >= 0)
            send_rest(&server->clients[i]);
    }
}

/* --- requests --- */

/* Both false: the client is gone or has to wait. */
static bool refuse(struct control_client *client, const struct control_frame *frame)
{
    char text[160];
    int n = snprintf(text, sizeof(text),
                     "{\"ok\":false,\"error\":\"no request %u of version %u: this is version %u, "
                     "requests 1 to %u\"}",
                     frame->kind, frame->version, CONTROL_VERSION, CONTROL_KINDS - 1);

    client->closing = true;
    return answer(client, frame->kind, text, (size_t)n);
}

/* The connection becomes somebody else's, or the answer says why not. */
static bool give_away(struct control_client *client)
{
    struct control_server *server = client->server;
    struct control_snapshot wish;
    char text[CONTROL_PAYLOAD];
    size_t length = 0;

    memcpy(&wish, client->in + CONTROL_HEADER, sizeof(wish));
    loop_del(server->loop, client->watch);
    if (server->take(server->arg, client->fd, &wish, text, &length)) {
        client->fd = client->watch = -1;
        return false;
    }
    client->watch = loop_add(server->loop, client->fd, CLIENT_WATCH, client_event, client);
    if (client->watch < 0)
        drop(client);
    return client->fd >= 0 && answer(client, CONTROL_SNAPSHOT, text, length);
}

static bool serve(struct control_client *client, enum control_kind kind)
{
    struct control_server *server = client->server;
    char text[CONTROL_PAYLOAD];
    size_t length = 0;

    if (kind == CONTROL_SNAPSHOT && server->take != NULL)
        return give_away(client);
    client->waiting = kind;
    if (!server->fn(server->arg, kind, client->in + CONTROL_HEADER, text, &length))
        return false;
    return client->fd >= 0 && answer(client, kind, text, length);
}

/* What has arrived of a request. True: it has been served, and another may be there. */
static bool take_request(struct control_client *client)
{
    struct control_frame frame;

    switch (control_parse(client->in, client->got, &frame)) {
    case CONTROL_GOOD:
        return serve(client, (enum control_kind)frame.kind) && client->length == 0;
    case CONTROL_UNKNOWN:
        return refuse(client, &frame);
    case CONTROL_BAD:
        drop(client);
        return false;
    case CONTROL_MORE:
        break;
    }
    return true;
}

/* False: nothing is there, or the client is gone. */
static bool receive(struct control_client *client)
{
    struct iovec iov = {.iov_base = client->in + client->got,
                        .iov_len = control_missing(client->in, client->got)};
    const struct stream_fd stream = {.fd = client->fd, .kind = STREAM_SOCKET};
    ssize_t n = stream_readv(&stream, &iov, 1);

    if (n == -EAGAIN || n == -EINTR)
        return false;
    if (n <= 0) {
        drop(client);
        return false;
    }
    client->got += (size_t)n;
    be_patient(client);
    return true;
}

static void client_event(void *arg, uint32_t events)
{
    struct control_client *client = arg;

    if (client->length > 0 && !send_rest(client))
        return;
    if (events & (EPOLLHUP | EPOLLERR)) {
        drop(client);
        return;
    }
    while (client->fd >= 0 && client->length == 0 && client->waiting == 0 &&
           take_turn(client->server) && receive(client))
        if (!take_request(client))
            break;
}

static void rest(struct control_server *server)
{
    loop_del(server->loop, server->watch);
    server->watch = -1;
    loop_timer_set(server->loop, &server->patience, loop_now_ns() + patience_ns);
}

static void listen_event(void *arg, uint32_t events)
{
    struct control_server *server = arg;
    struct control_client *client;
    int fd;

    (void)events;
    if (!take_turn(server)) {
        loop_mod(server->loop, server->watch, 0);
        return;
    }
    fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            rest(server); /* out of something: a full backlog must not keep us busy */
        return;
    }
    if (!is_owner(server, fd)) {
        close(fd);
        return;
    }
    client = place_for_one(server);
    *client = (struct control_client){.server = server,
                                      .fd = fd,
                                      .born = server->births++,
                                      .out = server->outs[client - server->clients]};
    client->watch = loop_add(server->loop, fd, CLIENT_WATCH, client_event, client);
    if (client->watch < 0)
        drop(client);
    else
        be_patient(client);
}

void control_start(struct control_server *server, struct event_loop *loop, int fd, unsigned owner,
                   control_fn fn, control_take_fn take, void *arg)
{
    server->loop = loop; /* singly: the clients' buffers take no memory before they are used */
    server->owner = owner;
    server->fn = fn;
    server->take = take;
    server->arg = arg;
    server->fd = fd;
    server->births = server->turns = 0;
    server->starved = false;
    server->patience = (struct loop_timer){.fn = patience_ends, .arg = server};
    server->pace = (struct loop_timer){.fn = next_pace, .arg = server};
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        server->clients[i].fd = server->clients[i].watch = -1;
    server->watch = loop_add(loop, fd, EPOLLIN, listen_event, server);
    if (server->watch < 0) {
        close(fd); /* out of watches: the VM runs without */
        server->fd = -1;
    }
}
