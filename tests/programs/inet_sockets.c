/* TCP and UDP over loopback, IPv4 and IPv6, each answer a line: compared with the host's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static void say_number(const char *what, int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    getsockopt(fd, SOL_SOCKET, option, &value, &len);
    say(what, value);
}

static void events(const char *what, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

    poll(&p, 1, 0);
    printf("%s: %x\n", what, (unsigned)p.revents);
}

/* Until one of the events is there. */
static void await(int fd, short wanted)
{
    struct pollfd p = {.fd = fd, .events = wanted};

    if (poll(&p, 1, 5000) != 1)
        puts("timed out");
}

static struct sockaddr_storage address(int family, int port, socklen_t *len)
{
    struct sockaddr_storage a = {.ss_family = (sa_family_t)family};

    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&a;

        in->sin_port = htons((uint16_t)port);
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        *len = sizeof(*in);
    } else {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)&a;

        in->sin6_port = htons((uint16_t)port);
        in->sin6_addr = in6addr_loopback;
        *len = sizeof(*in);
    }
    return a;
}

static int bind_to(int fd, int family, int port)
{
    socklen_t len;
    struct sockaddr_storage a = address(family, port, &len);

    return bind(fd, (struct sockaddr *)&a, len);
}

static int connect_to(int fd, int family, int port)
{
    socklen_t len;
    struct sockaddr_storage a = address(family, port, &len);

    return connect(fd, (struct sockaddr *)&a, len);
}

/* A port that the system chose. */
static int port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);

    getsockname(fd, (struct sockaddr *)&a, &len);
    return ntohs(((struct sockaddr_in *)&a)->sin_port); /* at the same place in both */
}

static void show(const char *what, int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    char text[64] = "";
    int r = get(fd, (struct sockaddr *)&a, &len);

    if (r < 0) {
        say(what, r);
        return;
    }
    if (a.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, text, sizeof(text));
    else
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, text, sizeof(text));
    printf("%s: %s, a port %d, length %u\n", what, text, ((struct sockaddr_in *)&a)->sin_port != 0,
           len);
}

/* Connected both ways: fd[0] to the accepted fd[1]. */
static void join(int family, int fd[2])
{
    int listener = socket(family, SOCK_STREAM, 0);

    bind_to(listener, family, 0);
    listen(listener, 5);
    fd[0] = socket(family, SOCK_STREAM, 0);
    if (connect_to(fd[0], family, port_of(listener)) != 0)
        perror("connect");
    fd[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void tcp(int family)
{
    int listener = socket(family, SOCK_STREAM, 0), other = socket(family, SOCK_STREAM, 0), port;

    printf("--- TCP %s\n", family == AF_INET ? "4" : "6");
    show("fresh", listener, getsockname);
    show("no peer", listener, getpeername);
    events("fresh", listener);
    say("accept", accept(listener, NULL, NULL));
    say("bind", bind_to(listener, family, 0));
    say("again", bind_to(listener, family, 0));
    say("listen", listen(listener, 5));
    say("and again", listen(listener, 6));
    show("listening", listener, getsockname);
    events("listening", listener);
    port = port_of(listener);
    say("taken", bind_to(other, family, port));
    fcntl(listener, F_SETFL, O_NONBLOCK);
    say("nobody", accept(listener, NULL, NULL));
    close(other);
    close(listener);
}

static void conversation(int family)
{
    char buf[64] = "";
    int fd[2], waiting, value = 1;
    socklen_t len = sizeof(value);
    struct iovec parts[2] = {{buf, 2}, {buf + 2, 20}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};

    join(family, fd);
    show("a", fd[0], getsockname);
    show("a's peer", fd[0], getpeername);
    show("b", fd[1], getsockname);
    show("b's peer", fd[1], getpeername);
    say("connected already", connect_to(fd[0], family, 1));
    events("idle", fd[0]);
    say("send", send(fd[0], "hello, world", 12, 0));
    await(fd[1], POLLIN);
    events("data", fd[1]);
    ioctl(fd[1], FIONREAD, &waiting);
    say("waiting", waiting);
    say("peek", recvmsg(fd[1], &m, MSG_PEEK));
    puts(buf);
    say("read", read(fd[1], buf, 5));
    say("rest", recvmsg(fd[1], &m, 0));
    say("nothing", recv(fd[1], buf, 8, MSG_DONTWAIT));
    say("nodelay", setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)));
    value = 0;
    getsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &value, &len);
    say("it stays", value != 0);
    getsockopt(fd[0], SOL_SOCKET, SO_TYPE, &value, &len);
    say("type", value);
    getsockopt(fd[0], SOL_SOCKET, SO_PROTOCOL, &value, &len);
    say("protocol", value);
    getsockopt(fd[0], SOL_SOCKET, SO_ERROR, &value, &len);
    say("error", value);
    say("half close", shutdown(fd[0], SHUT_WR));
    await(fd[1], POLLRDHUP);
    events("b", fd[1]);
    say("end", read(fd[1], buf, 8));
    say("broken pipe", send(fd[0], "x", 1, MSG_NOSIGNAL));
    say("the other way", send(fd[1], "still", 5, 0));
    await(fd[0], POLLIN);
    say("received", recv(fd[0], buf, 8, 0));
    close(fd[1]);
    await(fd[0], POLLRDHUP);
    say("end", read(fd[0], buf, 8));
    usleep(20000);
    events("both closed", fd[0]);
    close(fd[0]);
}

