/* See link.h. */
#include "monitor/link.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PASSED = 48 };

/* Room for one descriptor, and for many, aligned as cmsghdr wants it. */
union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int))];
};
union big_control {
    struct cmsghdr align;
    char room[CMSG_SPACE(PASSED * sizeof(int))];
};

int link_open(int ends[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return err_sys(err, "socketpair");
    return 0;
}

/* Where msg has room for them. */
static void attach(struct msghdr *msg, void *room, const int *fds, unsigned count)
{
    struct cmsghdr *head;

    msg->msg_control = room;
    msg->msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
    head = CMSG_FIRSTHDR(msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
}

bool link_send(int end, const struct link_message *message, int fd)
{
    struct link_message copy = *message;
    struct iovec iov = {.iov_base = &copy, .iov_len = sizeof(copy)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control = {.room = {0}};

    if (fd >= 0)
        attach(&msg, control.room, &fd, 1);
    return sendmsg(end, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(copy);
}

/* How many came, at most `most`. */
static unsigned attached(struct msghdr *msg, int *fds, unsigned most)
{
    const struct cmsghdr *head = CMSG_FIRSTHDR(msg);
    size_t size;

    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
        head->cmsg_len < CMSG_LEN(0))
        return 0;
    size = head->cmsg_len - CMSG_LEN(0);
    size = size < most * sizeof(int) ? size : most * sizeof(int);
    memcpy(fds, CMSG_DATA(head), size);
    return (unsigned)(size / sizeof(int));
}

bool link_pass(int end, const void *bytes, size_t size, const int *fds, unsigned count)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    union big_control control = {.room = {0}};

    assert(count > 0 && count <= PASSED);
    attach(&msg, control.room, fds, count);
    return sendmsg(end, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

int link_await(int end, void *bytes, size_t size, int *fds, unsigned most)
{
    struct pollfd coming = {.fd = end, .events = POLLIN};
    struct iovec iov = {.iov_base = bytes, .iov_len = size};
    union big_control control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};

    while (poll(&coming, 1, -1) < 0) {
        if (errno != EINTR)
            return -1;
    }
    if (recvmsg(end, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)size ||
        (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return -1;
    return (int)attached(&msg, fds, most);
}

int link_receive(int end, struct link_message *message, int *fd)
{
    for (;;) {
        struct iovec iov = {.iov_base = message, .iov_len = sizeof(*message)};
        union control control;
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t got;
        int passed = -1;

        if (fd != NULL) {
            msg.msg_control = control.room;
            msg.msg_controllen = sizeof(control.room);
        }
        got = recvmsg(end, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        if (fd != NULL)
            attached(&msg, &passed, 1);
        if (got == (ssize_t)sizeof(*message) && !(msg.msg_flags & MSG_TRUNC)) {
            if (fd != NULL)
                *fd = passed;
            return 1;
        }
        if (passed >= 0)
            close(passed);
    }
}
