/*
 * vsock_events calls: what needs no host.
 * vsock_events host PORT OTHER: talks to the host at PORT, nobody is at OTHER.
 * vsock_events slow PORT: connects twice and fills the first; says over the second how much it was,
 * and echoes 100 lines there before it reads the first.
 * vsock_events impatient PORT: waits a moment for a connection.
 * vsock_events many PORT COUNT: connects as often, and is connected to as often, all at once.
 * vsock_events backlog PORT: lets three wait, and takes them once there is input.
 * Each answer a line.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
    fflush(stdout);
}

static struct sockaddr_vm address(unsigned cid, unsigned port)
{
    return (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
}

static int bind_to(int fd, unsigned cid, unsigned port)
{
    struct sockaddr_vm a = address(cid, port);

    return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static int connect_to(int fd, unsigned port)
{
    struct sockaddr_vm a = address(VMADDR_CID_HOST, port);

    return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static struct sockaddr_vm name_of(int fd, int (*call)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_vm a = {.svm_family = 0};
    socklen_t len = sizeof(a);

    if (call(fd, (struct sockaddr *)&a, &len) != 0)
        a.svm_port = (unsigned)-errno;
    return a;
}

static int error_of(int fd)
{
    int error = -1;
    socklen_t len = sizeof(error);

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

/* --- what needs no host --- */

static void names(void)
{
    int a = socket(AF_VSOCK, SOCK_STREAM, 0), b = socket(AF_VSOCK, SOCK_SEQPACKET, 0);
    int c = socket(AF_VSOCK, SOCK_STREAM, 0);
    unsigned port;

    say("bind", bind_to(a, VMADDR_CID_ANY, 6000));
    say("its port", name_of(a, getsockname).svm_port);
    say("bind again", bind_to(a, VMADDR_CID_ANY, 6001));
    say("the same port", bind_to(b, VMADDR_CID_ANY, 6000));
    say("another's CID", bind_to(b, 77, 6002));
    say("any port", bind_to(b, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    port = name_of(b, getsockname).svm_port;
    say("is one", port != VMADDR_PORT_ANY && port > 1023);
    say("taken", bind_to(c, VMADDR_CID_ANY, port));
    close(a);
    say("free again", bind_to(c, VMADDR_CID_ANY, 6000));
    say("no peer", (int)name_of(c, getpeername).svm_port == -ENOTCONN);
    close(b);
    close(c);
}

static void options(void)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    uint64_t size = 0;
    struct timeval t = {0};
    socklen_t len = sizeof(size), t_len = sizeof(t);

    getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &len);
    say("size", (long)size);
    size = 1 << 20;
    say("larger", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size)));
    getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &len);
    say("is bounded", (long)size);
    size = 4096;
    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &size, sizeof(size));
    size = 0;
    getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &len);
    say("and shrinks", (long)size);
    say("too short", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, 4));
    getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &t, &t_len);
    say("time-out", t.tv_sec);
    t = (struct timeval){5, 500000};
    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &t, sizeof(t));
    t = (struct timeval){0};
    getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &t, &t_len);
    say("longer", t.tv_sec * 1000 + t.tv_usec / 1000);
    t.tv_usec = 1000000;
    say("no time", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &t, sizeof(t)));
    say("unknown", setsockopt(fd, AF_VSOCK, 99, &size, sizeof(size)));
    close(fd);
}

static int calls(void)
{
    unsigned cid = 0;
    int fd = open("/dev/vsock", O_RDONLY);

    say("device", fd >= 0);
    say("asked", ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid));
    say("CID", cid);
    names();
    options();
    return 0;
}

/* --- with the host --- */

static int set;

static void watch(int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events};

    epoll_ctl(set, op, fd, &event);
}

static void await(const char *what, int timeout)
{
    struct epoll_event got = {0};
    int n = epoll_wait(set, &got, 1, timeout);

    printf("%s: %d%s%s%s%s%s\n", what, n, got.events & EPOLLIN ? " in" : "",
           got.events & EPOLLOUT ? " out" : "", got.events & EPOLLERR ? " err" : "",
           got.events & EPOLLRDHUP ? " rdhup" : "", got.events & EPOLLHUP ? " hup" : "");
    fflush(stdout);
}

static void refused(unsigned port)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event got;

    say("begun", connect_to(fd, port));
    watch(EPOLL_CTL_ADD, fd, EPOLLOUT);
    say("told", epoll_wait(set, &got, 1, -1));
    say("is reset", error_of(fd) == ECONNRESET);
    say("once", error_of(fd));
    close(fd);
}

static int connected(unsigned port)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_vm peer;

    say("begun", connect_to(fd, port));
    watch(EPOLL_CTL_ADD, fd, EPOLLOUT);
    await("connected", -1);
    say("error", error_of(fd));
    peer = name_of(fd, getpeername);
    printf("peer: %u %u\n", peer.svm_cid, peer.svm_port);
    say("again", connect_to(fd, port));
    return fd;
}

