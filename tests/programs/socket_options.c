/* Socket options: what is set is told, and what is nonsense is refused; each answer a line,
 * compared with the host's. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct setting {
    const char *what;
    int level, name, values[3];
};

static const struct setting of_all[] = {
    {"send buffer", SOL_SOCKET, SO_SNDBUF, {0, 100, 5000}},
    {"receive buffer", SOL_SOCKET, SO_RCVBUF, {0, 100, 5000}},
    {"priority", SOL_SOCKET, SO_PRIORITY, {3, 0, 1}},
    {"low water", SOL_SOCKET, SO_RCVLOWAT, {5, 0, 7}},
    {"reuse", SOL_SOCKET, SO_REUSEADDR, {7, 0, 1}},
    {"keep alive", SOL_SOCKET, SO_KEEPALIVE, {1, 0, 1}},
    {"broadcast", SOL_SOCKET, SO_BROADCAST, {1, 0, 1}},
    {"do not route", SOL_SOCKET, SO_DONTROUTE, {1, 0, 1}},
};
static const struct setting of_ip[] = {
    {"reuse a port", SOL_SOCKET, SO_REUSEPORT, {1, 0, 1}},
    {"type of service", IPPROTO_IP, IP_TOS, {8, 0, 16}},
    {"hops", IPPROTO_IP, IP_TTL, {9, -1, 0}},
    {"discovery", IPPROTO_IP, IP_MTU_DISCOVER, {IP_PMTUDISC_DONT, IP_PMTUDISC_DO, 9}},
    {"errors", IPPROTO_IP, IP_RECVERR, {1, 0, 5}},
    {"foreign addresses", IPPROTO_IP, IP_FREEBIND, {1, 0, 7}},
};
static const struct setting of_ip6[] = {
    {"only", IPPROTO_IPV6, IPV6_V6ONLY, {1, 0, 1}},
    {"hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS, {9, -1, 256}},
    {"discovery", IPPROTO_IPV6, IPV6_MTU_DISCOVER, {IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_DO, 9}},
    {"errors", IPPROTO_IPV6, IPV6_RECVERR, {1, 0, 5}},
    {"class", IPPROTO_IPV6, IPV6_TCLASS, {8, 256, 16}},
};
static const struct setting of_tcp[] = {
    {"no delay", IPPROTO_TCP, TCP_NODELAY, {0, 7, 1}},
    {"segment", IPPROTO_TCP, TCP_MAXSEG, {87, 40000, 1000}},
    {"cork", IPPROTO_TCP, TCP_CORK, {1, 0, 0}},
    {"idle", IPPROTO_TCP, TCP_KEEPIDLE, {10, 0, 40000}},
    {"interval", IPPROTO_TCP, TCP_KEEPINTVL, {5, 0, 40000}},
    {"count", IPPROTO_TCP, TCP_KEEPCNT, {5, 0, 128}},
    {"tries", IPPROTO_TCP, TCP_SYNCNT, {3, 0, 128}},
    {"linger", IPPROTO_TCP, TCP_LINGER2, {-5, 0, 10}},
    {"defer", IPPROTO_TCP, TCP_DEFER_ACCEPT, {-1, 3, 0}},
    {"clamp", IPPROTO_TCP, TCP_WINDOW_CLAMP, {5000, 0, 6000}},
    {"quick", IPPROTO_TCP, TCP_QUICKACK, {0, 2, 1}},
    {"patience", IPPROTO_TCP, TCP_USER_TIMEOUT, {0, 100, -1}},
};

static void tell(const char *what, int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    int error = getsockopt(fd, level, name, &value, &len) == 0 ? 0 : errno;

    printf("%s: %d %d, length %u\n", what, error, value, len);
}

static void try_each(int fd, const struct setting *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned v = 0; v < 3; v++) {
            int r = setsockopt(fd, s[i].level, s[i].name, &s[i].values[v], sizeof(int));

            printf("%s = %d: %d\n", s[i].what, s[i].values[v], r == 0 ? 0 : errno);
            tell(s[i].what, fd, s[i].level, s[i].name);
        }
    }
}
#define TRY(fd, table) try_each(fd, table, sizeof(table) / sizeof((table)[0]))

static void tell_linger(int fd)
{
    struct linger got = {-1, -1};
    socklen_t len = sizeof(got);

    getsockopt(fd, SOL_SOCKET, SO_LINGER, &got, &len);
    printf("linger: on %d, %d s, length %u\n", got.l_onoff, got.l_linger, len);
}

static void linger(int fd)
{
    static const struct linger settings[] = {{7, 5}, {0, 9}, {1, 3}};

    for (unsigned i = 0; i < 3; i++) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &settings[i], sizeof(settings[i]));
        tell_linger(fd);
    }
}

static void one(int family, int type)
{
    int fd = socket(family, type, 0);

    printf("--- family %d, type %d\n", family, type);
    tell("priority", fd, SOL_SOCKET, SO_PRIORITY);
    tell("low water", fd, SOL_SOCKET, SO_RCVLOWAT);
    TRY(fd, of_all);
    linger(fd);
    if (family != AF_UNIX) {
        for (size_t i = 0; i < sizeof(of_ip) / sizeof(of_ip[0]); i++)
            tell(of_ip[i].what, fd, of_ip[i].level, of_ip[i].name);
        TRY(fd, of_ip);
    }
    if (family == AF_INET6)
        TRY(fd, of_ip6);
    if (family != AF_UNIX && type == SOCK_STREAM) {
        for (size_t i = 2; i < sizeof(of_tcp) / sizeof(of_tcp[0]); i++)
            tell(of_tcp[i].what, fd, of_tcp[i].level, of_tcp[i].name);
        TRY(fd, of_tcp);
    }
    close(fd);
}

/* An accepted socket has its listener's; and what is about names is settled once it is bound. */
static void inherited(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct linger five = {1, 5};
    socklen_t len = sizeof(a);
    int listener = socket(AF_INET6, SOCK_STREAM, 0), fd = socket(AF_INET6, SOCK_STREAM, 0), made;
    int value = 5;

    puts("--- inherited");
    setsockopt(listener, SOL_SOCKET, SO_PRIORITY, &value, sizeof(value));
    setsockopt(listener, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
    setsockopt(listener, SOL_SOCKET, SO_LINGER, &five, sizeof(five));
    setsockopt(listener, IPPROTO_TCP, TCP_SYNCNT, &value, sizeof(value));
    setsockopt(listener, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(value));
    setsockopt(listener, IPPROTO_IPV6, IPV6_RECVERR, &value, sizeof(value));
    bind(listener, (struct sockaddr *)&a, len);
    printf("only: %d\n", setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value)));
    printf("class: %d\n", setsockopt(listener, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof(value)));
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&a, &len);
    connect(fd, (struct sockaddr *)&a, len);
    made = accept(listener, NULL, NULL);
    tell("priority", made, SOL_SOCKET, SO_PRIORITY);
    tell("low water", made, SOL_SOCKET, SO_RCVLOWAT);
    tell_linger(made);
    tell("tries", made, IPPROTO_TCP, TCP_SYNCNT);
    tell("idle", made, IPPROTO_TCP, TCP_KEEPIDLE);
    tell("errors", made, IPPROTO_IPV6, IPV6_RECVERR);
    close(made);
    close(fd);
    close(listener);
}

int main(void)
{
    one(AF_INET, SOCK_STREAM);
    one(AF_INET, SOCK_DGRAM);
    one(AF_INET6, SOCK_STREAM);
    one(AF_INET6, SOCK_DGRAM);
    one(AF_UNIX, SOCK_STREAM);
    one(AF_UNIX, SOCK_DGRAM);
    inherited();
    return 0;
}
