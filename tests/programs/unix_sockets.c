/* AF_UNIX with names: streams, datagrams, SEQPACKET; each answer a line: compared with the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/unix-XXXXXX";

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static void events(const char *what, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

    poll(&p, 1, 0);
    printf("%s: %x\n", what, (unsigned)p.revents);
}

static void say_number(const char *what, int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    getsockopt(fd, SOL_SOCKET, option, &value, &len);
    say(what, value);
}

/* name "@x": abstract. Its length in *len. */
static struct sockaddr_un address(const char *name, socklen_t *len)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n;

    if (name[0] == '@')
        n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s%s", folder, name + 1);
    else
        n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", folder, name);
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    return a;
}

static int bound(const char *name, int type)
{
    socklen_t len;
    struct sockaddr_un a = address(name, &len);
    int fd = socket(AF_UNIX, type, 0);

    say("bind", bind(fd, (struct sockaddr *)&a, len));
    return fd;
}

static int connect_to(int fd, const char *name)
{
    socklen_t len;
    struct sockaddr_un a = address(name, &len);

    return connect(fd, (struct sockaddr *)&a, len);
}

static void show(const char *what, int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_un a = {.sun_family = 0};
    socklen_t len = sizeof(a);
    int r = get(fd, (struct sockaddr *)&a, &len);

    if (r < 0) {
        say(what, r);
        return;
    }
    printf("%s: family %d, named %d, last '%s'\n", what, a.sun_family, len > 2,
           len > 2 && strrchr(a.sun_path, '/') ? strrchr(a.sun_path, '/') : "");
}

static void streams(void)
{
    char buf[64] = "";
    struct stat st;
    char path[200];
    int listener = bound("stream", SOCK_STREAM);
    int a = socket(AF_UNIX, SOCK_STREAM, 0), b, c, d;

    snprintf(path, sizeof(path), "%s/stream", folder);
    say("stat", stat(path, &st));
    printf("a socket: %d\n", S_ISSOCK(st.st_mode));
    say("open", open(path, O_RDWR));
    say("connect before listen", connect_to(a, "stream"));
    events("fresh", a);
    say("read fresh", read(a, buf, 1));
    say("send fresh", send(a, buf, 1, MSG_NOSIGNAL));
    say("listen", listen(listener, 1));
    events("listening", listener);
    say("connect nowhere", connect_to(a, "nobody"));
    say("connect", connect_to(a, "stream"));
    say("again", connect_to(a, "stream"));
    events("one waits", listener);
    say("send before accept", send(a, "early", 5, 0));
    b = accept(listener, NULL, NULL);
    say("accepted", b > 0);
    say("receive", recv(b, buf, sizeof(buf), 0));
    puts(buf);
    show("listener", listener, getsockname);
    show("a", a, getsockname);
    show("a's peer", a, getpeername);
    show("b", b, getsockname);
    show("b's peer", b, getpeername);
    c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    d = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    say("one", connect_to(c, "stream"));
    say("two", connect_to(d, "stream"));
    close(d);
    d = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    say("too many", connect_to(d, "stream"));
    close(listener);
    say("not accepted", recv(c, buf, 1, 0));
    events("a after the listener", a);
    close(b);
    events("a after b", a);
    say("end", recv(a, buf, 1, 0));
    say("name taken", connect_to(d, "stream"));
    close(bound("stream", SOCK_STREAM));
    unlink(path);
    say("gone", connect_to(d, "stream"));
    close(a);
    close(c);
    close(d);
}

/* Who was not accepted before the listener closed is told, once, by whatever asks first. */
static void abandoned(int type)
{
    char byte;

    for (int first = 0; first < 3; first++) {
        int listener = bound("@abandoned", type), fd = socket(AF_UNIX, type, 0);

        listen(listener, 1);
        say("connect", connect_to(fd, "@abandoned"));
        close(listener);
        events("abandoned", fd);
        if (first == 0)
            say("read", read(fd, &byte, 1));
        else if (first == 1)
            say("send", send(fd, "x", 1, MSG_NOSIGNAL));
        else
            say_number("error", fd, SO_ERROR);
        events("told", fd);
        say("read", read(fd, &byte, 1));
        say("read", read(fd, &byte, 1));
        say("send", send(fd, "x", 1, MSG_NOSIGNAL));
        close(fd);
    }
}

