/* The control protocol and the VM's end of it, against clients who behave and clients who do not.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control_dir.h"
#include "monitor/control_server.h"
#include "monitor/runtime_dir.h"

/* --- frames --- */

Test(control_proto, a_request_is_eight_bytes)
{
    static const uint8_t pause[CONTROL_HEADER] = {0, 0, 0, 0, 1, 0, 2, 0};
    struct control_frame frame = {.version = CONTROL_VERSION, .kind = CONTROL_PAUSE};
    uint8_t bytes[CONTROL_HEADER];

    control_put_header(bytes, &frame);
    cr_assert_arr_eq(bytes, pause, sizeof(pause));
    for (size_t i = 0; i < sizeof(pause); i++)
        cr_assert_eq(control_parse(pause, i, &frame), CONTROL_MORE);
    frame = (struct control_frame){0};
    cr_assert_eq(control_parse(pause, sizeof(pause), &frame), CONTROL_GOOD);
    cr_assert_eq(frame.kind, CONTROL_PAUSE);
}

Test(control_proto, other_versions_and_kinds_are_unknown_and_lengths_bad)
{
    static const struct {
        uint8_t bytes[CONTROL_HEADER];
        enum control_verdict verdict;
    } cases[] = {
        {{0, 0, 0, 0, 2, 0, 1, 0}, CONTROL_UNKNOWN}, {{0, 0, 0, 0, 0, 0, 1, 0}, CONTROL_UNKNOWN},
        {{0, 0, 0, 0, 1, 0, 0, 0}, CONTROL_UNKNOWN}, {{0, 0, 0, 0, 1, 0, 11, 0}, CONTROL_UNKNOWN},
        {{0, 0, 0, 0, 1, 0, 9, 0}, CONTROL_BAD},     {{0, 0, 0, 0, 1, 0, 7, 0}, CONTROL_BAD},
        {{9, 0, 0, 0, 1, 0, 7, 0}, CONTROL_BAD},     {{8, 0, 0, 0, 1, 0, 7, 0}, CONTROL_MORE},
        {{8, 0, 0, 0, 1, 0, 8, 0}, CONTROL_BAD},     {{1, 0, 0, 0, 1, 0, 1, 0}, CONTROL_BAD},
        {{0, 0, 0, 128, 1, 0, 1, 0}, CONTROL_BAD},   {"GET / HT", CONTROL_BAD}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct control_frame frame;

        cr_assert_eq(control_parse(cases[i].bytes, CONTROL_HEADER, &frame), cases[i].verdict, "%zu",
                     i);
    }
}

Test(control_proto, an_answer_is_to_its_question_and_bounded)
{
    uint8_t bytes[CONTROL_HEADER];
    struct control_frame frame = {
        .length = CONTROL_PAYLOAD, .version = 1, .kind = CONTROL_ANSWER | CONTROL_KILL};

    control_put_header(bytes, &frame);
    cr_assert_eq(control_parse_answer(bytes, sizeof(bytes), CONTROL_KILL, &frame), CONTROL_GOOD);
    cr_assert_eq(control_parse_answer(bytes, sizeof(bytes), CONTROL_PAUSE, &frame), CONTROL_BAD);
    frame.length++;
    control_put_header(bytes, &frame);
    cr_assert_eq(control_parse_answer(bytes, sizeof(bytes), CONTROL_KILL, &frame), CONTROL_BAD);
}

/* --- the server --- */

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct event_loop loop;
static struct control_server server;
static struct unix_listener listener;
static unsigned requests;

static bool on_request(void *arg, enum control_kind kind, const void *payload, char *answer,
                       size_t *length)
{
    (void)arg;
    (void)payload;
    requests++;
    if (kind == CONTROL_PAUSE)
        return false;
    *length = (size_t)sprintf(answer, "{\"ok\":true,\"kind\":%d}", kind);
    if (kind == CONTROL_LIST)
        *length = CONTROL_PAYLOAD; /* as large as can be */
    return true;
}

static void serve(unsigned owner)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/samara-control-%d.sock", (int)getpid());
    cr_assert_eq(unix_listen(&listener, path, sizeof(path), NULL), 0);
    cr_assert_eq(loop_init(&loop, &lock, NULL), 0);
    control_start(&server, &loop, dup(listener.fd), owner, on_request, NULL, NULL);
}

static void open_server(void)
{
    serve(geteuid());
}

static void close_server(void)
{
    unix_unlisten(&listener);
    loop_close(&loop);
}

TestSuite(control_server, .init = open_server, .fini = close_server, .timeout = 30);

/* Until everybody had a turn. */
static void turn(void)
{
    do {
        for (unsigned i = 0; i < 4; i++)
            cr_assert_eq(loop_turn(&loop, server.starved ? 5 : 0, NULL), 0);
    } while (server.starved);
}

static int connect_client(void)
{
    int fd = unix_connect(listener.path);

    cr_assert_geq(fd, 0);
    return fd;
}

