/*
 * One end of a conversation over a network, the other of which is elsewhere. What it sends comes
 * back, which it checks; or it sends back what comes.
 *
 *   traffic stream ADDRESS PORT BYTES      sends so many and the end; gets the same bytes, and the
 * end traffic datagrams ADDRESS PORT COUNT   each of another length traffic echo PORT to one
 * connection, until it ends traffic echo-datagrams PORT            until one is empty traffic ask
 * ADDRESS PORT               sends a byte, waits for an answer: says what it was traffic resolve
 * NAME                   what the C library makes of it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAM_MOST = 60000 };

static void need(int good, const char *what)
{
    if (good)
        return;
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- both ends --- */

/* -1 and errno if it is not to be. */
static int connect_to(int type, const char *address, const char *port)
{
    struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *at;
    int fd, error = 0;

    need(getaddrinfo(address, port, &hints, &at) == 0, "address");
    fd = socket(at->ai_family, type, 0);
    need(fd >= 0, "socket");
    if (connect(fd, at->ai_addr, at->ai_addrlen) != 0)
        error = errno;
    freeaddrinfo(at);
    if (error == 0)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

static int connected(int type, const char *address, const char *port)
{
    int fd = connect_to(type, address, port);

    need(fd >= 0, "connect");
    return fd;
}

/* For either version of IP. */
static int bound(int type, const char *port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET6, type, 0);

    need(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0, "bind");
    return fd;
}

static unsigned char pattern(size_t at)
{
    return (unsigned char)((at * 2654435761u) >> 13 ^ at >> 21);
}

/* --- streams --- */

static size_t sent, received, wrong;

static void send_some(int fd, size_t bytes)
{
    static unsigned char buf[40000];
    size_t len = bytes - sent < sizeof(buf) ? bytes - sent : sizeof(buf);
    ssize_t n;

    for (size_t i = 0; i < len; i++)
        buf[i] = pattern(sent + i);
    n = send(fd, buf, len, MSG_NOSIGNAL);
    need(n > 0 || errno == EAGAIN, "send");
    if (n > 0)
        sent += (size_t)n;
    if (sent == bytes)
        need(shutdown(fd, SHUT_WR) == 0, "shutdown");
}

/* False at the end. */
static int receive_some(int fd)
{
    static unsigned char buf[50000];
    ssize_t n = recv(fd, buf, sizeof(buf), 0);

    need(n >= 0 || errno == EAGAIN, "receive");
    for (ssize_t i = 0; i < n; i++)
        wrong += buf[i] != pattern(received + (size_t)i);
    if (n > 0)
        received += (size_t)n;
    return n != 0;
}

static int stream(const char *address, const char *port, size_t bytes)
{
    int fd = connected(SOCK_STREAM, address, port);
    struct pollfd p = {.fd = fd};

    need(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    do {
        p.events = (short)(sent < bytes ? POLLIN | POLLOUT : POLLIN);
        need(poll(&p, 1, -1) == 1, "poll");
        if (p.revents & POLLOUT && sent < bytes)
            send_some(fd, bytes);
    } while (!(p.revents & ~POLLOUT) || receive_some(fd));
    printf("%zu back, %zu wrong\n", received, wrong);
    return received != bytes || wrong != 0;
}

static int echo(const char *port)
{
    static char buf[1 << 16];
    int listener = bound(SOCK_STREAM, port), fd;
    size_t all = 0;
    ssize_t n;

    need(listen(listener, 1) == 0, "listen");
    fd = accept(listener, NULL, NULL);
    need(fd >= 0, "accept");
    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        for (ssize_t done = 0, k; done < n; done += k)
            need((k = write(fd, buf + done, (size_t)(n - done))) > 0, "write");
        all += (size_t)n;
    }
    need(n == 0, "read");
    close(fd);
    printf("%zu\n", all);
    return 0;
}

static int ask(const char *address, const char *port)
{
    int fd = connected(SOCK_STREAM, address, port);
    char answer;
    ssize_t n;

    need(write(fd, "?", 1) == 1, "write");
    puts("asked");
    fflush(stdout);
    n = read(fd, &answer, 1);
    need(n >= 0, "read");
    puts(n == 0 ? "the end" : "an answer");
    return 0;
}

/* --- again and again --- */

static int link_is_up(const char *interface)
{
    struct ifreq r;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
    need(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0, "SIOCGIFFLAGS");
    close(fd);
    return (r.ifr_flags & IFF_RUNNING) != 0;
}

