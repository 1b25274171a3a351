/* vsock's SOCK_SEQPACKET: messages between programs of the host and of the guest. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/vm/runner.h"

enum { WINDOW = 63 << 10, PATIENCE_MS = 20000 };

static char out[64 << 10], in[64 << 10];

static struct sockaddr_un address(const char *path, const char *suffix)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", path, suffix);
    return a;
}

static void fill(char *to, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (char)(i * 31 + i / 253 + seed);
}

/* The next message; -1 if there is none in time. */
static ssize_t hear(int fd, void *to, size_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, PATIENCE_MS) > 0 ? recv(fd, to, len, 0) : -1;
}

static void hear_exactly(int fd, const void *want, size_t len)
{
    ssize_t n = hear(fd, in, sizeof(in));

    if (n != (ssize_t)len)
        fail_at(__FILE__, __LINE__, "a message of %zd bytes instead of %zu", n, len);
    CHECK(memcmp(in, want, len) == 0);
}

static int connect_to(const char *path, const char *port)
{
    struct sockaddr_un a = address(path, ".seqpacket");
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    char line[64];
    ssize_t n;

    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        fail_at(__FILE__, __LINE__, "connect %s: %s", a.sun_path, strerror(errno));
    snprintf(line, sizeof(line), "CONNECT %s\n", port);
    CHECK(send(fd, line, strlen(line), 0) == (ssize_t)strlen(line));
    n = hear(fd, line, sizeof(line) - 1);
    CHECK(n > 4 && strncmp(line, "OK ", 3) == 0 && line[n - 1] == '\n');
    return fd;
}

static void start_echo(struct running *r, const char *path, const char *memory)
{
    struct job job = {.argv = {samara(), "run", "--mem", memory, "--vsock", path,
                               program("vsock_seqpacket"), "listen", "5000"},
                      .keep_input_open = true};

    job_start(&job, r);
    CHECK(job_await(r, "listening\n"));
}

/* --- clients of the host --- */

static void messages_come_back_one_by_one(void)
{
    static const size_t sizes[] = {1, 5, 4096, 16385, WINDOW, 2, 60000};
    const char *path = scratch("s1.sock");
    struct running r;
    int fd;

    start_echo(&r, path, "128M");
    fd = connect_to(path, "5000");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(out, sizes[i], (unsigned)i);
        CHECK(send(fd, out, sizes[i], 0) == (ssize_t)sizes[i]);
        hear_exactly(fd, out, sizes[i]);
    }
    CHECK(send(fd, "", 0, 0) == 0);
    hear_exactly(fd, "empty", 5);
    for (int i = 0; i < 200; i++)
        CHECK(send(fd, &i, sizeof(i), 0) == sizeof(i));
    for (int i = 0; i < 200; i++)
        hear_exactly(fd, &i, sizeof(i));
    shutdown(fd, SHUT_WR);
    CHECK(hear(fd, in, sizeof(in)) == 0);
    job_stop(&r);
    CHECK(access(path, F_OK) != 0);
    CHECK(access(address(path, ".seqpacket").sun_path, F_OK) != 0);
}

/* As many as go. */
static unsigned send_all(int fd, size_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    unsigned sent = 0;

    while (poll(&p, 1, 300) > 0) {
        memcpy(out, &sent, sizeof(sent));
        if (send(fd, out, len, MSG_DONTWAIT) != (ssize_t)len)
            break;
        sent++;
    }
    return sent;
}

/* The program that echoes would wait for one that does not read, so what is sent fits the windows.
 */
static void one_that_does_not_read_holds_up_no_other(void)
{
    const char *path = scratch("s2.sock");
    struct running r;
    int slow, other;
    unsigned sent;

    start_echo(&r, path, "128M");
    slow = connect_to(path, "5000");
    other = connect_to(path, "5000");
    fill(out, 3000, 1);
    for (sent = 0; sent < 15; sent++) {
        memcpy(out, &sent, sizeof(sent));
        CHECK(send(slow, out, 3000, 0) == 3000);
    }
    for (unsigned i = 0; i < 100; i++) {
        CHECK(send(other, &i, sizeof(i), 0) == sizeof(i));
        hear_exactly(other, &i, sizeof(i));
    }
    for (unsigned i = 0; i < sent; i++) {
        memcpy(out, &i, sizeof(i));
        hear_exactly(slow, out, 3000);
    }
    job_stop(&r);
}

static void a_full_connection_loses_nothing(void)
{
    const char *path = scratch("s3.sock");
    struct running r;
    unsigned sent;
    int fd;

    start_echo(&r, path, "128M");
    fd = connect_to(path, "5000");
    fill(out, 20000, 2);
    sent = send_all(fd, 20000);
    CHECK(sent > 10);
    for (unsigned i = 0; i < sent; i++) {
        memcpy(out, &i, sizeof(i));
        hear_exactly(fd, out, 20000);
    }
    job_stop(&r);
}

