#include "tests/vm/lan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/vm/runner.h"

/* --- interfaces --- */

void lan_sysctl(const char *name, const char *value)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        fail_at(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    CHECK(write(fd, value, strlen(value)) == (ssize_t)strlen(value));
    close(fd);
}

static void ask(int family, unsigned long request, void *arg)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, request, arg) != 0)
        fail_at(__FILE__, __LINE__, "request %#lx of an interface: %s", request, strerror(errno));
    close(fd);
}

static struct ifreq named(const char *interface)
{
    struct ifreq r = {0};

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
    return r;
}

void lan_link(const char *interface, int up)
{
    struct ifreq r = named(interface);

    r.ifr_flags = up ? IFF_UP : 0;
    ask(AF_INET, SIOCSIFFLAGS, &r);
}

static void address4(const char *interface, const char *address, unsigned prefix)
{
    struct ifreq r = named(interface);
    struct sockaddr_in *in = (struct sockaddr_in *)&r.ifr_addr;

    in->sin_family = AF_INET;
    CHECK(inet_pton(AF_INET, address, &in->sin_addr) == 1);
    ask(AF_INET, SIOCSIFADDR, &r);
    in->sin_addr.s_addr = htonl((uint32_t)(UINT64_C(0xffffffff) << (32 - prefix)));
    ask(AF_INET, SIOCSIFNETMASK, &r);
}

/* linux/ipv6.h has it, and much that netinet/in.h has too. */
struct ifreq6 {
    struct in6_addr address;
    uint32_t prefix;
    int interface;
};

/* The kernel makes it usable a moment later, although nobody is asked whether it is taken. */
static void await_address6(const struct in6_addr *address)
{
    const struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = *address};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    for (int i = 0; bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0; i++) {
        CHECK(errno == EADDRNOTAVAIL && i < 5000);
        usleep(1000);
    }
    close(fd);
}

static void address6(const char *interface, const char *address, unsigned prefix)
{
    struct ifreq6 r = {.prefix = prefix, .interface = (int)if_nametoindex(interface)};

    CHECK(inet_pton(AF_INET6, address, &r.address) == 1);
    ask(AF_INET6, SIOCSIFADDR, &r);
    await_address6(&r.address);
}

void lan_address(const char *interface, const char *address, unsigned prefix)
{
    (strchr(address, ':') ? address6 : address4)(interface, address, prefix);
}

void lan_unshare(void)
{
    if (unshare(CLONE_NEWNET) != 0)
        fail_at(__FILE__, __LINE__, "a network namespace: %s", strerror(errno));
    lan_link("lo", 1);
}

int lan_tap(const char *name)
{
    struct ifreq r = named(name);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        fail_at(__FILE__, __LINE__, "/dev/net/tun: %s", strerror(errno));
    r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    CHECK(ioctl(fd, TUNSETIFF, &r) == 0);
    return fd;
}

/* Its own router's words are not for the host. Neighbours are looked for often: the first time the
 * guest may not be there yet. */
void lan_make(void)
{
    int fd;

    lan_unshare();
    fd = lan_tap("tap7");
    CHECK(ioctl(fd, TUNSETPERSIST, 1) == 0);
    close(fd);
    lan_sysctl("ipv6/conf/tap7/accept_dad", "0");
    lan_sysctl("ipv6/conf/tap7/accept_ra", "0");
    lan_sysctl("ipv4/neigh/tap7/retrans_time_ms", "50");
    lan_sysctl("ipv6/neigh/tap7/retrans_time_ms", "50");
    lan_address("tap7", LAN_HOST4, 24);
    lan_link("tap7", 1);
    lan_address("tap7", LAN_HOST6, 64);
}

/* --- sockets --- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union address address_of(const char *address, int port)
{
    union address a = {.any.sa_family = strchr(address, ':') ? AF_INET6 : AF_INET};

    if (a.any.sa_family == AF_INET6) {
        a.v6.sin6_port = htons((uint16_t)port);
        CHECK(inet_pton(AF_INET6, address, &a.v6.sin6_addr) == 1);
    } else {
        a.v4.sin_port = htons((uint16_t)port);
        CHECK(inet_pton(AF_INET, address, &a.v4.sin_addr) == 1);
    }
    return a;
}

static socklen_t length_of(const union address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

int lan_bound(int type, const char *address, int port)
{
    union address a = address_of(address, port);
    int fd = socket(a.any.sa_family, type | SOCK_CLOEXEC, 0), on = 1;

    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    if (bind(fd, &a.any, length_of(&a)) != 0)
        fail_at(__FILE__, __LINE__, "bind to %s port %d: %s", address, port, strerror(errno));
    CHECK(type != SOCK_STREAM || listen(fd, 128) == 0);
    return fd;
}

int lan_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

/* 0 or an error, ETIMEDOUT soon: a lost SYN is sent again only after a second. */
static int connect_once(int fd, const union address *a)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof(error);

    if (connect(fd, &a->any, length_of(a)) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (poll(&p, 1, 200) != 1)
        return ETIMEDOUT;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
    return error;
}