/* It does not end its direction before all is back: passt of 2023 would lose count then. */
static const char *there_and_back_once(const char *address, const char *port)
{
    enum { BYTES = 100000 };
    static unsigned char out[BYTES], in[BYTES];
    int fd = connect_to(SOCK_STREAM, address, port);
    size_t at = 0;
    ssize_t n = 1;

    for (size_t i = 0; i < BYTES; i++)
        out[i] = pattern(i);
    if (fd < 0 || send(fd, out, BYTES, MSG_NOSIGNAL) != BYTES)
        return strerror(errno);
    while (at < BYTES && n > 0) {
        n = recv(fd, in + at, BYTES - at, 0);
        if (n < 0)
            return strerror(errno);
        at += (size_t)n;
    }
    close(fd);
    return at == BYTES && memcmp(in, out, BYTES) == 0 ? "there and back" : "wrong";
}

static int again(const char *address, const char *port)
{
    char line[16];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin))
        puts(link_is_up("eth0") ? there_and_back_once(address, port) : "down");
    return 0;
}

/* For each line, how it is. */
static int tell_link(const char *interface)
{
    char line[16];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin))
        puts(link_is_up(interface) ? "up" : "down");
    return 0;
}

static int pour(const char *address, const char *port, size_t bytes)
{
    static const char zeroes[1 << 16];
    int fd = connected(SOCK_STREAM, address, port);

    for (size_t n; bytes > 0; bytes -= n) {
        n = bytes < sizeof(zeroes) ? bytes : sizeof(zeroes);
        need(send(fd, zeroes, n, MSG_NOSIGNAL) == (ssize_t)n, "send");
    }
    return 0;
}

/* --- datagrams --- */

/* One may be lost; then it goes again. */
static ssize_t there_and_back(int fd, const unsigned char *out, size_t len, unsigned char *in)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int tries = 0;

    do {
        need(tries++ < 5, "an answer");
        need(send(fd, out, len, 0) == (ssize_t)len, "send");
    } while (poll(&p, 1, 1000) == 0);
    return recv(fd, in, DATAGRAM_MOST + 1, 0);
}

static int datagrams(const char *address, const char *port, unsigned count, size_t most)
{
    static unsigned char out[DATAGRAM_MOST], in[DATAGRAM_MOST + 1];
    int fd = connected(SOCK_DGRAM, address, port);

    need(most <= DATAGRAM_MOST, "length");

    for (unsigned i = 1; i <= count; i++) {
        size_t len = most * i / count;

        for (size_t k = 0; k < len; k++)
            out[k] = pattern(k + i);
        if (there_and_back(fd, out, len, in) != (ssize_t)len || memcmp(in, out, len) != 0) {
            printf("wrong: one of %zu bytes\n", len);
            return 1;
        }
    }
    printf("%u back\n", count);
    return 0;
}

static int echo_datagrams(const char *port)
{
    static char buf[1 << 16];
    int fd = bound(SOCK_DGRAM, port);
    struct sockaddr_in6 from;
    unsigned count = 0;

    for (;;) {
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

        need(n >= 0, "receive");
        if (n == 0)
            break;
        need(sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len) == n, "send");
        count++;
    }
    printf("%u\n", count);
    return 0;
}

/* --- names --- */

static int resolve(const char *name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
    char text[64];
    int err = getaddrinfo(name, NULL, &hints, &all);

    if (err)
        printf("%s\n", gai_strerror(err));
    for (const struct addrinfo *a = all; a; a = a->ai_next) {
        getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
        puts(text);
    }
    return err != 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[1] : "";

    if (strcmp(mode, "stream") == 0 && argc == 5)
        return stream(argv[2], argv[3], strtoul(argv[4], NULL, 10));
    if (strcmp(mode, "datagrams") == 0 && argc == 6)
        return datagrams(argv[2], argv[3], (unsigned)atoi(argv[4]), strtoul(argv[5], NULL, 10));
    if (strcmp(mode, "again") == 0 && argc == 4)
        return again(argv[2], argv[3]);
    if (strcmp(mode, "link") == 0)
        return tell_link(argv[2]);
    if (strcmp(mode, "pour") == 0 && argc == 5)
        return pour(argv[2], argv[3], strtoul(argv[4], NULL, 10));
    if (strcmp(mode, "ask") == 0 && argc == 4)
        return ask(argv[2], argv[3]);
    if (strcmp(mode, "echo") == 0)
        return echo(argv[2]);
    if (strcmp(mode, "echo-datagrams") == 0)
        return echo_datagrams(argv[2]);
    if (strcmp(mode, "resolve") == 0)
        return resolve(argv[2]);
    fputs("traffic: see its source\n", stderr);
    return 2;
}
