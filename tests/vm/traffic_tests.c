/* What goes through --net: TCP and UDP between a guest and its host, over a tap. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/vm/lan.h"
#include "tests/vm/runner.h"

enum { PORT = 5000, BYTES = 4 << 20 };

/* Both versions of IP. */
static const struct way {
    const char *host, *guest;
} ways[] = {{LAN_HOST4, LAN_GUEST4}, {LAN_HOST6, LAN_GUEST6}};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* --- busybox nc, a program that knows nothing of us --- */

static unsigned char *from_guest, *from_host;

static void make_data(void)
{
    from_guest = lan_data(BYTES, 1);
    from_host = lan_data(BYTES, 2);
}

/* Answers when the guest has said that there is nothing more. */
static void listen_then_answer(void *arg)
{
    unsigned char *got = malloc(BYTES + 1);
    int fd = lan_accept(*(int *)arg);

    CHECK(lan_receive(fd, got, BYTES + 1) == BYTES && memcmp(got, from_guest, BYTES) == 0);
    lan_send(fd, from_host, BYTES);
}

static void nc_reaches(const struct way *way)
{
    struct job job = {
        .argv = {samara(), "run", "--net", LAN_FIXED, "/bin/busybox", "nc", way->host, "5000"},
        .input = from_guest,
        .input_len = BYTES};
    int listener = lan_bound(SOCK_STREAM, way->host, PORT);
    pid_t peer = beside(listen_then_answer, &listener);
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT_IS(&o, from_host, BYTES);
    CHECK(o.err_len == 0);
    beside_ends(peer);
    close(listener);
    outcome_free(&o);
}

static void a_guest_sends_then_listens(void)
{
    lan_make();
    make_data();
    for (unsigned i = 0; i < WAYS; i++)
        nc_reaches(&ways[i]);
}

/* The guest has ended already, which does not keep it from listening. */
static void send_then_end(void *arg)
{
    const int fd = *(int *)arg;
    char byte;

    CHECK(lan_receive(fd, &byte, 1) == 0);
    lan_send(fd, from_host, BYTES);
    close(fd);
}

static void nc_is_reached(const struct way *way)
{
    struct job job = {
        .argv = {samara(), "run", "--net", LAN_FIXED, "/bin/busybox", "nc", "-l", "-p", "5000"},
        .keep_input_open = true};
    struct running r;
    struct outcome o;
    char got[5];
    pid_t peer;
    int fd;

    job_start(&job, &r);
    fd = lan_connect(SOCK_STREAM, way->guest, PORT);
    CHECK(write(r.in, "first", 5) == 5);
    CHECK(lan_receive(fd, got, 5) == 5 && memcmp(got, "first", 5) == 0);
    close(r.in);
    r.in = -1;
    peer = beside(send_then_end, &fd);
    close(fd);
    job_finish(&r, &o);
    STATUS(&o, 0);
    OUTPUT_IS(&o, from_host, BYTES);
    beside_ends(peer);
    outcome_free(&o);
}

static void a_guest_listens(void)
{
    lan_make();
    make_data();
    for (unsigned i = 0; i < WAYS; i++)
        nc_is_reached(&ways[i]);
}

/* --- both directions at once --- */

static void echo_one(void *arg)
{
    lan_echo(lan_accept(*(int *)arg));
}

static void a_guest_gets_back_what_it_sends(void)
{
    lan_make();
    for (unsigned i = 0; i < WAYS; i++) {
        struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED, program("traffic-musl"),
                                   "stream", ways[i].host, "5000", "16777216"}};
        int listener = lan_bound(SOCK_STREAM, ways[i].host, PORT);
        pid_t peer = beside(echo_one, &listener);
        struct outcome o;

        job_run(&job, &o);
        STATUS(&o, 0);
        OUTPUT(&o, "16777216 back, 0 wrong\n");
        beside_ends(peer);
        close(listener);
        outcome_free(&o);
    }
}

static void pour(void *arg)
{
    const int fd = *(int *)arg;

    lan_send(fd, from_host, BYTES);
    CHECK(shutdown(fd, SHUT_WR) == 0);
}

static void a_guest_gives_back_what_it_gets(void)
{
    unsigned char *got = malloc(BYTES + 1);

    lan_make();
    make_data();
    for (unsigned i = 0; i < WAYS; i++) {
        struct job job = {
            .argv = {samara(), "run", "--net", LAN_FIXED, program("traffic"), "echo", "5000"}};
        struct running r;
        struct outcome o;
        pid_t sender;
        int fd;

        job_start(&job, &r);
        fd = lan_connect(SOCK_STREAM, ways[i].guest, PORT);
        sender = beside(pour, &fd);
        CHECK(lan_receive(fd, got, BYTES + 1) == BYTES && memcmp(got, from_host, BYTES) == 0);
        beside_ends(sender);
        close(fd);
        job_finish(&r, &o);
        STATUS(&o, 0);
        OUTPUT(&o, "4194304\n");
        outcome_free(&o);
    }
}

/* --- ends that are not happy --- */

static void where_nobody_listens_it_is_refused(void)
{
    lan_make();
    for (unsigned i = 0; i < WAYS; i++) {
        struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED, program("traffic"), "ask",
                                   ways[i].host, "5001"}};
        struct outcome o;

        job_run(&job, &o);
        STATUS(&o, 1);
        OUTPUT(&o, "connect: Connection refused\n");
        outcome_free(&o);
    }
}

