/* What keeper and monitor say to each other, and what they do not listen to. */
#include "monitor/link.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct link_message hello = {.kind = LINK_DIAL, .value = 80, .ticket = 7};
static int ends[2];

static void setup(void)
{
    cr_assert_eq(link_open(ends, NULL), 0);
}

TestSuite(link, .init = setup, .timeout = 20);

Test(link, a_message_arrives_as_it_was)
{
    struct link_message got = {0};
    int fd = 5;

    cr_assert_eq(link_receive(ends[0], &got, &fd), 0, "none yet, and no waiting");
    cr_assert(link_send(ends[1], &hello, -1));
    cr_assert_eq(link_receive(ends[0], &got, &fd), 1);
    cr_assert_eq(got.kind, LINK_DIAL);
    cr_assert_eq(got.value, 80);
    cr_assert_eq(got.ticket, 7);
    cr_assert_eq(fd, -1);
}

Test(link, a_descriptor_comes_along)
{
    struct link_message got;
    int pipes[2], fd;
    char byte = 0;

    cr_assert_eq(pipe(pipes), 0);
    cr_assert(link_send(ends[1], &hello, pipes[1]));
    cr_assert_eq(link_receive(ends[0], &got, &fd), 1);
    cr_assert_neq(fd, pipes[1]);
    cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    cr_assert_eq(write(fd, "x", 1), 1);
    cr_assert_eq(read(pipes[0], &byte, 1), 1);
    cr_assert_eq(byte, 'x');
}

/* The keeper takes none: a hostile monitor could fill its table. */
Test(link, a_descriptor_that_nobody_wants_is_not_taken)
{
    struct link_message got;
    int pipes[2], next;
    char byte;

    cr_assert_eq(pipe(pipes), 0);
    next = dup(0);
    close(next);
    cr_assert(link_send(ends[1], &hello, pipes[1]));
    close(pipes[1]);
    cr_assert_eq(link_receive(ends[0], &got, NULL), 1);
    cr_assert_leq(dup(0), next, "no descriptor was made");
    cr_assert_eq(read(pipes[0], &byte, 1), 0, "and none is under way");
}

Test(link, what_has_another_size_is_dropped)
{
    char large[64] = {0};
    struct link_message got;
    int fd;

    cr_assert_eq(send(ends[1], large, sizeof(large), 0), sizeof(large));
    cr_assert_eq(send(ends[1], large, 3, 0), 3);
    cr_assert(link_send(ends[1], &hello, -1));
    cr_assert_eq(link_receive(ends[0], &got, &fd), 1);
    cr_assert_eq(got.value, 80);
    cr_assert_eq(link_receive(ends[0], &got, &fd), 0);
}

Test(link, the_other_ends_end_is_seen_behind_its_last_message)
{
    struct link_message got;
    int fd;

    cr_assert(link_send(ends[1], &hello, -1));
    close(ends[1]);
    cr_assert_eq(link_receive(ends[0], &got, &fd), 1);
    cr_assert_eq(link_receive(ends[0], &got, &fd), -1);
    cr_assert(!link_send(ends[0], &hello, -1));
}

Test(link, a_full_link_does_not_wait)
{
    unsigned sent = 0;

    while (link_send(ends[1], &hello, -1))
        cr_assert_lt(sent++, 100000u);
    cr_assert_gt(sent, 16);
}