static void endings(int family)
{
    struct linger linger = {1, 0};
    char buf[64] = "";
    int fd[2], value, closed = socket(family, SOCK_STREAM, 0), port;
    socklen_t len = sizeof(value);

    bind_to(closed, family, 0);
    port = port_of(closed);
    fd[0] = socket(family, SOCK_STREAM, 0);
    say("refused", connect_to(fd[0], family, port));
    say("shut down", shutdown(fd[0], SHUT_RDWR));
    close(fd[0]);
    fd[0] = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    value = connect_to(fd[0], family, port);
    if (value != 0 && errno != ECONNREFUSED)
        await(fd[0], POLLOUT);
    getsockopt(fd[0], SOL_SOCKET, SO_ERROR, &value, &len);
    close(fd[0]);
    close(closed);
    join(family, fd);
    setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd[1]);
    await(fd[0], POLLHUP);
    events("reset", fd[0]);
    say("read", read(fd[0], buf, 1));
    say("then", read(fd[0], buf, 1));
    say("write", send(fd[0], buf, 1, MSG_NOSIGNAL));
    events("over", fd[0]);
    close(fd[0]);
    join(family, fd);
    send(fd[0], "unread", 6, 0);
    await(fd[1], POLLIN);
    close(fd[1]);
    await(fd[0], POLLHUP);
    say("unread data resets", read(fd[0], buf, 1));
    close(fd[0]);
}

/* What is left of a connect() that failed while nobody waited for it. */
static void failed(int family)
{
    char byte;
    int port, closed = socket(family, SOCK_STREAM, 0);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    bind_to(closed, family, 0);
    port = port_of(closed);
    say("begun", connect_to(fd, family, port));
    await(fd, POLLHUP);
    events("failed", fd);
    show("no peer", fd, getpeername);
    say_number("error", fd, SO_ERROR);
    events("told", fd);
    say_number("error", fd, SO_ERROR);
    say("read", read(fd, &byte, 1));
    say("write", send(fd, &byte, 1, MSG_NOSIGNAL));
    say("connect", connect_to(fd, family, port));
    events("as new", fd);
    say("begun", connect_to(fd, family, port));
    await(fd, POLLHUP);
    say("read", read(fd, &byte, 1));
    say("read", read(fd, &byte, 1));
    events("told", fd);
    close(fd);
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    say("begun", connect_to(fd, family, port));
    await(fd, POLLHUP);
    say("write", send(fd, &byte, 1, MSG_NOSIGNAL));
    say("write", send(fd, &byte, 1, MSG_NOSIGNAL));
    say("no peer", shutdown(fd, SHUT_RDWR));
    close(fd);
    close(closed);
}