/* So is who sent something that was not read. */
static void unread(int type)
{
    char buf[16];
    int pair[2], listener = bound("@unread", type);

    socketpair(AF_UNIX, type, 0, pair);
    send(pair[0], "unread", 6, 0);
    send(pair[1], "last", 4, 0);
    close(pair[1]);
    events("reset", pair[0]);
    for (int i = 0; i < 4; i++)
        say("read", read(pair[0], buf, 2));
    events("told", pair[0]);
    close(pair[0]);
    listen(listener, 1);
    pair[0] = socket(AF_UNIX, type, 0);
    connect_to(pair[0], "@unread");
    send(pair[0], "unread", 6, 0);
    pair[1] = accept(listener, NULL, NULL);
    close(pair[0]); /* first: nobody is left to be told */
    say("read", read(pair[1], buf, sizeof(buf)));
    events("at the end", pair[1]);
    close(pair[1]);
    pair[0] = socket(AF_UNIX, type, 0);
    connect_to(pair[0], "@unread");
    pair[1] = accept(listener, NULL, NULL);
    send(pair[1], "unread", 6, 0);
    close(pair[0]);
    say_number("error", pair[1], SO_ERROR);
    close(pair[1]);
    pair[0] = socket(AF_UNIX, type, 0);
    connect_to(pair[0], "@unread");
    send(pair[0], "early", 5, 0);
    close(pair[0]);
    pair[1] = accept(listener, NULL, NULL);
    say("early", read(pair[1], buf, sizeof(buf)));
    say("end", read(pair[1], buf, sizeof(buf)));
    close(pair[1]);
    close(listener);
}

static void *blocked(void *arg)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)arg;
    say("waited for room", connect_to(fd, "busy"));
    return (void *)(long)fd;
}

static void backlog(void)
{
    int listener = bound("busy", SOCK_STREAM), first, second;
    pthread_t thread;
    void *third;

    listen(listener, 0);
    first = socket(AF_UNIX, SOCK_STREAM, 0);
    say("first", connect_to(first, "busy"));
    pthread_create(&thread, NULL, blocked, NULL);
    usleep(20000);
    second = accept(listener, NULL, NULL);
    pthread_join(thread, &third);
    close(first);
    close(second);
    close((int)(long)third);
    close(listener);
}

static long send_to(int fd, const char *name, const char *text)
{
    socklen_t len;
    struct sockaddr_un a = address(name, &len);

    return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, len);
}

static void datagrams(void)
{
    char buf[64] = "";
    struct sockaddr_un from;
    socklen_t len = sizeof(from);
    int a = bound("a", SOCK_DGRAM), b = bound("b", SOCK_DGRAM), c = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct iovec parts[2] = {{buf, 3}, {buf + 10, 3}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2, .msg_name = &from};
    int waiting;

    say("listen", listen(a, 1));
    events("fresh", a);
    say("a to b", send_to(a, "b", "hello"));
    say("c to b", send_to(c, "b", "anonymous"));
    say("c to nobody", send_to(c, "nobody", "x"));
    say("c unconnected", send(c, "x", 1, 0));
    events("b has mail", b);
    ioctl(b, FIONREAD, &waiting);
    say("waiting", waiting);
    memset(&from, 0, sizeof(from));
    say("cut", recvfrom(b, buf, 3, MSG_TRUNC | MSG_PEEK, (struct sockaddr *)&from, &len));
    printf("%.3s from %s\n", buf, strrchr(from.sun_path, '/'));
    m.msg_namelen = sizeof(from);
    say("scattered", recvmsg(b, &m, 0));
    printf("%.3s %.3s flags %x\n", buf, buf + 10, (unsigned)m.msg_flags);
    m.msg_namelen = sizeof(from);
    say("cut for good", recvmsg(b, &m, 0));
    printf("flags %x name %u\n", (unsigned)m.msg_flags, m.msg_namelen);
    say("empty", recv(b, buf, 1, MSG_DONTWAIT));
    say("nothing in it", send_to(a, "b", ""));
    say("nothing", recv(b, buf, 8, 0));
    say("connect", connect_to(a, "b"));
    show("a's peer", a, getpeername);
    say("gather", writev(a, (struct iovec[]){{"ab", 2}, {"cd", 2}}, 2));
    say("gathered", read(b, buf, 64));
    close(b);
    say("refused", send(a, "x", 1, 0));
    say("too long", send(c, buf, 1 << 20, 0) < 0);
    close(a);
    close(c);
}

