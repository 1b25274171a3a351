/*
 * vsock_echo listen [PORT [DEAF]]: says "listening", then answers every connection with what it
 * says, beside a UDP socket at port DEAF that it does not read from. vsock_echo connect PORT
 * [TEXT]: sends TEXT and a newline to the host, prints what comes back.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
#include "deaf_socket.h"

enum { MOST = 4096 };

static int die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, errno == ECONNRESET ? "connection reset" : strerror(errno));
    return 1;
}

static int vsock(struct sockaddr_vm *address, unsigned cid, unsigned port)
{
    *address = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done <= 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* False when the connection is over. */
static int echo(int fd)
{
    static char buf[65536];
    ssize_t n = read(fd, buf, sizeof(buf));

    return n > 0 && write_all(fd, buf, (size_t)n) == 0;
}

static void allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int serve(int listener)
{
    static struct pollfd fds[MOST];
    nfds_t n = 1;

    allow_many_files();
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
        if (fds[0].revents && n < MOST) {
            int fd = accept(listener, NULL, NULL);

            if (fd < 0)
                return die("accept");
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
}

static int do_listen(unsigned port)
{
    struct sockaddr_vm address;
    int fd = vsock(&address, VMADDR_CID_ANY, port);

    if (fd < 0)
        return die("socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, MOST) != 0)
        return die("listen");
    puts("listening");
    fflush(stdout);
    return serve(fd);
}

static int do_connect(unsigned port, const char *text)
{
    struct sockaddr_vm address;
    char buf[4096];
    ssize_t n;
    int fd = vsock(&address, VMADDR_CID_HOST, port);

    if (fd < 0)
        return die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return die("connect");
    if (write_all(fd, text, strlen(text)) != 0 || write_all(fd, "\n", 1) != 0)
        return die("write");
    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        if (write_all(1, buf, (size_t)n) != 0)
            return die("stdout");
    }
    return n == 0 ? 0 : die("read");
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "listen") == 0 &&
        open_deaf_socket((unsigned)strtoul(argv[3], NULL, 10)) != 0)
        return die("UDP");
    if (argc >= 2 && strcmp(argv[1], "listen") == 0)
        return do_listen(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5000);
    if (argc >= 3 && strcmp(argv[1], "connect") == 0)
        return do_connect((unsigned)strtoul(argv[2], NULL, 10), argc > 3 ? argv[3] : "hello");
    fprintf(stderr, "usage: vsock_echo listen [PORT] | connect PORT [TEXT]\n");
    return 2;
}