/* connect() says once more that it is done, although SO_ERROR was asked. */
static void succeeded(int family)
{
    int listener = socket(family, SOCK_STREAM, 0);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    bind_to(listener, family, 0);
    listen(listener, 1);
    say("begun", connect_to(fd, family, port_of(listener)));
    await(fd, POLLOUT);
    show("peer", fd, getpeername);
    say_number("error", fd, SO_ERROR);
    say("connect", connect_to(fd, family, port_of(listener)));
    say("connect", connect_to(fd, family, port_of(listener)));
    close(fd);
    close(listener);
}

/* A socket that connects to its own port is a connection with itself. */
static void itself(int family, int flags)
{
    char buf[64] = "";
    int fd = socket(family, SOCK_STREAM | flags, 0);

    bind_to(fd, family, 0);
    say("to itself", connect_to(fd, family, port_of(fd)));
    await(fd, POLLOUT);
    say_number("error", fd, SO_ERROR);
    show("name", fd, getsockname);
    show("peer", fd, getpeername);
    events("connected", fd);
    say("send", send(fd, "an echo", 7, 0));
    await(fd, POLLIN);
    say("receive", recv(fd, buf, sizeof(buf), 0));
    puts(buf);
    say("end", shutdown(fd, SHUT_WR));
    await(fd, POLLIN);
    say("receive", recv(fd, buf, sizeof(buf), 0));
    events("over", fd);
    close(fd);
}

enum { BULK = 8 << 20 };

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static void *pour(void *arg)
{
    int fd = *(int *)arg;
    unsigned char *data = malloc(BULK);
    size_t done = 0;

    for (size_t i = 0; i < BULK; i++)
        data[i] = pattern(i);
    while (done < BULK) {
        ssize_t n = write(fd, data + done, BULK - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    shutdown(fd, SHUT_WR);
    free(data);
    return NULL;
}

static void bulk(int family)
{
    pthread_t thread;
    unsigned char buf[10000];
    size_t done = 0, wrong = 0;
    ssize_t n;
    int fd[2];

    join(family, fd);
    pthread_create(&thread, NULL, pour, &fd[0]);
    while ((n = read(fd[1], buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            wrong += buf[i] != pattern(done + (size_t)i);
        done += (size_t)n;
    }
    pthread_join(thread, NULL);
    say("bytes", (long)done);
    say("wrong", (long)wrong);
    close(fd[0]);
    close(fd[1]);
}

/* More than fits: EAGAIN, then POLLOUT when it was read. */
static void pressure(int family)
{
    static char buf[65536];
    long sent = 0, received = 0, n;
    int fd[2];

    join(family, fd);
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        while ((n = write(fd[0], buf, sizeof(buf))) > 0)
            sent += n;
        usleep(5000);
    }
    say("full", n);
    events("not writable", fd[0]);
    while (received < sent && (n = read(fd[1], buf, sizeof(buf))) > 0)
        received += n;
    say("all of it", received == sent);
    await(fd[0], POLLOUT);
    events("writable", fd[0]);
    close(fd[0]);
    close(fd[1]);
}

/* Bytes that could not be given to the program stay where they are. */
static void bad_addresses(int family)
{
    char buf[8], *volatile nowhere = (char *)8;
    int fd[2];

    join(family, fd);
    say("send", send(fd[0], "kept", 4, 0));
    await(fd[1], POLLIN);
    say("bad recv", recv(fd[1], nowhere, 4, 0));
    say("bad read", read(fd[1], nowhere, 4));
    say("kept", recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT));
    say("bad send", send(fd[0], nowhere, 4, 0));
    close(fd[0]);
    close(fd[1]);
}

/* A list with a bad buffer moves nothing, unless the bytes there are do not get so far. */
static void bad_lists(int family)
{
    char buf[16] = "abc", *volatile nowhere = (char *)8;
    struct iovec parts[2] = {{buf, 3}, {nowhere, 8}}, first[2] = {{nowhere, 3}, {buf, 8}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    int fd[2];

    join(family, fd);
    say("sendmsg", sendmsg(fd[0], &m, 0));
    say("writev", writev(fd[0], parts, 2));
    say("writev", writev(fd[0], first, 2));
    say("nothing", recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT));
    send(fd[0], "whole", 5, 0);
    await(fd[1], POLLIN);
    say("readv", readv(fd[1], parts, 2));
    say("readv", readv(fd[1], first, 2));
    say("recvmsg", recvmsg(fd[1], &m, 0));
    say("peek", recvmsg(fd[1], &m, MSG_PEEK));
    say("whole", recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT));
    send(fd[0], "abc", 3, 0);
    await(fd[1], POLLIN);
    say("readv", readv(fd[1], parts, 2));
    send(fd[0], "abc", 3, 0);
    await(fd[1], POLLIN);
    say("recvmsg", recvmsg(fd[1], &m, 0));
    parts[1].iov_base = (char *)-8l;
    send(fd[0], "abc", 3, 0);
    await(fd[1], POLLIN);
    say("readv", readv(fd[1], parts, 2));
    say("recvmsg", recvmsg(fd[1], &m, 0));
    say("whole", recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT));
    close(fd[0]);
    close(fd[1]);
}

