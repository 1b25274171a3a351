/* See link.h. */
#include "monitor/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One descriptor's worth, aligned as cmsghdr wants it. */
union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int))];
};

int link_open(int ends[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return err_sys(err, "socketpair");
    return 0;
}

static void attach(struct msghdr *msg, union control *control, int fd)
{
    struct cmsghdr *head;

    memset(control, 0, sizeof(*control));
    msg->msg_control = control->room;
    msg->msg_controllen = sizeof(control->room);
    head = CMSG_FIRSTHDR(msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
}

bool link_send(int end, const struct link_message *message, int fd)
{
    struct link_message copy = *message;
    struct iovec iov = {.iov_base = &copy, .iov_len = sizeof(copy)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control;

    if (fd >= 0)
        attach(&msg, &control, fd);
    return sendmsg(end, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(copy);
}

/* There was room for one, so there is at most one. */
static int attached(struct msghdr *msg)
{
    const struct cmsghdr *head = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    return fd;
}

int link_receive(int end, struct link_message *message, int *fd)
{
    for (;;) {
        struct iovec iov = {.iov_base = message, .iov_len = sizeof(*message)};
        union control control;
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t got;
        int passed;

        if (fd != NULL) {
            msg.msg_control = control.room;
            msg.msg_controllen = sizeof(control.room);
        }
        got = recvmsg(end, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        passed = fd != NULL ? attached(&msg) : -1;
        if (got == (ssize_t)sizeof(*message) && !(msg.msg_flags & MSG_TRUNC)) {
            if (fd != NULL)
                *fd = passed;
            return 1;
        }
        if (passed >= 0)
            close(passed);
    }
}