static void edges(int fd)
{
    char text[8];

    watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
    await("nothing", 0);
    say("asked", write(fd, "go\n", 3));
    await("edge", -1);
    say("half", read(fd, text, 4));
    await("no edge", 50);
    watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP);
    await("level", 0);
    say("rest", read(fd, text, sizeof(text)));
    await("none", 0);
    say("empty", read(fd, text, sizeof(text)));
}

/* Reads once there is something, or the end. */
static long read_waiting(int fd, char *to, size_t len)
{
    struct epoll_event got;
    long n;

    while ((n = read(fd, to, len)) < 0 && errno == EAGAIN)
        epoll_wait(set, &got, 1, -1);
    return n;
}

static void halves(int fd)
{
    char text[8];

    say("half", shutdown(fd, SHUT_WR));
    say("no more", send(fd, "x", 1, MSG_NOSIGNAL));
    say("bye", read_waiting(fd, text, sizeof(text)));
    say("end", read_waiting(fd, text, sizeof(text)));
    await("and so says", -1);
}

static int with_host(unsigned port, unsigned other)
{
    int fd;

    set = epoll_create1(0);
    refused(other);
    fd = connected(port);
    edges(fd);
    halves(fd);
    return 0;
}

/* --- two connections, of which one is not read at either end for a while --- */

static long fill(int fd)
{
    static char block[65536];
    long sent = 0, n;

    while ((n = send(fd, block, sizeof(block), MSG_DONTWAIT)) > 0)
        sent += n;
    return sent;
}

static void echo_lines(int fd, int count)
{
    char line[64];

    for (int i = 0; i < count; i++) {
        ssize_t n = read(fd, line, sizeof(line));

        if (n <= 0 || write(fd, line, (size_t)n) != n)
            exit(1);
    }
}

static int slow(unsigned port)
{
    int full = socket(AF_VSOCK, SOCK_STREAM, 0), other = socket(AF_VSOCK, SOCK_STREAM, 0);
    static char block[65536];
    long sent, received = 0, n;

    if (connect_to(full, port) != 0 || connect_to(other, port) != 0)
        return 1;
    sent = fill(full);
    dprintf(other, "%ld\n", sent);
    echo_lines(other, 100);
    while ((n = read(full, block, sizeof(block))) > 0)
        received += n;
    printf("%ld\n", received);
    return 0;
}

static int impatient(unsigned port)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct timeval t = {.tv_usec = 100000};

    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &t, sizeof(t));
    say("connect", connect_to(fd, port));
    return 0;
}

/* --- many --- */

static void allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int number_from(int fd)
{
    int number = -1;

    return recv(fd, &number, sizeof(number), MSG_WAITALL) == sizeof(number) ? number : -1;
}

static int many(unsigned port, int count)
{
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0), *own = calloc((size_t)count, sizeof(*own));
    int *theirs = calloc((size_t)count, sizeof(*theirs));

    allow_many_files();
    if (bind_to(listener, VMADDR_CID_ANY, port) != 0 || listen(listener, count) != 0)
        return 1;
    for (int i = 0; i < count; i++) {
        own[i] = socket(AF_VSOCK, SOCK_STREAM, 0);
        if (connect_to(own[i], port) != 0 || write(own[i], &i, sizeof(i)) != sizeof(i))
            return 2;
    }
    say("connected", count);
    for (int i = 0; i < count; i++)
        theirs[i] = accept(listener, NULL, NULL);
    for (int i = 0; i < count; i++) {
        int number = number_from(theirs[i]);

        if (number < 0 || write(theirs[i], &number, sizeof(number)) != sizeof(number))
            return 3;
    }
    for (int i = 0; i < count; i++) {
        if (number_from(own[i]) != i)
            return 4;
    }
    say("all", count);
    return 0;
}

/* --- a listener --- */

static int backlog(unsigned port)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0), n = 0;
    char byte;

    bind_to(fd, VMADDR_CID_ANY, port);
    say("listening", listen(fd, 2));
    if (read(0, &byte, 1) != 1)
        return 1;
    while (accept(fd, NULL, NULL) >= 0)
        n++;
    say("waited", n);
    return read(0, &byte, 1) == 1 && accept(fd, NULL, NULL) >= 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    unsigned port = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

    if (argc == 2 && strcmp(argv[1], "calls") == 0)
        return calls();
    if (argc == 4 && strcmp(argv[1], "host") == 0)
        return with_host(port, (unsigned)strtoul(argv[3], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "backlog") == 0)
        return backlog(port);
    if (argc == 3 && strcmp(argv[1], "slow") == 0)
        return slow(port);
    if (argc == 3 && strcmp(argv[1], "impatient") == 0)
        return impatient(port);
    if (argc == 4 && strcmp(argv[1], "many") == 0)
        return many(port, atoi(argv[3]));
    fprintf(stderr, "usage: vsock_events calls | host PORT OTHER | slow PORT | impatient PORT | "
                    "many PORT COUNT | "
                    "backlog PORT\n");
    return 2;
}