/* Little memory has small buffers: a message takes several packets, each way. */
static void a_small_guest_has_large_messages(void)
{
    const char *path = scratch("s7.sock");
    struct running r;
    int fd;

    start_echo(&r, path, "32M");
    fd = connect_to(path, "5000");
    for (unsigned i = 0; i < 50; i++) {
        fill(out, 60000 - i, i);
        CHECK(send(fd, out, 60000 - i, 0) == 60000 - (ssize_t)i);
        if (i < 2)
            continue; /* some are under way all the time */
        fill(out, 60000 - (i - 2), i - 2);
        hear_exactly(fd, out, 60000 - (i - 2));
    }
    job_stop(&r);
}

static void one_that_leaves_takes_nobody_with_it(void)
{
    const char *path = scratch("s4.sock");
    struct running r;
    int fd;

    start_echo(&r, path, "128M");
    for (int i = 0; i < 20; i++) {
        fd = connect_to(path, "5000");
        CHECK(send(fd, out, 5000, 0) == 5000);
        if (i % 2 == 0)
            CHECK(hear(fd, in, sizeof(in)) == 5000);
        close(fd);
    }
    fd = connect_to(path, "5000");
    CHECK(send(fd, "still here", 10, 0) == 10);
    hear_exactly(fd, "still here", 10);
    job_stop(&r);
}

/* --- the guest as the client --- */

static int listen_at(const char *path, int type)
{
    struct sockaddr_un a = address(path, "_7000");
    int listener = socket(AF_UNIX, type, 0);

    CHECK(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 5) == 0);
    return listener;
}

static void the_guests_socket_is_as_on_linux(void)
{
    const char *path = scratch("s5.sock");
    struct job job = {
        .argv = {samara(), "run", "--vsock", path, program("vsock_seqpacket"), "connect", "7000"}};
    struct running r;
    struct outcome o;
    int listener = listen_at(path, SOCK_SEQPACKET), fd;

    job_start(&job, &r);
    fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    memset(out, 'b', WINDOW);
    hear_exactly(fd, out, WINDOW);
    hear_exactly(fd, "last", 4);
    CHECK(send(fd, "abcdef", 6, 0) == 6 && send(fd, "ghi", 3, 0) == 3);
    CHECK(send(fd, "", 0, 0) == 0 && send(fd, out, 50000, 0) == 50000);
    CHECK(hear(fd, in, sizeof(in)) == 0);
    CHECK(send(fd, "back", 4, 0) == 4);
    close(fd);
    job_finish(&r, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "big: 64512\n"
               "too big: -1 Message too long\n"
               "nothing: 0\n"
               "last: 4\n"
               "peeked: 6 cut abc\n"
               "cut: 3 cut abc\n"
               "next: 3 ghi\n"
               "empty: 0 \n"
               "long: 50000 cut bbbbbbbb\n"
               "none yet: Resource temporarily unavailable\n"
               "half: 0\n"
               "after that: -1 Broken pipe\n"
               "still: 4 back\n"
               "end: 0 \n");
}

static void a_server_of_the_other_type_is_nobody(void)
{
    const char *path = scratch("s6.sock");
    struct job job = {
        .argv = {samara(), "run", "--vsock", path, program("vsock_seqpacket"), "connect", "7000"}};
    struct outcome o;

    listen_at(path, SOCK_STREAM);
    job_run(&job, &o);
    STATUS(&o, 1);
    OUTPUT(&o, "connect: Connection reset by peer\n");
}

/* What is left behind is a socket at which nobody listens. */
static void a_socket_left_behind_is_no_hindrance(void)
{
    const char *path = scratch("s7.sock");
    struct job job = {.argv = {samara(), "run", "--vsock", path, program("hello")}};
    struct sockaddr_un second = address(path, ".seqpacket");
    struct outcome o;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&second, sizeof(second)) == 0);
    CHECK(listen(fd, 1) == 0);
    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, ".seqpacket: it exists; remove it if no VM uses it");
    close(fd);
    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(access(second.sun_path, F_OK) != 0);
    fd = open(second.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* somebody's file is */
    CHECK(fd >= 0);
    close(fd);
    job_run(&job, &o);
    STATUS(&o, 125);
    CHECK(unlink(second.sun_path) == 0);
}

const struct vm_test seqpacket_tests[] = {
    {"seqpacket/messages_come_back_one_by_one", messages_come_back_one_by_one},
    {"seqpacket/one_that_does_not_read_holds_up_no_other",
     one_that_does_not_read_holds_up_no_other},
    {"seqpacket/a_full_connection_loses_nothing", a_full_connection_loses_nothing},
    {"seqpacket/a_small_guest_has_large_messages", a_small_guest_has_large_messages},
    {"seqpacket/one_that_leaves_takes_nobody_with_it", one_that_leaves_takes_nobody_with_it},
    {"seqpacket/the_guests_socket_is_as_on_linux", the_guests_socket_is_as_on_linux},
    {"seqpacket/a_socket_left_behind_is_no_hindrance", a_socket_left_behind_is_no_hindrance},
    {"seqpacket/a_server_of_the_other_type_is_nobody", a_server_of_the_other_type_is_nobody},
    {NULL, NULL},
};
