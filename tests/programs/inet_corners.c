/* What few programs ask of TCP and UDP, over loopback; each answer a line, compared with the
 * host's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static void events(const char *what, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

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

static void error(const char *what, int fd)
{
    int value = -1;
    socklen_t len = sizeof(value);

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len);
    say(what, value);
}

static struct sockaddr_in at(const char *address, int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = inet_addr(address)};
}

static int bind_to(int fd, const char *address, int port)
{
    struct sockaddr_in a = at(address, port);

    return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static int connect_to(int fd, const char *address, int port)
{
    struct sockaddr_in a = at(address, port);

    return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int disconnect(int fd)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};

    return connect(fd, &none, sizeof(none));
}

static struct sockaddr_in name(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in a = {.sin_port = 0};
    socklen_t len = sizeof(a);

    if (get(fd, (struct sockaddr *)&a, &len) != 0)
        say("no name", -1);
    return a;
}

static int port_of(int fd)
{
    return ntohs(name(fd, getsockname).sin_port);
}

static void names(const char *what, int fd)
{
    struct sockaddr_in own = name(fd, getsockname), peer = name(fd, getpeername);
    char buf[INET_ADDRSTRLEN];

    printf("%s: %s", what, inet_ntop(AF_INET, &own.sin_addr, buf, sizeof(buf)));
    printf(" to %s\n", inet_ntop(AF_INET, &peer.sin_addr, buf, sizeof(buf)));
}

static int listen_at(const char *address, int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    say("bind", bind_to(fd, address, port));
    say("listen", listen(fd, 5));
    return fd;
}

/* --- all of 127.0.0.0/8 --- */

static void loopback_streams(const char *server, const char *client)
{
    int listener = listen_at(server, 0), fd = socket(AF_INET, SOCK_STREAM, 0), accepted;
    int other = socket(AF_INET, SOCK_STREAM, 0);
    char buf[8];

    printf("--- TCP %s from %s\n", server, client ? client : "anywhere");
    if (client)
        say("bind", bind_to(fd, client, 0));
    say("connect", connect_to(fd, server, port_of(listener)));
    names("connected", fd);
    accepted = accept(listener, NULL, NULL);
    names("accepted", accepted);
    say("write", write(fd, "hello", 5));
    say("read", read(accepted, buf, sizeof(buf)));
    say("another address", connect_to(other, "127.77.0.1", port_of(listener)));
    close(other);
    close(accepted);
    close(fd);
    close(listener);
}

static void loopback_datagrams(const char *server, const char *client)
{
    int to = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    char buf[INET_ADDRSTRLEN];

    printf("--- UDP %s from %s\n", server, client);
    say("bind", bind_to(to, server, 0));
    say("bind", bind_to(from, client, 0));
    a = at(server, port_of(to));
    say("send", sendto(from, "hello", 5, 0, (struct sockaddr *)&a, sizeof(a)));
    await(to, POLLIN);
    say("receive", recvfrom(to, buf, sizeof(buf), 0, (struct sockaddr *)&a, &len));
    printf("from %s\n", inet_ntop(AF_INET, &a.sin_addr, buf, sizeof(buf)));
    say("answer", sendto(to, "hi", 2, 0, (struct sockaddr *)&a, sizeof(a)));
    await(from, POLLIN);
    say("receive", recv(from, buf, sizeof(buf), 0));
    close(to);
    close(from);
}

/* --- connect() to AF_UNSPEC --- */

static void cut(int named, const char *what)
{
    int listener = listen_at("127.0.0.1", 0), port = port_of(listener), own, accepted;
    int fd = socket(AF_INET, SOCK_STREAM, 0), taken = socket(AF_INET, SOCK_STREAM, 0);
    char byte;

    printf("--- cut, %s\n", what);
    if (named) {
        say("bind", bind_to(taken, "127.0.0.1", 0));
        own = port_of(taken);
        close(taken);
        say("bind", bind_to(fd, "127.0.0.1", named == 2 ? own : 0));
    }
    say("fresh", disconnect(fd));
    say("connect", connect_to(fd, "127.0.0.1", port));
    own = port_of(fd);
    accepted = accept(listener, NULL, NULL);
    say("cut", disconnect(fd));
    await(accepted, POLLHUP);
    say("the peer reads", read(accepted, &byte, 1));
    close(accepted);
    events("cut", fd);
    error("error", fd);
    error("error", fd);
    if (named == 2) /* others are told a port of which they hold nothing any more */
        say("its port", port_of(fd) == own);
    names("cut", fd);
    say("write", send(fd, "x", 1, MSG_NOSIGNAL));
    say("read", read(fd, &byte, 1));
    say("connect", connect_to(fd, "127.0.0.1", port));
    accepted = accept(listener, NULL, NULL);
    say("write", write(fd, "x", 1));
    say("read", read(accepted, &byte, 1));
    say("again", disconnect(fd));
    close(accepted);
    close(fd);
    close(listener);
}