/* Nobody listens in the guest, either: lwIP says so itself. */
static void a_guest_refuses(void)
{
    struct job job = {
        .argv = {samara(), "run", "--net", LAN_FIXED, program("traffic"), "echo", "5000"}};
    struct running r;
    struct outcome o;

    lan_make();
    job_start(&job, &r);
    for (unsigned i = 0; i < WAYS; i++)
        lan_refused(ways[i].guest, PORT + 1);
    close(lan_connect(SOCK_STREAM, LAN_GUEST4, PORT));
    job_finish(&r, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "0\n");
    outcome_free(&o);
}

/* Does not read what the guest has said. */
static void hold(void *arg)
{
    lan_accept(*(int *)arg);
    pause();
}

static void a_killed_peer_is_a_reset(void)
{
    lan_make();
    for (unsigned i = 0; i < WAYS; i++) {
        struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED, program("traffic-musl"),
                                   "ask", ways[i].host, "5000"}};
        int listener = lan_bound(SOCK_STREAM, ways[i].host, PORT);
        pid_t peer = beside(hold, &listener);
        struct running r;
        struct outcome o;

        job_start(&job, &r);
        CHECK(job_await(&r, "asked\n"));
        usleep(100000); /* what is not there yet could not be left unread */
        CHECK(kill(peer, SIGKILL) == 0);
        job_finish(&r, &o);
        STATUS(&o, 1);
        OUTPUT(&o, "read: Connection reset by peer\n");
        close(listener);
        outcome_free(&o);
    }
}

/* --- UDP --- */

static void echo_datagrams(void *arg)
{
    lan_echo_datagrams(*(int *)arg);
}

/* Up to 60000 bytes, which takes fragments. */
static void datagrams_there_and_back(void)
{
    lan_make();
    for (unsigned i = 0; i < WAYS; i++) {
        struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED, program("traffic-musl"),
                                   "datagrams", ways[i].host, "5000", "200", "60000"}};
        int fd = lan_bound(SOCK_DGRAM, ways[i].host, PORT);
        struct outcome o;

        beside(echo_datagrams, &fd);
        job_run(&job, &o);
        STATUS(&o, 0);
        OUTPUT(&o, "200 back\n");
        outcome_free(&o);
        close(fd);
    }
}

/* Until an answer comes: the guest may not be there yet. */
static void wake(int fd)
{
    char byte = 'w';

    while (send(fd, &byte, 1, 0) != 1 || !lan_readable(fd, 50))
        usleep(5000);
    while (lan_readable(fd, 50)) /* those that it took longer for */
        CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == 1 || errno == ECONNREFUSED);
}

static void a_guest_gives_datagrams_back(void)
{
    enum { MOST = 60000, COUNT = 100 };
    unsigned char *data = lan_data(MOST, 3), *got = malloc(MOST + 1);

    lan_make();
    for (unsigned i = 0; i < WAYS; i++) {
        struct job job = {.argv = {samara(), "run", "--net", LAN_FIXED, program("traffic"),
                                   "echo-datagrams", "5000"}};
        struct running r;
        struct outcome o;
        int fd;

        job_start(&job, &r);
        fd = lan_connect(SOCK_DGRAM, ways[i].guest, PORT);
        wake(fd);
        for (size_t k = 1; k <= COUNT; k++) {
            size_t len = MOST * k / COUNT;

            CHECK(send(fd, data, len, 0) == (ssize_t)len);
            CHECK(recv(fd, got, MOST + 1, 0) == (ssize_t)len && memcmp(got, data, len) == 0);
        }
        CHECK(send(fd, data, 0, 0) == 0);
        job_finish(&r, &o);
        STATUS(&o, 0);
        outcome_free(&o);
        close(fd);
    }
}

/* As the host says of its own end of the link. */
static void who_forbids_fragments_has_none(void)
{
    struct job host = {.argv = {program("inet_corners"), "fragments", LAN_GUEST4, LAN_GUEST6}};
    struct job guest = {.argv = {samara(), "run", "--net", LAN_FIXED, program("inet_corners"),
                                 "fragments", LAN_HOST4, LAN_HOST6}};
    struct outcome want, got;

    lan_make();
    job_run(&host, &want);
    job_run(&guest, &got);
    STATUS(&want, 0);
    STATUS(&got, 0);
    CHECK(strstr(want.out, "Message too long"));
    OUTPUT(&got, want.out);
    outcome_free(&want);
    outcome_free(&got);
}

const struct vm_test traffic_tests[] = {
    {"traffic/a_guest_sends_then_listens", a_guest_sends_then_listens},
    {"traffic/a_guest_listens", a_guest_listens},
    {"traffic/a_guest_gets_back_what_it_sends", a_guest_gets_back_what_it_sends},
    {"traffic/a_guest_gives_back_what_it_gets", a_guest_gives_back_what_it_gets},
    {"traffic/where_nobody_listens_it_is_refused", where_nobody_listens_it_is_refused},
    {"traffic/a_guest_refuses", a_guest_refuses},
    {"traffic/a_killed_peer_is_a_reset", a_killed_peer_is_a_reset},
    {"traffic/datagrams_there_and_back", datagrams_there_and_back},
    {"traffic/a_guest_gives_datagrams_back", a_guest_gives_datagrams_back},
    {"traffic/who_forbids_fragments_has_none", who_forbids_fragments_has_none},
    {NULL, NULL}};
