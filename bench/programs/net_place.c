/* Where a connection goes to or comes from, and bytes through it: see net.h. */
#include "net.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { LOST_AFTER_S = 2, TRIES = 5000, TRY_US = 1000 };

struct place {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
        struct sockaddr_vm vm;
    } at;
    socklen_t len;
    int type;
    const char *guest_port; /* of guest:PATH:PORT */
};

void check(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

bool place_is_datagram(const char *place)
{
    return after(place, "udp:") != NULL;
}

/* What is before the last colon, cut to size; the number behind it is returned. */
static const char *split(const char *text, char *to, size_t size)
{
    const char *colon = strrchr(text, ':');

    check(colon && (size_t)(colon - text) < size, text);
    memcpy(to, text, (size_t)(colon - text));
    to[colon - text] = '\0';
    return colon + 1;
}

static void set_inet(struct place *p, const char *text)
{
    char address[64];
    const char *port = split(text, address, sizeof(address));

    p->at.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    check(inet_pton(AF_INET, address, &p->at.in.sin_addr) == 1, text);
    p->len = sizeof(p->at.in);
}

static void set_unix(struct place *p, const char *path)
{
    p->at.un = (struct sockaddr_un){.sun_family = AF_UNIX};
    check(strlen(path) < sizeof(p->at.un.sun_path), path);
    memcpy(p->at.un.sun_path, path, strlen(path) + 1);
    p->len = sizeof(p->at.un);
}

static void set_vsock(struct place *p, unsigned cid, const char *port)
{
    p->at.vm = (struct sockaddr_vm){
        .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = (unsigned)atoi(port)};
    p->len = sizeof(p->at.vm);
}

static struct place understand(const char *text, unsigned cid)
{
    struct place p = {.type = SOCK_STREAM};
    const char *rest;
    char path[sizeof(p.at.un.sun_path)];

    if (place_is_datagram(text))
        p.type = SOCK_DGRAM;
    if ((rest = after(text, "tcp:")) != NULL || (rest = after(text, "udp:")) != NULL) {
        set_inet(&p, rest);
    } else if ((rest = after(text, "unix:")) != NULL) {
        set_unix(&p, rest);
    } else if ((rest = after(text, "vsock:")) != NULL) {
        set_vsock(&p, cid, rest);
    } else {
        rest = after(text, "guest:");
        check(rest != NULL, text);
        p.guest_port = split(rest, path, sizeof(path));
        set_unix(&p, path);
    }
    return p;
}

static void no_delay(const struct place *p, int fd)
{
    const int on = 1;

    if (p->at.any.sa_family == AF_INET && p->type == SOCK_STREAM)
        check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
}

/* A datagram that is lost ends the measurement instead of holding it up. */
static void lose_patience(int fd)
{
    const struct timeval limit = {.tv_sec = LOST_AFTER_S};

    check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0, "SO_RCVTIMEO");
}

/* The guest may not listen yet: its end then closes without an answer. */
static bool greet_guest(int fd, const char *port)
{
    char line[64];
    size_t n = 0;

    dprintf(fd, "CONNECT %s\n", port);
    while (n + 1 < sizeof(line) && read(fd, &line[n], 1) == 1) {
        if (line[n++] == '\n')
            return n > 3 && memcmp(line, "OK ", 3) == 0;
    }
    return false;
}

static int try_to_connect(const struct place *p)
{
    int fd = socket(p->at.any.sa_family, p->type, 0);

    check(fd >= 0, "socket");
    if (connect(fd, &p->at.any, p->len) == 0 && (!p->guest_port || greet_guest(fd, p->guest_port)))
        return fd;
    close(fd);
    return -1;
}

/* A machine that is being started takes a moment. */
int place_connect(const char *text)
{
    const struct place p = understand(text, VMADDR_CID_HOST);
    int fd = -1;

    for (int i = 0; fd < 0 && i < (p.guest_port ? TRIES : 1); i++) {
        if (i > 0)
            usleep(TRY_US);
        fd = try_to_connect(&p);
    }
    check(fd >= 0, text);
    no_delay(&p, fd);
    if (p.type == SOCK_DGRAM)
        lose_patience(fd);
    return fd;
}

int place_listen(const char *text)
{
    const struct place p = understand(text, VMADDR_CID_ANY);
    int fd = socket(p.at.any.sa_family, p.type, 0);

    check(fd >= 0, "socket");
    no_delay(&p, fd); /* those that are accepted inherit it */
    if (p.at.any.sa_family == AF_UNIX)
        unlink(p.at.un.sun_path);
    check(bind(fd, &p.at.any, p.len) == 0, text);
    check(p.type == SOCK_DGRAM || listen(fd, 16) == 0, "listen");
    return fd;
}

/* --- bytes --- */

bool read_all(int fd, void *to, size_t len)
{
    for (char *at = to; len > 0;) {
        ssize_t got = read(fd, at, len);

        check(got >= 0, "read");
        if (got == 0)
            return false;
        at += got;
        len -= (size_t)got;
    }
    return true;
}

void write_all(int fd, const void *from, size_t len)
{
    for (const char *at = from; len > 0;) {
        ssize_t put = write(fd, at, len);

        check(put > 0, "write");
        at += put;
        len -= (size_t)put;
    }
}

static char piece[PIECE];

void read_bytes(int fd, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(fd, piece, bytes < PIECE ? (size_t)bytes : PIECE);

        check(got > 0, "read");
        bytes -= (uint64_t)got;
    }
}

void write_bytes(int fd, uint64_t bytes)
{
    memset(piece, 'n', sizeof(piece));
    while (bytes > 0) {
        size_t len = bytes < PIECE ? (size_t)bytes : PIECE;

        write_all(fd, piece, len);
        bytes -= len;
    }
}