static void cut_listener(void)
{
    int fd = listen_at("127.0.0.1", 0), client = socket(AF_INET, SOCK_STREAM, 0);
    int port = port_of(fd);

    puts("--- a listener, cut");
    say("cut", disconnect(fd));
    say("refused", connect_to(client, "127.0.0.1", port));
    say("accept", accept(fd, NULL, NULL));
    events("cut", fd);
    close(client);
    close(fd);
}

/* --- SO_RCVLOWAT --- */

static void low_water(void)
{
    int listener = listen_at("127.0.0.1", 0), fd = socket(AF_INET, SOCK_STREAM, 0), accepted;
    int least = 5;
    char buf[16];

    puts("--- low water");
    connect_to(fd, "127.0.0.1", port_of(listener));
    accepted = accept(listener, NULL, NULL);
    say("set", setsockopt(accepted, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least)));
    say("write", write(fd, "abc", 3));
    usleep(20000);
    events("three", accepted);
    say("at once", recv(accepted, buf, sizeof(buf), MSG_DONTWAIT));
    say("write", write(fd, "abcdef", 6));
    await(accepted, POLLIN);
    events("six", accepted);
    say("read", read(accepted, buf, 4));
    events("two", accepted);
    say("write", write(fd, "ghi", 3));
    say("read", read(accepted, buf, sizeof(buf)));
    say("write", write(fd, "z", 1));
    say("all that is asked for", read(accepted, buf, 1));
    say("write", write(fd, "end", 3));
    close(fd);
    await(accepted, POLLIN);
    say("what is left", read(accepted, buf, sizeof(buf)));
    close(accepted);
    close(listener);
}

/* --- fragments: to somebody beyond a link of 1500 bytes --- */

static void send_sizes(int fd, const struct sockaddr *to, socklen_t len, size_t most)
{
    static const char bytes[4000];

    say("most", sendto(fd, bytes, most, 0, to, len));
    say("one more", sendto(fd, bytes, most + 1, 0, to, len));
}

static int fragments(const char *v4, const char *v6)
{
    struct sockaddr_in to = at(v4, 9);
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), fd6 = socket(AF_INET6, SOCK_DGRAM, 0);

    inet_pton(AF_INET6, v6, &to6.sin6_addr);
    for (int how = IP_PMTUDISC_DONT; how <= IP_PMTUDISC_OMIT; how++) {
        printf("%d\n", how);
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how));
        setsockopt(fd6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &how, sizeof(how));
        send_sizes(fd, (struct sockaddr *)&to, sizeof(to), 1472);
        send_sizes(fd6, (struct sockaddr *)&to6, sizeof(to6), 1452);
    }
    return 0;
}

/* --- what may pass, to who asks for all errors (IP_RECVERR) and who does not --- */

static int asks(int type, const char *address, int all)
{
    struct timeval patience = {.tv_sec = all ? 20 : 0, .tv_usec = 300000};
    int fd = socket(AF_INET, type, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_IP, IP_RECVERR, &all, sizeof(all));
    say("connect", connect_to(fd, address, 5000));
    return fd;
}

static void hears(const char *what, int fd)
{
    char byte;

    say("send", send(fd, "x", 1, 0));
    say(what, recv(fd, &byte, 1, 0));
    close(fd);
}

/* The way to `lost` ends when a line is read. */
static int errors(const char *nowhere, const char *lost)
{
    int deaf, keen;

    hears("deaf", asks(SOCK_DGRAM, nowhere, 0));
    hears("keen", asks(SOCK_DGRAM, nowhere, 1));
    deaf = asks(SOCK_STREAM, lost, 0);
    keen = asks(SOCK_STREAM, lost, 1);
    puts("connected");
    getchar();
    hears("deaf", deaf);
    hears("keen", keen);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 4 && strcmp(argv[1], "fragments") == 0)
        return fragments(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "errors") == 0)
        return errors(argv[2], argv[3]);
    signal(SIGPIPE, SIG_IGN);
    loopback_streams("127.0.0.5", NULL);
    loopback_streams("127.255.255.254", "127.1.2.3");
    loopback_streams("127.0.0.1", "127.0.0.9");
    loopback_datagrams("127.0.0.5", "127.0.0.6");
    loopback_datagrams("127.0.0.1", "127.9.9.9");
    cut(0, "not named");
    cut(1, "named without a port");
    cut(2, "named");
    cut_listener();
    low_water();
    return 0;
}