static void sequence(void)
{
    char buf[64] = "";
    struct iovec part = {buf, 3};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    int listener = bound("@sequence", SOCK_SEQPACKET), a = socket(AF_UNIX, SOCK_SEQPACKET, 0), b;
    int wrong = socket(AF_UNIX, SOCK_STREAM, 0), pair[2];

    listen(listener, 4);
    say("wrong type", connect_to(wrong, "@sequence"));
    say("connect", connect_to(a, "@sequence"));
    say("early", send(a, "one", 3, 0));
    b = accept(listener, NULL, NULL);
    say("two", send(a, "two and more", 12, 0));
    say("first", recvmsg(b, &m, 0));
    printf("%.3s %x\n", buf, (unsigned)m.msg_flags);
    say("second, cut", recvmsg(b, &m, 0));
    printf("%.3s %x\n", buf, (unsigned)m.msg_flags);
    say("back", send(b, "x", 1, 0));
    events("a", a);
    say("half closed", shutdown(a, SHUT_WR));
    events("b", b);
    say("end", recv(b, buf, 8, 0));
    say("after it", send(a, "x", 1, MSG_NOSIGNAL));
    say("still", send(b, "y", 1, MSG_NOSIGNAL));
    close(b);
    say("left in the box", recv(a, buf, 8, 0));
    say("pair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    say("abc", send(pair[0], "abc", 3, 0));
    say("abc", recv(pair[1], buf, 64, 0));
    close(pair[0]);
    say("end", recv(pair[1], buf, 64, 0));
    say("broken", send(pair[1], "x", 1, MSG_NOSIGNAL));
    say("pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    say("many", sendmmsg(pair[0],
                         (struct mmsghdr[]){{.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}},
                                            {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}}},
                         2, 0));
    say("one", recv(pair[1], buf, 64, 0));
    say("two", recv(pair[1], buf, 64, 0));
    close(listener);
    close(a);
    close(wrong);
}

static void *fill(void *arg)
{
    int fd = *(int *)arg;
    char buf[1000];
    long n = 0;

    memset(buf, 7, sizeof(buf));
    while (n < 2000 && send(fd, buf, sizeof(buf), 0) == sizeof(buf))
        n++;
    say("sent", n);
    return NULL;
}

/* More than a mailbox takes: the sender waits. */
static void pressure(void)
{
    pthread_t thread;
    char buf[2000];
    int pair[2];
    long n = 0;

    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    pthread_create(&thread, NULL, fill, &pair[0]);
    usleep(10000);
    while (n < 2000 && recv(pair[1], buf, sizeof(buf), 0) == 1000)
        n++;
    pthread_join(thread, NULL);
    say("received", n);
}

/* SO_RCVTIMEO and SO_SNDTIMEO bound read and write, too. */
static void timeouts(int type)
{
    static char buf[4096];
    struct timeval soon = {.tv_usec = 20000};
    int pair[2];

    socketpair(AF_UNIX, type, 0, pair);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
    say("read in time", read(pair[0], buf, 1));
    while (write(pair[0], buf, sizeof(buf)) > 0)
        ;
    say("write in time", write(pair[0], buf, sizeof(buf)));
    close(pair[0]);
    close(pair[1]);
}

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

/* A listener that is shut down gives away who waits, and takes nobody any more. */
static void shut_listener(int type, int how)
{
    struct shutting soon = {.fd = bound("@shut", type), .how = how};
    int a = socket(AF_UNIX, type, 0), fd = soon.fd, b = socket(AF_UNIX, type, 0), c;
    pthread_t thread;

    listen(fd, 4);
    say("half of nothing", shutdown(fd, SHUT_WR));
    events("listens still", fd);
    pthread_create(&thread, NULL, shut_soon, &soon);
    say("accept", accept(fd, NULL, NULL));
    pthread_join(thread, NULL);
    say("shut down", soon.result);
    events("shut", fd);
    say("accept", accept(fd, NULL, NULL));
    say("refused", connect_to(a, "@shut"));
    close(fd);
    fd = bound("@shut", type);
    listen(fd, 4);
    say("connect", connect_to(a, "@shut"));
    say("shut down", shutdown(fd, how));
    events("shut", fd);
    c = accept(fd, NULL, NULL);
    say("accept", c >= 0);
    say("accept", accept(fd, NULL, NULL));
    say("refused", connect_to(b, "@shut"));
    say("listen", listen(fd, 4));
    say("refused", connect_to(b, "@shut"));
    close(a);
    close(b);
    close(c);
    close(fd);
}

