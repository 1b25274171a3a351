/* Programs that many use, unmodified, in a guest with a network: a server upon libevent, iperf3. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/vm/lan.h"
#include "tests/vm/runner.h"

/* --- HTTP: 10000 requests, 100 at a time --- */

enum { CLIENTS = 100, EACH = 100, LINES = 1000, ANSWER_MOST = 8192 };

/* One connection, which asks again when it was answered. */
struct client {
    int fd;
    unsigned number, asked;
    size_t got;
    char answer[ANSWER_MOST];
};

/* All lengths of answers up to LINES lines occur. */
static unsigned wanted(const struct client *c)
{
    return (c->number * EACH + c->asked) % LINES;
}

static void ask(struct client *c)
{
    char request[128];

    c->got = 0;
    c->asked++;
    snprintf(request, sizeof(request), "GET /%u HTTP/1.1\r\nHost: guest\r\n\r\n", wanted(c));
    lan_send(c->fd, request, strlen(request));
}

static void body_is_right(const struct client *c, const char *body, size_t len)
{
    char line[16];
    size_t line_len = (size_t)snprintf(line, sizeof(line), "%u\n", wanted(c));

    CHECK(len == line_len * wanted(c));
    for (size_t at = 0; at < len; at += line_len)
        CHECK(memcmp(body + at, line, line_len) == 0);
}

/* The answer is whole; it is checked, too. */
static bool is_answered(struct client *c)
{
    const char *end = strstr(c->answer, "\r\n\r\n"), *length;
    size_t body;

    if (!end)
        return false;
    CHECK(strncmp(c->answer, "HTTP/1.1 200 OK\r\n", 17) == 0);
    length = strstr(c->answer, "Content-Length: ");
    CHECK(length && length < end);
    body = strtoul(length + 16, NULL, 10);
    end += 4;
    if (c->got < (size_t)(end - c->answer) + body)
        return false;
    CHECK(c->got == (size_t)(end - c->answer) + body);
    body_is_right(c, end, body);
    return true;
}

static bool goes_on(struct client *c)
{
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MOST - 1 - c->got, 0);

    CHECK(n > 0);
    c->got += (size_t)n;
    c->answer[c->got] = '\0';
    if (!is_answered(c))
        return true;
    if (c->asked == EACH)
        return false;
    ask(c);
    return true;
}

static void ask_all(struct client *clients)
{
    struct pollfd p[CLIENTS];
    unsigned left = CLIENTS;

    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.number = i};
        clients[i].fd = lan_connect(SOCK_STREAM, LAN_GUEST4, 8080);
        p[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        ask(&clients[i]);
    while (left > 0) {
        CHECK(poll(p, CLIENTS, 60000) > 0);
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (p[i].revents && !goes_on(&clients[i])) {
                p[i].fd = -1;
                left--;
            }
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        close(clients[i].fd);
}

static void an_event_loop_serves_a_hundred_at_a_time(void)
{
    static struct client clients[CLIENTS];
    static const char end[] = "GET /end HTTP/1.1\r\nHost: guest\r\n\r\n";
    struct job job = {
        .argv = {samara(), "run", "--net", LAN_FIXED, program("http_server"), "8080"}};
    struct running r;
    struct outcome o;
    int fd;

    lan_make();
    job_start(&job, &r);
    CHECK(job_await(&r, "ready\n"));
    ask_all(clients);
    fd = lan_connect(SOCK_STREAM, LAN_GUEST4, 8080);
    lan_send(fd, end, sizeof(end) - 1);
    job_finish(&r, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "10000 answered\n");
    ERROR_HAS(&o, "epoll\n");
    close(fd);
    outcome_free(&o);
}

/* --- iperf3 --- */

#define IPERF "/usr/bin/iperf3"

static bool iperf_is_missing(void)
{
    if (access(IPERF, X_OK) == 0)
        return false;
    fprintf(stderr, "    !!! no " IPERF ": not tested\n");
    return true;
}

/* Of its report in JSON; a reverse or a forward one alike. */
static unsigned long bytes_received(const struct outcome *o)
{
    const char *sum = strstr(o->out, "\"sum_received\""), *bytes;

    if (!sum) /* of UDP there is one alone */
        sum = strstr(o->out, "\"sum\":");
    CHECK(sum);
    bytes = strstr(sum, "\"bytes\":");
    CHECK(bytes);
    return strtoul(bytes + strlen("\"bytes\":"), NULL, 10);
}

/* The last of them may be under way when the receiver's account is made. */
static void nearly_all_came(const struct outcome *o, unsigned long wanted_bytes)
{
    unsigned long bytes = bytes_received(o);

    if (bytes < wanted_bytes / 2)
        fail_at(__FILE__, __LINE__, "%lu bytes came of %lu", bytes, wanted_bytes);
}

static const struct iperf_way {
    const char *words[6];
    unsigned long bytes;
} iperf_ways[] = {
    {{"-n", "32M"}, 32 << 20},
    {{"-n", "32M", "-R"}, 32 << 20},
    {{"-n", "1M", "-u", "-b", "20M"}, 1 << 20},
    {{"-n", "1M", "-u", "-b", "20M", "-R"}, 1 << 20},
};
enum { IPERF_WAYS = sizeof(iperf_ways) / sizeof(iperf_ways[0]) };

static void add_words(struct job *job, const struct iperf_way *way)
{
    unsigned at = 0;

    while (job->argv[at])
        at++;
    for (unsigned i = 0; i < 6 && way->words[i]; i++)
        job->argv[at++] = way->words[i];
}

static void iperf_reaches_a_server(void)
{
    static const char *const server[] = {IPERF, "-s", "-1", "-B", LAN_HOST4, NULL};

    if (iperf_is_missing())
        return;
    lan_make();
    for (unsigned i = 0; i < IPERF_WAYS; i++) {
        struct job job = {
            .argv = {samara(), "run", "--net", LAN_FIXED, program("iperf"), "-J", "-c", LAN_HOST4}};
        pid_t pid = beside_run(server);
        struct outcome o;

        lan_await_listener(5201);
        add_words(&job, &iperf_ways[i]);
        job_run(&job, &o);
        STATUS(&o, 0);
        nearly_all_came(&o, iperf_ways[i].bytes);
        beside_ends(pid);
        outcome_free(&o);
    }
}

static void iperf_serves(void)
{
    struct job guest = {.argv = {samara(), "run", "--net", LAN_FIXED, program("iperf"), "-s", "-1",
                                 "--forceflush"}};

    if (iperf_is_missing())
        return;
    lan_make();
    for (unsigned i = 0; i < IPERF_WAYS; i++) {
        struct job job = {.argv = {IPERF, "-J", "-c", LAN_GUEST4}};
        struct running r;
        struct outcome o;

        job_start(&guest, &r);
        CHECK(job_await(&r, "Server listening"));
        add_words(&job, &iperf_ways[i]);
        job_run(&job, &o);
        STATUS(&o, 0);
        nearly_all_came(&o, iperf_ways[i].bytes);
        outcome_free(&o);
        job_finish(&r, &o);
        STATUS(&o, 0);
        outcome_free(&o);
    }
}

const struct vm_test traffic_program_tests[] = {
    {"traffic_program/an_event_loop_serves_a_hundred_at_a_time",
     an_event_loop_serves_a_hundred_at_a_time},
    {"traffic_program/iperf_reaches_a_server", iperf_reaches_a_server},
    {"traffic_program/iperf_serves", iperf_serves},
    {NULL, NULL}};