static void ask(int fd, unsigned version, unsigned kind)
{
    const uint8_t bytes[CONTROL_HEADER] = {0, 0, 0, 0, (uint8_t)version, 0, (uint8_t)kind, 0};

    cr_assert_eq(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    turn();
}

Test(control_server, whoever_asks_without_end_gets_a_few_answers_a_millisecond)
{
    enum { MANY = 1000 };
    const uint8_t list[CONTROL_HEADER] = {0, 0, 0, 0, 1, 0, CONTROL_STATUS, 0};
    static uint8_t all[MANY * CONTROL_HEADER];
    int fd = connect_client();

    for (size_t i = 0; i < MANY; i++)
        memcpy(all + i * CONTROL_HEADER, list, CONTROL_HEADER);
    cr_assert_eq(write(fd, all, sizeof(all)), sizeof(all));
    cr_assert_eq(loop_turn(&loop, 0, NULL), 0); /* accepts */
    for (unsigned i = 0; i < 20 && server.turns < CONTROL_TURNS; i++)
        cr_assert_eq(loop_turn(&loop, 0, NULL), 0);
    cr_assert_leq(requests, CONTROL_TURNS);
    for (unsigned i = 0; requests < 20 && i < 10000; i++)
        cr_assert_eq(loop_turn(&loop, 10, NULL), 0);
    cr_assert_geq(requests, 20, "and then more");
}

/* The payload of an answer to kind, as a string. */
static const char *answer(int fd, unsigned kind)
{
    static char text[CONTROL_PAYLOAD + 1];
    struct control_frame frame;
    uint8_t header[CONTROL_HEADER];

    turn();
    cr_assert_eq(read(fd, header, sizeof(header)), sizeof(header));
    cr_assert_eq(control_parse_answer(header, sizeof(header), kind, &frame), CONTROL_GOOD);
    cr_assert_eq(read(fd, text, frame.length), frame.length);
    text[frame.length] = '\0';
    return text;
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n;

    turn();
    n = read(fd, &byte, 1);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static unsigned clients(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        count += server.clients[i].fd >= 0;
    return count;
}

Test(control_server, requests_are_answered_in_order)
{
    int fd = connect_client();

    for (unsigned kind = CONTROL_RESUME; kind < CONTROL_LIST; kind++) {
        char want[64];

        ask(fd, 1, kind);
        snprintf(want, sizeof(want), "{\"ok\":true,\"kind\":%u}", kind);
        cr_assert_str_eq(answer(fd, kind), want);
    }
}

Test(control_server, a_request_may_come_in_pieces_and_several_at_once)
{
    static const uint8_t two[] = {0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 3, 0};
    int fd = connect_client();

    for (size_t i = 0; i < 7; i++) {
        cr_assert_eq(write(fd, two + i, 1), 1);
        turn();
    }
    cr_assert_eq(requests, 0);
    cr_assert_eq(write(fd, two + 7, sizeof(two) - 7), sizeof(two) - 7);
    answer(fd, CONTROL_STATUS);
    answer(fd, CONTROL_RESUME);
    cr_assert_eq(requests, 2);
}

Test(control_server, an_answer_may_come_later)
{
    int first = connect_client(), second = connect_client();
    char byte;

    ask(first, 1, CONTROL_PAUSE);
    ask(second, 1, CONTROL_PAUSE);
    cr_assert_eq(read(first, &byte, 1), -1);
    close(second);
    turn();
    control_answer_waiting(&server, CONTROL_PAUSE, "{\"ok\":true}", 11);
    cr_assert_str_eq(answer(first, CONTROL_PAUSE), "{\"ok\":true}");
    ask(first, 1, CONTROL_STATUS);
    answer(first, CONTROL_STATUS);
}

Test(control_server, another_version_is_told_ours_and_hung_up_on)
{
    int fd = connect_client();
    struct control_frame frame;
    uint8_t bytes[CONTROL_HEADER + 200];
    ssize_t n;

    ask(fd, 9, CONTROL_STATUS);
    n = read(fd, bytes, sizeof(bytes) - 1);
    cr_assert_gt(n, CONTROL_HEADER);
    bytes[n] = '\0';
    cr_assert_eq(control_parse_answer(bytes, CONTROL_HEADER, CONTROL_STATUS, &frame), CONTROL_GOOD);
    cr_assert(strstr((char *)bytes + CONTROL_HEADER,
                     "\"ok\":false,\"error\":\"no request 1 of version 9"));
    cr_assert(is_closed(fd));
    cr_assert_eq(requests, 0);
}

Test(control_server, garbage_is_hung_up_on)
{
    int fd = connect_client();

    cr_assert_eq(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    cr_assert(is_closed(fd));
    cr_assert_eq(clients(), 0);
}

Test(control_server, those_who_come_first_give_way)
{
    int fds[CONTROL_CLIENTS + 3];

    for (unsigned i = 0; i < CONTROL_CLIENTS + 3; i++) {
        fds[i] = connect_client();
        turn();
    }
    cr_assert_eq(clients(), CONTROL_CLIENTS);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(is_closed(fds[i]));
    ask(fds[3], 1, CONTROL_STATUS);
    answer(fds[3], CONTROL_STATUS);
}

Test(control_server, a_client_that_never_reads_stops_itself_only)
{
    int greedy = connect_client(), other = connect_client();
    uint8_t bytes[CONTROL_HEADER * 64] = {0};

    for (unsigned i = 0; i < 64; i++) {
        bytes[i * CONTROL_HEADER + 4] = CONTROL_VERSION;
        bytes[i * CONTROL_HEADER + 6] = CONTROL_LIST;
    }
    for (unsigned i = 0; i < 2000; i++) {
        if (write(greedy, bytes, sizeof(bytes)) < 0)
            break;
        turn();
    }
    cr_assert_lt(requests, 1000, "its answers wait, and so do its requests");
    ask(other, 1, CONTROL_STATUS);
    answer(other, CONTROL_STATUS);
    server.clients[0].deadline_ns = 1;
    loop_timer_set(&loop, &server.patience, 1);
    loop_turn(&loop, 100, NULL);
    cr_assert_eq(clients(), 1);
}

Test(control_server, silence_is_hung_up_on)
{
    int fd = connect_client();

    turn();
    cr_assert_eq(clients(), 1);
    cr_assert(server.patience.armed);
    server.clients[0].deadline_ns = 1;
    loop_timer_set(&loop, &server.patience, 1);
    loop_turn(&loop, 100, NULL);
    cr_assert(is_closed(fd));
}

Test(control_server_of_another, only_the_owner_is_listened_to, .timeout = 20)
{
    int fd;

    serve(geteuid() + 1);
    fd = connect_client();
    cr_assert(is_closed(fd));
    cr_assert_eq(clients(), 0);
    close_server();
}

/* --- where it is --- */

Test(control_dir, names_are_plain)
{
    static const char *const bad[] = {
        "",    ".",   "..",  ".x",       "-x",
        "a/b", "a b", "a\n", "\xc3\xa4", "1234567890123456789012345678901234567890123456789"};
    char name[VM_NAME_MAX + 1];

    cr_assert_eq(vm_name_check("web-1.a_B", NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(vm_name_check(bad[i], NULL), -1, "%s", bad[i]);
    vm_name_default(name, "/bin/busybox");
    cr_assert_eq(strncmp(name, "busybox-", 8), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vm_name_default(name, bad[i]);
        cr_assert_eq(vm_name_check(name, NULL), 0, "%s from %s", name, bad[i]);
    }
}

static char home[] = "/tmp/samara-dir-XXXXXX";

static void make_home(void)
{
    cr_assert_not_null(mkdtemp(home));
    setenv("XDG_RUNTIME_DIR", home, 1);
}

TestSuite(runtime_dir, .init = make_home);

Test(runtime_dir, it_is_the_users_alone)
{
    char path[UNIX_PATH_MAX + 1], link[128];
    struct err err;
    struct stat st;

    cr_assert_eq(runtime_dir_path(path, &err), 0, "%s", err.text);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    chmod(path, 0770);
    cr_assert_eq(runtime_dir_path(path, &err), -1);
    cr_assert(strstr(err.text, "yours alone"), "%s", err.text);
    rmdir(path);
    snprintf(link, sizeof(link), "%s", path);
    cr_assert_eq(symlink("/tmp", link), 0);
    cr_assert_eq(runtime_dir_path(path, &err), -1, "somebody else's by a link");
    unlink(link);
    rmdir(home);
}

Test(runtime_dir, what_is_not_there_is_not_called_unsafe)
{
    char path[UNIX_PATH_MAX + 1];
    struct err err;

    cr_assert_eq(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0);
    cr_assert_eq(runtime_dir_path(path, &err), -1);
    cr_assert_str_eq(err.text, "make /nonexistent/samara: No such file or directory");
    rmdir(home);
}

Test(runtime_dir, a_vms_socket_is_its_users_and_replaces_a_dead_ones)
{
    struct unix_listener first = UNIX_LISTENER_NONE, second = UNIX_LISTENER_NONE;
    struct err err;
    struct stat st;

    cr_assert_eq(control_listen(&first, "web", &err), 0, "%s", err.text);
    cr_assert_eq(stat(first.path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(control_listen(&second, "web", &err), -1);
    cr_assert_str_eq(err.text, "a VM called web runs already (see `samara ps`)");
    close(first.fd); /* its keeper was killed */
    cr_assert_eq(control_listen(&second, "web", &err), 0, "%s", err.text);
    unix_unlisten(&second);
    cr_assert_eq(control_listen(&second, "../web", &err), -1);
}