/* A stream's short list is moved as a whole, or not at all. */
static void stream_vectors(void)
{
    char buf[16] = "abc";
    struct iovec bad[2] = {{buf, 3}, {(void *)8, 8}}, in[2] = {{buf, 3}, {buf + 8, 8}};
    struct msghdr m = {.msg_iov = bad, .msg_iovlen = 2};
    int pair[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    say("sendmsg", sendmsg(pair[0], &m, 0));
    say("writev", writev(pair[0], bad, 2));
    say("nothing", recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT));
    send(pair[0], "whole", 5, 0);
    say("readv", readv(pair[1], bad, 2));
    say("recvmsg", recvmsg(pair[1], &m, 0));
    say("readv", readv(pair[1], in, 2));
    printf("%.3s %.2s\n", buf, buf + 8);
    send(pair[0], "abc", 3, 0);
    say("so far", readv(pair[1], bad, 2));
    close(pair[0]);
    say("end", readv(pair[1], in, 2));
    close(pair[1]);
}

/* readv and writev move one message; so does a write of nothing. */
static void vectors(int type)
{
    char two[2] = "ab", five[5] = "cdefg", buf[16] = "";
    struct iovec out[3] = {{NULL, 0}, {two, 2}, {five, 5}}, in[2] = {{buf, 3}, {buf + 8, 8}};
    struct iovec bad[2] = {{buf, 2}, {(void *)8, 8}};
    static volatile int number = 1025; /* which the compiler would warn of */
    int pair[2];

    socketpair(AF_UNIX, type, 0, pair);
    say("writev", writev(pair[0], out, 3));
    say("write", write(pair[0], "second", 6));
    say("readv", readv(pair[1], in, 2));
    printf("%.3s %.4s\n", buf, buf + 8);
    say("read", read(pair[1], buf, sizeof(buf)));
    say("nothing in them", writev(pair[0], out, 1));
    say("nothing", write(pair[0], "", 0));
    say("then", write(pair[0], "then", 4));
    say("readv", readv(pair[1], in, 2));
    say("readv", readv(pair[1], in, 2));
    say("none", recv(pair[1], buf, 1, MSG_DONTWAIT));
    write(pair[0], "lost", 4);
    say("bad", readv(pair[1], bad, 2));
    say("bad", writev(pair[0], bad, 2));
    say("none", recv(pair[1], buf, 1, MSG_DONTWAIT));
    say("too many", writev(pair[0], out, number));
    close(pair[0]);
    close(pair[1]);
}

static void odds(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), value = 0;
    socklen_t len = sizeof(value);
    struct ucred who = {0};
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    say("raw", socket(AF_UNIX, SOCK_RDM, 0));
    say("protocol", socket(AF_UNIX, SOCK_STREAM, 5));
    say("unknown family", socket(77, SOCK_STREAM, 0));
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len);
    say("domain", value);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len);
    say("type", value);
    say("no such option", setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof(value)));
    value = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value));
    value = 0;
    getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len);
    say("kept", value);
    say("no family", bind(fd, (struct sockaddr *)&a, 1));
    say("choose", bind(fd, (struct sockaddr *)&a, 2));
    show("chosen", fd, getsockname);
    say("listen", listen(fd, 5));
    len = sizeof(value);
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len);
    say("listens", value);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    say("nobody", accept4(fd, NULL, NULL, SOCK_CLOEXEC));
    socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0});
    len = sizeof(who);
    say("credentials", getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len));
    say("shut down", shutdown(fd, 9));
    close(fd);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    mkdtemp(folder);
    streams();
    abandoned(SOCK_STREAM);
    abandoned(SOCK_SEQPACKET);
    unread(SOCK_STREAM);
    unread(SOCK_SEQPACKET);
    backlog();
    datagrams();
    sequence();
    pressure();
    timeouts(SOCK_STREAM);
    timeouts(SOCK_DGRAM);
    vectors(SOCK_DGRAM);
    vectors(SOCK_SEQPACKET);
    stream_vectors();
    shut_listener(SOCK_STREAM, SHUT_RD);
    shut_listener(SOCK_STREAM, SHUT_RDWR);
    shut_listener(SOCK_SEQPACKET, SHUT_RD);
    odds();
    return 0;
}
