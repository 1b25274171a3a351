/*
 * vsock_seqpacket listen PORT: says "listening", then answers every message of every connection
 * with itself, and an empty one with "empty". vsock_seqpacket connect PORT: says what it gets to
 * see of the host's messages; the test knows the rest.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

enum { MOST = 64, BIG = 63 << 10 };

static char buffer[64 << 10];

static int die(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    return 1;
}

static int make(struct sockaddr_vm *address, unsigned cid, unsigned port)
{
    *address = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    return socket(AF_VSOCK, SOCK_SEQPACKET, 0);
}

/* --- listen --- */

static int has_ended(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) == 1;
}

/* False when the connection is over. */
static int echo(int fd)
{
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

    if (n == 0 && !has_ended(fd))
        return send(fd, "empty", 5, 0) == 5;
    return n > 0 && send(fd, buffer, (size_t)n, 0) == n;
}

static int serve(int listener)
{
    static struct pollfd fds[MOST];
    nfds_t n = 1;

    fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        if (poll(fds, n, -1) < 0)
            return die("poll");
        for (nfds_t i = n - 1; i > 0; i--) {
            if (fds[i].revents == 0 || echo(fds[i].fd))
                continue;
            close(fds[i].fd);
            fds[i] = fds[--n];
        }
        if (fds[0].revents && n < MOST)
            fds[n++] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
    }
}

static int do_listen(unsigned port)
{
    struct sockaddr_vm address;
    int fd = make(&address, VMADDR_CID_ANY, port);

    if (fd < 0)
        return die("socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, MOST) != 0)
        return die("listen");
    puts("listening");
    fflush(stdout);
    return serve(fd);
}

/* --- connect --- */

static int least(long a, long b)
{
    return (int)(a < b ? a : b);
}

static void receive(const char *what, int fd, size_t room, int flags)
{
    struct iovec part = {buffer, room};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &m, flags);

    if (n < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %zd%s%s %.*s\n", what, n, m.msg_flags & MSG_TRUNC ? " cut" : "",
               m.msg_flags & MSG_EOR ? " record" : "", least(n, least((long)room, 8)), buffer);
    fflush(stdout);
}

static void say(const char *what, long n)
{
    printf("%s: %ld%s%s\n", what, n, n < 0 ? " " : "", n < 0 ? strerror(errno) : "");
    fflush(stdout);
}

static void talk(int fd)
{
    memset(buffer, 'b', sizeof(buffer));
    say("big", send(fd, buffer, BIG, MSG_EOR));
    say("too big", send(fd, buffer, BIG + 1, 0));
    say("nothing", send(fd, buffer, 0, 0));
    say("last", send(fd, "last", 4, 0));
    receive("peeked", fd, 3, MSG_PEEK | MSG_TRUNC);
    receive("cut", fd, 3, 0);
    receive("next", fd, 100, 0);
    receive("empty", fd, 100, 0);
    receive("long", fd, 10, MSG_TRUNC);
    receive("none yet", fd, 100, MSG_DONTWAIT);
    say("half", shutdown(fd, SHUT_WR));
    say("after that", send(fd, "x", 1, 0));
    receive("still", fd, 100, 0);
    receive("end", fd, 100, 0);
}

static int do_connect(unsigned port)
{
    struct sockaddr_vm address;
    int fd = make(&address, VMADDR_CID_HOST, port), type = 0;
    socklen_t len = sizeof(type);

    if (fd < 0)
        return die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return die("connect");
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    if (type != SOCK_SEQPACKET)
        return die("type");
    talk(fd);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned port = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

    signal(SIGPIPE, SIG_IGN);
    if (argc > 2 && strcmp(argv[1], "listen") == 0)
        return do_listen(port);
    if (argc > 2 && strcmp(argv[1], "connect") == 0)
        return do_connect(port);
    fprintf(stderr, "usage: vsock_seqpacket listen PORT | connect PORT\n");
    return 2;
}