/* SO_RCVTIMEO and SO_SNDTIMEO bound every call that waits. */
static void timeouts(int family)
{
    static char buf[65536];
    struct timeval soon = {.tv_usec = 20000};
    struct iovec parts[2] = {{buf, 9}, {buf + 9, 9}};
    int fd[2], alone = socket(family, SOCK_DGRAM, 0);

    join(family, fd);
    bind_to(alone, family, 0);
    setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    setsockopt(fd[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
    setsockopt(alone, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    say("recv in time", recv(fd[0], buf, 1, 0));
    say("read in time", read(fd[0], buf, 1));
    say("readv in time", readv(fd[0], parts, 2));
    say("a datagram in time", read(alone, buf, 1));
    for (int full = 0; full < 10; full++) { /* the window may grow meanwhile */
        while (write(fd[0], buf, sizeof(buf)) > 0)
            full = 0;
        usleep(10000);
    }
    /* Not all of it; a few bytes may find room, as probes of the window take some. */
    say("write in time", write(fd[0], buf, sizeof(buf)) < (ssize_t)sizeof(buf));
    parts[1] = (struct iovec){buf, sizeof(buf)};
    say("writev in time", writev(fd[0], parts, 2) < (ssize_t)sizeof(buf));
    close(alone);
    close(fd[0]);
    close(fd[1]);
}

/* --- shutdown() of what is not connected --- */

struct shutting {
    int fd, how, result;
};

static void *shut_soon(void *arg)
{
    struct shutting *s = arg;

    usleep(20000);
    s->result = shutdown(s->fd, s->how) == 0 ? 0 : errno;
    return NULL;
}

static void shut_listener(int family, int how)
{
    struct shutting soon = {.fd = socket(family, SOCK_STREAM, 0), .how = how};
    int fd = soon.fd, a = socket(family, SOCK_STREAM, 0), b, port;
    pthread_t thread;

    bind_to(fd, family, 0);
    listen(fd, 5);
    port = port_of(fd);
    say("half of nothing", shutdown(fd, SHUT_WR));
    events("listens still", fd);
    pthread_create(&thread, NULL, shut_soon, &soon);
    say("accept", accept(fd, NULL, NULL));
    pthread_join(thread, NULL);
    say("shut down", soon.result);
    events("shut", fd);
    say_number("listens", fd, SO_ACCEPTCONN);
    say("accept", accept(fd, NULL, NULL));
    say("refused", connect_to(a, family, port));
    show("bound", fd, getsockname);
    say("again", shutdown(fd, SHUT_RD));
    say("listen", listen(fd, 5));
    close(a);
    a = socket(family, SOCK_STREAM, 0);
    say("connect", connect_to(a, family, port_of(fd)));
    b = accept(fd, NULL, NULL);
    say("accept", b >= 0);
    close(a);
    close(b);
    close(fd);
}

/* A port that the program named stays its own, and whom it did not accept is reset. */
static void shut_named_listener(int family)
{
    int probe = socket(family, SOCK_STREAM, 0), a = socket(family, SOCK_STREAM, 0), port, one = 1;
    int b = socket(family, SOCK_STREAM, 0), c, fd = socket(family, SOCK_STREAM, 0);
    char byte;

    bind_to(probe, family, 0);
    port = port_of(probe);
    close(probe);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    say("bind", bind_to(fd, family, port));
    listen(fd, 5);
    connect_to(a, family, port);
    c = accept(fd, NULL, NULL);
    connect_to(b, family, port);
    usleep(10000);
    say("shut down", shutdown(fd, SHUT_RDWR));
    say("reset", read(b, &byte, 1));
    say("accepted lives", write(c, "x", 1));
    say("accepted lives", read(a, &byte, 1));
    say("the same port", port_of(fd) == port);
    say("listen", listen(fd, 5));
    say("the same port", port_of(fd) == port);
    close(a);
    close(b);
    close(c);
    close(fd);
}

/* SO_REUSEADDR is for what a server that is gone left behind, not for a second server. */
static void reuse(int family)
{
    int a = socket(family, SOCK_STREAM, 0), b = socket(family, SOCK_STREAM, 0), one = 1, port;
    int c = socket(family, SOCK_STREAM, 0), d;
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};

    setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bind_to(a, family, 0);
    port = port_of(a);
    say("nobody listens", bind_to(b, family, port));
    say("one listens", listen(a, 1));
    say("two listen", listen(b, 1));
    close(b);
    b = socket(family, SOCK_STREAM, 0);
    setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    say("one listens", bind_to(b, family, port));
    any.sin_port = any6.sin6_port = htons((uint16_t)port);
    say("there, too", family == AF_INET ? bind(b, (struct sockaddr *)&any, sizeof(any))
                                        : bind(b, (struct sockaddr *)&any6, sizeof(any6)));
    connect_to(c, family, port);
    d = accept(a, NULL, NULL);
    close(a);
    close(d); /* first: it is the server that waits */
    close(c);
    usleep(10000);
    a = socket(family, SOCK_STREAM, 0);
    say("without", bind_to(a, family, port));
    say("its connections wait", bind_to(b, family, port));
    say("listen", listen(b, 1));
    close(a);
    close(b);
}

/* The server ends each first, and remembers it; the client comes back from the same port at once.
 */
static void same_port_again(int family)
{
    int a = socket(family, SOCK_STREAM, 0), one = 1, port, own = 0;
    char byte;

    bind_to(a, family, 0);
    port = port_of(a);
    listen(a, 5);
    for (int i = 0; i < 4; i++) {
        int c = socket(family, SOCK_STREAM, 0), d;

        setsockopt(c, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        say("from where it was", bind_to(c, family, own));
        own = port_of(c);
        say("again", connect_to(c, family, port));
        d = accept(a, NULL, NULL);
        close(d);
        say("ends", read(c, &byte, 1));
        close(c);
        usleep(10000);
    }
    close(a);
}

static void shut_datagrams(int family)
{
    struct shutting soon = {.fd = socket(family, SOCK_DGRAM, 0), .how = SHUT_RD};
    pthread_t thread;
    char byte;

    bind_to(soon.fd, family, 0);
    pthread_create(&thread, NULL, shut_soon, &soon);
    say("recv", recv(soon.fd, &byte, 1, 0));
    pthread_join(thread, NULL);
    say("shut down", soon.result);
    events("deaf", soon.fd);
    say("recv", recv(soon.fd, &byte, 1, 0));
    say("recv at once", recv(soon.fd, &byte, 1, MSG_DONTWAIT));
    say("shut down", shutdown(soon.fd, SHUT_WR));
    events("deaf and mute", soon.fd);
    say("to", connect_to(soon.fd, family, port_of(soon.fd)));
    say("send", send(soon.fd, "x", 1, MSG_NOSIGNAL));
    close(soon.fd);
}

static long send_to(int fd, int family, int port, const char *text)
{
    socklen_t len;
    struct sockaddr_storage a = address(family, port, &len);

    return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, len);
}

static void udp(int family)
{
    char buf[64] = "";
    int a = socket(family, SOCK_DGRAM, 0), b = socket(family, SOCK_DGRAM, 0), c, waiting, value;
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    struct iovec part = {buf, 3};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    static char large[70000];

    printf("--- UDP %s\n", family == AF_INET ? "4" : "6");
    say("no destination", send(a, "x", 1, 0));
    say("bind", bind_to(b, family, 0));
    say("again", bind_to(b, family, 0));
    c = socket(family, SOCK_DGRAM, 0);
    say("taken", bind_to(c, family, port_of(b)));
    events("fresh", b);
    say("send", send_to(a, family, port_of(b), "hello"));
    say("empty", send_to(a, family, port_of(b), ""));
    say("another", send_to(a, family, port_of(b), "another"));
    await(b, POLLIN);
    events("data", b);
    ioctl(b, FIONREAD, &waiting);
    say("waiting", waiting);
    say("receive", recvfrom(b, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len));
    printf("%.5s, length %u, its port %d\n", buf, len,
           ((struct sockaddr_in *)&from)->sin_port == htons((uint16_t)port_of(a)));
    say("nothing in it", recv(b, buf, 8, 0));
    say("cut", recvmsg(b, &m, 0));
    printf("%.3s %x\n", buf, (unsigned)m.msg_flags);
    say("nothing", recv(b, buf, 8, MSG_DONTWAIT));
    say("connect", connect_to(a, family, port_of(b)));
    show("a", a, getsockname);
    show("a's peer", a, getpeername);
    say("send", write(a, "connected", 9));
    say("truth", recv(b, buf, 2, MSG_TRUNC));
    say("whole", send(a, large, 65487, 0));
    say("too much", send(a, large, sizeof(large), 0));
    say("received", recv(b, large, sizeof(large), 0));
    value = 1;
    say("broadcast", setsockopt(a, SOL_SOCKET, SO_BROADCAST, &value, sizeof(value)));
    len = sizeof(value);
    getsockopt(a, SOL_SOCKET, SO_PROTOCOL, &value, &len);
    say("protocol", value);
    say("listen", listen(a, 1));
    say("shut down", shutdown(a, SHUT_RD));
    events("deaf", a);
    close(a);
    close(b);
    close(c);
}

/* Nobody is at the port: the sender, if connected, learns it with the next call. */
static void refused_datagrams(int family)
{
    struct timeval soon = {.tv_sec = 5};
    int fd = socket(family, SOCK_DGRAM, 0), gone = socket(family, SOCK_DGRAM, 0), port;
    char byte;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    bind_to(gone, family, 0);
    port = port_of(gone);
    say("connect", connect_to(fd, family, port));
    close(gone);
    say("send", send(fd, "x", 1, 0));
    await(fd, POLLERR);
    events("refused", fd);
    say_number("error", fd, SO_ERROR);
    say_number("error", fd, SO_ERROR);
    events("told", fd);
    say("send", send(fd, "x", 1, 0));
    await(fd, POLLERR);
    say("send", send(fd, "x", 1, 0));
    say("send", write(fd, "x", 1));
    say("recv", recv(fd, &byte, 1, 0));
    say("nothing", recv(fd, &byte, 1, MSG_DONTWAIT));
    gone = socket(family, SOCK_DGRAM, 0);
    bind_to(gone, family, port);
    say("somebody", send(fd, "x", 1, 0));
    say("recv", recv(gone, &byte, 1, 0));
    events("fine", fd);
    close(fd);
    close(gone);
    fd = socket(family, SOCK_DGRAM, 0);
    say("not connected", send_to(fd, family, port, "x"));
    usleep(10000);
    events("not told", fd);
    say("not told", recv(fd, &byte, 1, MSG_DONTWAIT));
    close(fd);
}

/* A socket of IPv6 takes those of IPv4, too. */
static void both_versions(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int listener = socket(AF_INET6, SOCK_STREAM, 0), a = socket(AF_INET, SOCK_STREAM, 0), b, value;
    socklen_t len = sizeof(value);

    puts("--- both");
    say("bind", bind(listener, (struct sockaddr *)&any, sizeof(any)));
    listen(listener, 1);
    say("connect", connect_to(a, AF_INET, port_of(listener)));
    b = accept(listener, NULL, NULL);
    show("b", b, getsockname);
    show("b's peer", b, getpeername);
    show("a's peer", a, getpeername);
    getsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &value, &len);
    say("not only", value);
    close(a);
    close(b);
    close(listener);
    listener = socket(AF_INET6, SOCK_STREAM, 0);
    value = 1;
    say("only", setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value)));
    bind(listener, (struct sockaddr *)&any, sizeof(any));
    listen(listener, 1);
    a = socket(AF_INET, SOCK_STREAM, 0);
    say("refused", connect_to(a, AF_INET, port_of(listener)));
    close(a);
    close(listener);
}

