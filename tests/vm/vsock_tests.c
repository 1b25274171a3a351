/* --vsock: Firecracker's convention, with a program on the other side. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/vm/runner.h"

enum { MANY = 3000 };

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return a;
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        fail_at(__FILE__, __LINE__, "connect %s: %s", path, strerror(errno));
    return fd;
}

static void say(int fd, const char *text)
{
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Reads up to and including a newline, or to the end of the stream. */
static void hear_line(int fd, char *line, size_t size)
{
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (n < size - 1 && poll(&p, 1, 20000) > 0 && read(fd, line + n, 1) == 1) {
        if (line[n++] == '\n')
            break;
    }
    line[n] = '\0';
}

static void start_echo(struct running *r, const char *path)
{
    struct job job = {.argv = {samara(), "run", "--vsock", path, program("vsock_echo"), "listen"},
                      .keep_input_open = true};

    job_start(&job, r);
    CHECK(job_await(r, "listening\n"));
}

static void the_host_connects_to_a_guest_port(void)
{
    const char *path = scratch("v1.sock");
    struct running r;
    char line[64];
    int fd;

    start_echo(&r, path);
    fd = connect_to(path);
    say(fd, "CONNECT 5000\n");
    hear_line(fd, line, sizeof(line));
    CHECK(strncmp(line, "OK ", 3) == 0);
    say(fd, "ping\n");
    hear_line(fd, line, sizeof(line));
    CHECK(strcmp(line, "ping\n") == 0);
    shutdown(fd, SHUT_WR);
    hear_line(fd, line, sizeof(line));
    CHECK(line[0] == '\0');
    job_stop(&r);
}

static void allow_many_files(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max < 2 * MANY ? limit.rlim_max : 2 * MANY;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void thousands_of_connections_at_once_keep_their_data(void)
{
    const char *path = scratch("v2.sock");
    struct running r;
    char line[64], want[64];
    static int fds[MANY];

    allow_many_files();
    start_echo(&r, path);
    for (int i = 0; i < MANY; i++) {
        fds[i] = connect_to(path);
        say(fds[i], "CONNECT 5000\n");
        hear_line(fds[i], line, sizeof(line));
        CHECK(strncmp(line, "OK ", 3) == 0);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(want, sizeof(want), "connection %d\n", i);
        say(fds[i], want);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(want, sizeof(want), "connection %d\n", i);
        hear_line(fds[i], line, sizeof(line));
        CHECK(strcmp(line, want) == 0);
        close(fds[i]);
    }
    job_stop(&r);
}

static void nobody_listening_and_garbage_are_hung_up_on(void)
{
    static const char *const bad[] = {"CONNECT 5001\n",        "HELLO\n",
                                      "CONNECT x\n",           "CONNECT \n",
                                      "CONNECT 99999999999\n", "CONNECT 5000 junk\n"};
    const char *path = scratch("v3.sock");
    struct running r;
    char line[64];

    start_echo(&r, path);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = connect_to(path);

        say(fd, bad[i]);
        hear_line(fd, line, sizeof(line));
        CHECK(line[0] == '\0');
        close(fd);
    }
    job_stop(&r);
}

/* Listens where the guest of this --vsock path finds the host's port. */
static int listen_at(const char *path, const char *port)
{
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    char port_path[108];
    struct sockaddr_un a;

    snprintf(port_path, sizeof(port_path), "%s_%s", path, port);
    a = address(port_path);
    CHECK(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 5) == 0);
    return listener;
}

static void the_guest_connects_to_a_host_socket(void)
{
    const char *path = scratch("v4.sock");
    struct job job = {.argv = {samara(), "run", "--vsock", path, program("vsock_echo"), "connect",
                               "7000", "from the guest"}};
    struct running r;
    struct outcome o;
    char line[64];
    int listener = listen_at(path, "7000");
    int fd;

    job_start(&job, &r);
    fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    hear_line(fd, line, sizeof(line));
    CHECK(strcmp(line, "from the guest\n") == 0);
    say(fd, "from the host\n");
    close(fd);
    job_finish(&r, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "from the host\n");
}

static void messages_of_several_parts_end_where_the_data_ends(void)
{
    const char *path = scratch("v6.sock");
    struct job job = {
        .argv = {samara(), "run", "--vsock", path, program("vsock_messages"), "7002"}};
    struct running r;
    struct outcome o;
    char line[64];
    int listener = listen_at(path, "7002");
    int fd;

    job_start(&job, &r);
    fd = accept(listener, NULL, NULL);
    hear_line(fd, line, sizeof(line));
    say(fd, "abcdefgh");
    hear_line(fd, line, sizeof(line));
    say(fd, "wxyz");
    job_finish(&r, &o);
    close(fd);
    STATUS(&o, 0);
    OUTPUT(&o, "8 abcdefgh\n8 abcdefgh\n8 abcdefgh\n4 wxyz\n-1 \n");
}

