/* Sockets at paths: made, taken, removed if they are ours. */
#include "monitor/unix_socket.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct unix_listener listener = UNIX_LISTENER_NONE;
static struct err err;
static char path[128];

static void setup(void)
{
    snprintf(path, sizeof(path), "/tmp/samara-unix-%d.sock", (int)getpid());
    cr_assert_eq(unix_listen(&listener, path, 96, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    unix_unlisten(&listener);
}

TestSuite(unix_socket, .init = setup, .fini = teardown, .timeout = 20);

Test(unix_socket, a_taken_path_says_what_to_do)
{
    struct unix_listener second;
    char want[200];

    cr_assert_eq(unix_listen(&second, path, 96, &err), -1);
    cr_assert_eq(errno, EADDRINUSE);
    snprintf(want, sizeof(want), "%s: it exists; remove it if no VM uses it", path);
    cr_assert_str_eq(err.text, want);
    cr_assert_eq(second.fd, -1);
    cr_assert_eq(access(path, F_OK), 0, "and leaves it alone");
}

Test(unix_socket, a_name_is_taken_only_if_it_is_free)
{
    char named[160];

    snprintf(named, sizeof(named), "%s.named", path);
    cr_assert_eq(unix_rename(&listener, "/proc/self/exe"), -1);
    cr_assert_eq(access(path, F_OK), 0);
    cr_assert_eq(unix_rename(&listener, named), 0);
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_geq(unix_connect(named), 0);
    unix_unlisten(&listener);
    cr_assert_neq(access(named, F_OK), 0);
}

Test(unix_socket, only_our_own_is_removed_at_the_end)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int other = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, path, strlen(path));
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
    unix_unlisten(&listener);
    cr_assert_eq(access(path, F_OK), 0, "another VM's");
    unlink(path);
}

Test(unix_socket, ours_is_removed_at_the_end)
{
    unix_unlisten(&listener);
    cr_assert_eq(access(path, F_OK), -1);
    unix_unlisten(&listener);
}

Test(unix_socket, a_path_has_as_many_characters_as_it_may)
{
    struct unix_listener second;
    char text[200];

    snprintf(text, sizeof(text), "/tmp/%0150d", (int)getpid());
    text[96] = '\0';
    cr_assert_eq(unix_listen(&second, text, 96, &err), 0, "%s", err.text);
    unix_unlisten(&second);
    cr_assert_eq(unix_listen(&second, text, 95, &err), -1);
    cr_assert_str_eq(err.text, "the path must have 1 to 95 characters");
    cr_assert_eq(unix_listen(&second, "", 95, &err), -1);
    memset(text, 'x', 150);
    text[150] = '\0';
    cr_assert_eq(unix_listen(&second, text, 150, &err), -1);
    cr_assert_str_eq(err.text, "the path must have 1 to 107 characters");
}

Test(unix_socket, connecting_does_not_wait)
{
    int fd = unix_connect(path), queued = 0;

    cr_assert_geq(fd, 0);
    while ((fd = unix_connect(path)) >= 0 && queued < 1000)
        queued++;
    cr_assert_eq(fd, -EAGAIN, "the queue is full");
    cr_assert_eq(unix_connect("/no/such/socket"), -ENOENT);
    memset(path, 'x', 120);
    cr_assert_eq(unix_connect(path), -ENAMETOOLONG);
}

/* Whether a receive without room for credentials told of a message; -1: there was none. */
static int hears(int fd)
{
    struct msghdr msg = {.msg_iovlen = 0};

    if (recvmsg(fd, &msg, MSG_DONTWAIT) < 0)
        return -1;
    return (msg.msg_flags & MSG_CTRUNC) != 0;
}

Test(unix_socket, messages_tell_an_empty_one_from_the_end_on_both_sides)
{
    struct unix_listener second = UNIX_LISTENER_NONE;
    int ends[2];

    strcat(path, ".seqpacket");
    cr_assert_eq(unix_listen_type(&second, SOCK_SEQPACKET, path, sizeof(path), &err), 0);
    cr_assert_eq(unix_connect(path), -EPROTOTYPE);
    ends[0] = unix_connect_type(SOCK_SEQPACKET, path);
    cr_assert_geq(ends[0], 0);
    ends[1] = accept(second.fd, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(send(ends[i], "", 0, 0), 0);
        shutdown(ends[i], SHUT_WR);
        cr_assert_eq(hears(ends[1 - i]), 1);
        cr_assert_eq(hears(ends[1 - i]), 0);
    }
    unix_unlisten(&second);
    cr_assert_eq(access(path, F_OK), -1);
}

/* Bytes that it takes while nobody reads. */
static size_t fill(int fd)
{
    static char block[4096];
    size_t sum = 0;
    ssize_t put;

    while ((put = write(fd, block, sizeof(block))) > 0)
        sum += (size_t)put;
    cr_assert_eq(errno, EAGAIN);
    return sum;
}

Test(unix_socket, an_enlarged_one_takes_more)
{
    const int usual = unix_connect(path), large = unix_connect(path);

    cr_assert(usual >= 0 && large >= 0);
    unix_enlarge(large);
    cr_expect_gt(fill(large), fill(usual));
    close(usual);
    close(large);
}