static void odds(void)
{
    struct sockaddr_in foreign = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    struct sockaddr_in zero = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), listener = socket(AF_INET, SOCK_STREAM, 0), value = 1;
    socklen_t len = sizeof(value);

    puts("--- odds");
    say("raw of no kind", socket(AF_INET, SOCK_RDM, 0));
    say("protocol", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    say("not ours", bind(fd, (struct sockaddr *)&foreign, sizeof(foreign)));
    say("short", bind(fd, (struct sockaddr *)&zero, 8));
    say("wrong family", bind_to(fd, AF_INET6, 0));
    bind_to(listener, AF_INET, 0);
    listen(listener, 1);
    zero.sin_port = htons((uint16_t)port_of(listener));
    say("0.0.0.0 is here", connect(fd, (struct sockaddr *)&zero, sizeof(zero)));
    say("keepalive", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
    value = 77;
    say("idle", setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(value)));
    getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &len);
    say("idle", value);
    value = 99;
    say("ttl", setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof(value)));
    value = 0;
    getsockopt(fd, IPPROTO_IP, IP_TTL, &value, &len);
    say("ttl", value);
    value = 1000;
    say("too much", setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof(value)));
    say("not a socket", listen(1, 5));
    say("no such", setsockopt(fd, IPPROTO_TCP, 999, &value, sizeof(value)));
    close(fd);
    close(listener);
}