/* Until this is how it ends. The test's own time bounds it. */
static int connect_until(int type, const char *address, int port, int wanted)
{
    union address a = address_of(address, port);

    for (;; usleep(5000)) {
        int fd = socket(a.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        CHECK(fd >= 0);
        if (connect_once(fd, &a) == wanted)
            return fd;
        close(fd);
    }
}

int lan_connect(int type, const char *address, int port)
{
    int fd = connect_until(type, address, port, 0);

    CHECK(fcntl(fd, F_SETFL, 0) == 0);
    return fd;
}

void lan_refused(const char *address, int port)
{
    close(connect_until(SOCK_STREAM, address, port, ECONNREFUSED));
}

bool lan_readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, ms) == 1;
}

/* In /proc/net/tcp or tcp6. */
static bool is_listening(const char *table, int port)
{
    char line[256], sign[32];
    bool found = false;
    FILE *f = fopen(table, "r");

    CHECK(f);
    snprintf(sign, sizeof(sign), ":%04X ", port);
    while (!found && fgets(line, sizeof(line), f)) {
        const char *at = strstr(line, sign);

        found = at && strstr(at, ":0000 0A "); /* nobody's port is its peer's; LISTEN */
    }
    fclose(f);
    return found;
}

void lan_await_listener(int port)
{
    while (!is_listening("/proc/net/tcp", port) && !is_listening("/proc/net/tcp6", port))
        usleep(5000);
}

void lan_peer_is(int fd, const char *address)
{
    union address a;
    socklen_t len = sizeof(a);
    char text[INET6_ADDRSTRLEN];

    CHECK(getpeername(fd, &a.any, &len) == 0);
    CHECK(inet_ntop(a.any.sa_family,
                    a.any.sa_family == AF_INET6 ? (void *)&a.v6.sin6_addr : &a.v4.sin_addr, text,
                    sizeof(text)));
    if (strcmp(text, address) != 0)
        fail_at(__FILE__, __LINE__, "the peer is %s, not %s", text, address);
}

void lan_send(int fd, const void *from, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)from + at, len - at, MSG_NOSIGNAL);

        if (n <= 0)
            fail_at(__FILE__, __LINE__, "sent %zu of %zu bytes: %s", at, len, strerror(errno));
        at += (size_t)n;
    }
}

size_t lan_receive(int fd, void *to, size_t len)
{
    size_t at = 0;
    ssize_t n = 1;

    while (at < len && n > 0) {
        n = recv(fd, (char *)to + at, len - at, 0);
        if (n < 0)
            fail_at(__FILE__, __LINE__, "received %zu bytes, then %s", at, strerror(errno));
        at += (size_t)n;
    }
    return at;
}

void lan_echo(int fd)
{
    static char bytes[1 << 16];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        lan_send(fd, bytes, (size_t)n);
    CHECK(n == 0);
    CHECK(shutdown(fd, SHUT_WR) == 0);
}

void lan_echo_all(void *listener)
{
    static char buf[1 << 16];

    for (;;) {
        int fd = lan_accept(*(int *)listener);
        ssize_t n;

        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 &&
               send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n)
            ;
        close(fd);
    }
}

void lan_echo_datagrams(int fd)
{
    static char bytes[1 << 16];
    union address from;

    for (;;) {
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, &from.any, &len);

        CHECK(n >= 0 && sendto(fd, bytes, (size_t)n, 0, &from.any, len) == n);
    }
}

unsigned char *lan_data(size_t len, unsigned seed)
{
    unsigned char *data = malloc(len);
    uint32_t x = seed * 2654435761u + 1;

    CHECK(data);
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13; /* xorshift */
        x ^= x >> 17;
        x ^= x << 5;
        data[i] = (unsigned char)(x >> 11);
    }
    return data;
}

/* --- processes --- */

static pid_t start(void)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    return pid;
}

pid_t beside(void (*fn)(void *arg), void *arg)
{
    pid_t pid = start();

    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    return pid;
}

void beside_ends(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_at(__FILE__, __LINE__, "what ran beside the test has failed (%#x)", (unsigned)status);
}

pid_t beside_run(const char *const argv[])
{
    pid_t pid = start();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        CHECK(null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}