static void a_port_without_a_socket_is_refused(void)
{
    struct job job = {.argv = {samara(), "run", "--vsock", scratch("v5.sock"),
                               program("vsock_echo"), "connect", "7001", "x"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 1);
    ERROR_HAS(&o, "reset");
}

/* --- sockets of the guest --- */

static void names_and_options_are_as_on_linux(void)
{
    struct job job = {.argv = {samara(), "run", program("vsock_events"), "calls"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o,
           "device: 1\nasked: 0\nCID: 3\n"
           "bind: 0\nits port: 6000\nbind again: -1 Invalid argument\n"
           "the same port: -1 Address already in use\n"
           "another's CID: -1 Cannot assign requested address\n"
           "any port: 0\nis one: 1\ntaken: -1 Address already in use\nfree again: 0\nno peer: 1\n"
           "size: 262144\nlarger: 0\nis bounded: 262144\nand shrinks: 4096\n"
           "too short: -1 Invalid argument\ntime-out: 2\nlonger: 5500\n"
           "no time: -1 Numerical result out of range\nunknown: -1 Protocol not available\n");
}

static void events_errors_and_halves_are_as_on_linux(void)
{
    const char *path = scratch("v7.sock");
    struct job job = {.argv = {samara(), "run", "--vsock", path, program("vsock_events"), "host",
                               "7003", "7004"}};
    struct running r;
    struct outcome o;
    char line[64];
    int listener = listen_at(path, "7003"), fd;

    job_start(&job, &r);
    fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    hear_line(fd, line, sizeof(line));
    say(fd, "12345678");
    hear_line(fd, line, sizeof(line));
    CHECK(line[0] == '\0');
    say(fd, "bye");
    close(fd);
    job_finish(&r, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "begun: -1 Operation now in progress\ntold: 1\nis reset: 1\nonce: 0\n"
               "begun: -1 Operation now in progress\nconnected: 1 out\nerror: 0\npeer: 2 7003\n"
               "again: -1 Transport endpoint is already connected\n"
               "nothing: 0\nasked: 3\nedge: 1 in\nhalf: 4\nno edge: 0\nlevel: 1 in\nrest: 4\n"
               "none: 0\nempty: -1 Resource temporarily unavailable\n"
               "half: 0\nno more: -1 Broken pipe\nbye: 3\nend: 0\nand so says: 1 in rdhup hup\n");
}

/* As much as goes, until nothing has gone for a while. */
static long fill_host_side(int fd)
{
    static char block[65536];
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    long sent = 0;

    while (poll(&p, 1, 300) > 0) {
        ssize_t n = send(fd, block, sizeof(block), MSG_DONTWAIT);

        sent += n > 0 ? n : 0;
    }
    return sent;
}

static long read_exactly(int fd, long len)
{
    static char block[65536];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    long got = 0;

    while (got < len && poll(&p, 1, 20000) > 0) {
        ssize_t n = read(fd, block, sizeof(block));

        if (n <= 0)
            break;
        got += n;
    }
    return got;
}

static void one_that_nobody_reads_holds_up_no_other(void)
{
    const char *path = scratch("v9.sock");
    struct job job = {
        .argv = {samara(), "run", "--vsock", path, program("vsock_events"), "slow", "7005"}};
    struct running r;
    struct outcome o;
    char line[64], want[64];
    int listener = listen_at(path, "7005"), full, other;
    long sent, filled;

    job_start(&job, &r);
    full = accept(listener, NULL, NULL);
    other = accept(listener, NULL, NULL);
    hear_line(other, line, sizeof(line));
    filled = strtol(line, NULL, 10);
    CHECK(filled > 100000);
    sent = fill_host_side(full);
    CHECK(sent > 100000);
    for (int i = 0; i < 100; i++) {
        snprintf(want, sizeof(want), "line %d\n", i);
        say(other, want);
        hear_line(other, line, sizeof(line));
        CHECK(strcmp(line, want) == 0);
    }
    CHECK(read_exactly(full, filled) == filled);
    shutdown(full, SHUT_WR);
    job_finish(&r, &o);
    STATUS(&o, 0);
    snprintf(want, sizeof(want), "%ld\n", sent);
    OUTPUT(&o, want);
}

/* A server that takes nobody is asked again and again for a second. */
static void a_program_waits_as_long_as_it_says(void)
{
    const char *path = scratch("v12.sock");
    struct job job = {
        .argv = {samara(), "run", "--vsock", path, program("vsock_events"), "impatient", "7006"}};
    struct outcome o;
    char port_path[108];
    struct sockaddr_un a;
    int fd;

    listen_at(path, "7006");
    snprintf(port_path, sizeof(port_path), "%s_7006", path);
    a = address(port_path);
    do
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    while (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    CHECK(errno == EAGAIN);
    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "connect: -1 Connection timed out\n");
}

static int accept_in_time(int listener)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    int fd = poll(&p, 1, 60000) > 0 ? accept(listener, NULL, NULL) : -1;

    CHECK(fd >= 0);
    return fd;
}

static int number_from(int fd)
{
    int number = -1;

    return recv(fd, &number, sizeof(number), MSG_WAITALL) == sizeof(number) ? number : -1;
}

/* With the program's own three all there can be but a few. */
static void all_connections_there_can_be_from_both_sides(void)
{
    enum { EACH = 2040 };
    const char *path = scratch("v11.sock");
    struct job job = {.argv = {samara(), "run", "--mem", "256M", "--vsock", path,
                               program("vsock_events"), "many", "5000", "2040"}};
    struct running r;
    struct outcome o;
    char line[64];
    static int from_guest[EACH], to_guest[EACH];
    int listener;

    allow_many_files();
    listener = listen_at(path, "5000");
    job_start(&job, &r);
    for (int i = 0; i < EACH; i++)
        from_guest[i] = accept_in_time(listener);
    CHECK(job_await(&r, "connected: 2040\n"));
    for (int i = 0; i < EACH; i++) {
        to_guest[i] = connect_to(path);
        say(to_guest[i], "CONNECT 5000\n");
        hear_line(to_guest[i], line, sizeof(line));
        CHECK(strncmp(line, "OK ", 3) == 0);
    }
    for (int i = 0; i < EACH; i++) {
        int number = number_from(from_guest[i]);

        CHECK(write(from_guest[i], &number, sizeof(number)) == sizeof(number));
        CHECK(write(to_guest[i], &i, sizeof(i)) == sizeof(i));
    }
    for (int i = 0; i < EACH; i++)
        CHECK(number_from(to_guest[i]) == i);
    job_finish(&r, &o);
    STATUS(&o, 0);
    for (int i = 0; i < EACH; i++) {
        close(from_guest[i]);
        close(to_guest[i]);
    }
}

static void the_end_of_the_vm_ends_its_connections(void)
{
    const char *path = scratch("v10.sock");
    struct running r;
    char line[64];
    int fd;

    start_echo(&r, path);
    fd = connect_to(path);
    say(fd, "CONNECT 5000\n");
    hear_line(fd, line, sizeof(line));
    job_stop(&r);
    CHECK(read(fd, line, sizeof(line)) <= 0);
}

/* listen(fd, 2) lets three wait, as on Linux; the program takes none before it is told to. */
static void more_than_a_listener_lets_wait_are_refused(void)
{
    const char *path = scratch("v8.sock");
    struct job job = {
        .argv = {samara(), "run", "--vsock", path, program("vsock_events"), "backlog", "5000"},
        .keep_input_open = true};
    struct running r;
    struct outcome o;
    char line[64];
    int fds[5];

    job_start(&job, &r);
    CHECK(job_await(&r, "listening: 0\n"));
    for (int i = 0; i < 5; i++) {
        fds[i] = connect_to(path);
        say(fds[i], "CONNECT 5000\n");
        hear_line(fds[i], line, sizeof(line));
        CHECK((strncmp(line, "OK ", 3) == 0) == (i < 3));
    }
    say(r.in, "x");
    CHECK(job_await(&r, "waited: 3\n"));
    say(fds[4] = connect_to(path), "CONNECT 5000\n");
    hear_line(fds[4], line, sizeof(line));
    CHECK(strncmp(line, "OK ", 3) == 0);
    say(r.in, "x");
    job_finish(&r, &o);
    STATUS(&o, 0);
}

const struct vm_test vsock_tests[] = {
    {"vsock/the_host_connects_to_a_guest_port", the_host_connects_to_a_guest_port},
    {"vsock/thousands_of_connections_at_once_keep_their_data",
     thousands_of_connections_at_once_keep_their_data},
    {"vsock/nobody_listening_and_garbage_are_hung_up_on",
     nobody_listening_and_garbage_are_hung_up_on},
    {"vsock/the_guest_connects_to_a_host_socket", the_guest_connects_to_a_host_socket},
    {"vsock/messages_of_several_parts_end_where_the_data_ends",
     messages_of_several_parts_end_where_the_data_ends},
    {"vsock/a_port_without_a_socket_is_refused", a_port_without_a_socket_is_refused},
    {"vsock/names_and_options_are_as_on_linux", names_and_options_are_as_on_linux},
    {"vsock/events_errors_and_halves_are_as_on_linux", events_errors_and_halves_are_as_on_linux},
    {"vsock/one_that_nobody_reads_holds_up_no_other", one_that_nobody_reads_holds_up_no_other},
    {"vsock/a_program_waits_as_long_as_it_says", a_program_waits_as_long_as_it_says},
    {"vsock/all_connections_there_can_be_from_both_sides",
     all_connections_there_can_be_from_both_sides},
    {"vsock/the_end_of_the_vm_ends_its_connections", the_end_of_the_vm_ends_its_connections},
    {"vsock/more_than_a_listener_lets_wait_are_refused",
     more_than_a_listener_lets_wait_are_refused},
    {NULL, NULL},
};
