/*
 * libFuzzer: clients of the control socket that send anything, in any pieces, in any order, and
 * that come and go. Input: records of a length byte, an action byte and that many bytes. Checked
 * throughout: there are no more clients than places, requests reach the VM only as the protocol has
 * them, answers are whole frames, and afterwards an honest client is served.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control_server.h"
#include "monitor/unix_socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 10 };

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct event_loop loop;
static struct control_server server;
static struct unix_listener listener;
static int peers[PEERS];
static char path[64];

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

static bool on_request(void *arg, enum control_kind kind, const void *payload, char *answer,
                       size_t *length)
{
    (void)arg;
    (void)payload;
    must(kind >= CONTROL_STATUS && kind < CONTROL_KINDS);
    *length = (size_t)kind * 100;
    memset(answer, 'x', *length);
    return kind != CONTROL_PAUSE;
}

/* Whoever is to wait for the next millisecond has it now. */
static void turn(void)
{
    must(loop_turn(&loop, 0, NULL) == 0);
    must(server.turns <= CONTROL_TURNS);
    if (!server.starved)
        return;
    server.pace.fn(server.pace.arg);
    must(loop_turn(&loop, 0, NULL) == 0);
}

/* What has been answered so far comes in whole frames. */
static void read_answers(int fd)
{
    uint8_t bytes[CONTROL_HEADER + CONTROL_PAYLOAD];
    struct control_frame frame;
    ssize_t n;

    while ((n = recv(fd, bytes, CONTROL_HEADER, MSG_DONTWAIT)) > 0) {
        must(n == CONTROL_HEADER);
        memcpy(&frame, bytes, sizeof(frame));
        must(frame.version == CONTROL_VERSION && frame.kind & CONTROL_ANSWER);
        must(frame.length <= CONTROL_PAYLOAD);
        must(recv(fd, bytes, frame.length, MSG_DONTWAIT) == (ssize_t)frame.length);
    }
}

static void act(uint8_t action, const uint8_t *bytes, size_t size)
{
    int *peer = &peers[action % PEERS];

    if (*peer < 0)
        *peer = unix_connect(path);
    must(*peer >= 0);
    switch (action / PEERS % 6) {
    case 0:
        close(*peer);
        *peer = -1;
        break;
    case 1:
        read_answers(*peer);
        break;
    case 2:
        shutdown(*peer, (int)(size % 3));
        break;
    case 3:
        control_answer_waiting(&server, CONTROL_PAUSE, "{}", 2);
        break;
    default:
        (void)!send(*peer, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    turn();
}

static void serve_an_honest_client(void)
{
    static const uint8_t status[CONTROL_HEADER] = {0, 0, 0, 0, CONTROL_VERSION, 0, CONTROL_STATUS};
    uint8_t bytes[CONTROL_HEADER + 100];
    int fd = unix_connect(path);

    must(fd >= 0 && send(fd, status, sizeof(status), 0) == (ssize_t)sizeof(status));
    for (unsigned i = 0; i < 2 * PEERS; i++)
        turn();
    must(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) == (ssize_t)sizeof(bytes));
    close(fd);
}

static void open_all(void)
{
    if (path[0] == '\0')
        snprintf(path, sizeof(path), "/tmp/samara-fuzz-control-%d.sock", (int)getpid());
    unlink(path);
    must(unix_listen(&listener, path, sizeof(path), NULL) == 0);
    must(loop_init(&loop, &lock, NULL) == 0);
    control_start(&server, &loop, dup(listener.fd), geteuid(), on_request, NULL, NULL);
    for (unsigned i = 0; i < PEERS; i++)
        peers[i] = -1;
}

static void close_all(void)
{
    for (unsigned i = 0; i < PEERS; i++)
        if (peers[i] >= 0)
            close(peers[i]);
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (server.clients[i].fd >= 0)
            close(server.clients[i].fd);
    close(server.fd);
    unix_unlisten(&listener);
    loop_close(&loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_all();
    while (size >= 2) {
        size_t take = data[0] < size - 2 ? data[0] : size - 2;

        act(data[1], data + 2, take);
        data += 2 + take;
        size -= 2 + take;
    }
    serve_an_honest_client();
    close_all();
    return 0;
}