/* What has arrived after each of some small writes, at once: no comparison, since a host may be
 * busy. */
static void small_writes(int family)
{
    int fd[2], waiting, zero = 0;

    join(family, fd);
    setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &zero, sizeof(zero));
    for (int from = 0; from < 2; from++) {
        for (int i = 0; i < 4; i++) {
            send(fd[from], "x", 1, 0);
            ioctl(fd[!from], FIONREAD, &waiting);
            printf("%d ", waiting);
        }
    }
    puts("");
    close(fd[0]);
    close(fd[1]);
}

int main(int argc, char **argv)
{
    static const int families[] = {AF_INET, AF_INET6};

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], "small") == 0) {
        small_writes(AF_INET);
        small_writes(AF_INET6);
        return 0;
    }
    for (unsigned i = 0; i < 2; i++) {
        tcp(families[i]);
        conversation(families[i]);
        endings(families[i]);
        failed(families[i]);
        succeeded(families[i]);
        itself(families[i], 0);
        itself(families[i], SOCK_NONBLOCK);
        bulk(families[i]);
        pressure(families[i]);
        bad_addresses(families[i]);
        bad_lists(families[i]);
        timeouts(families[i]);
        udp(families[i]);
        refused_datagrams(families[i]);
        shut_listener(families[i], SHUT_RD);
        shut_listener(families[i], SHUT_RDWR);
        shut_named_listener(families[i]);
        reuse(families[i]);
        same_port_again(families[i]);
        shut_datagrams(families[i]);
    }
    both_versions();
    odds();
    return 0;
}
