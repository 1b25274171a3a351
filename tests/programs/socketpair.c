/* socketpair(AF_UNIX, SOCK_STREAM), each answer a line: compared with the host's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

static void moving(void)
{
    char buf[32] = "";
    struct iovec parts[2] = {{buf, 2}, {buf + 2, 20}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int fd[2], waiting = 0;

    say("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
    events("fresh", fd[0]);
    say("send", send(fd[0], "abcdef", 6, 0));
    say("write back", write(fd[1], "xyz", 3));
    events("data", fd[1]);
    ioctl(fd[1], FIONREAD, &waiting);
    say("waiting", waiting);
    say("peek", recvmsg(fd[1], &message, MSG_PEEK));
    puts(buf);
    say("receive", recvmsg(fd[1], &message, 0));
    say("nothing", recv(fd[1], buf, 8, MSG_DONTWAIT));
    parts[0].iov_len = 3;
    say("exactly the first", recvmsg(fd[0], &message, 0));
    say("to somebody else", sendto(fd[0], "a", 1, 0, (struct sockaddr *)buf, 2));
    say("not readable", fcntl(fd[0], F_SETFL, O_NONBLOCK));
    say("read", read(fd[0], buf, 1));
    close(fd[0]);
    close(fd[1]);
}

static void endings(void)
{
    char buf[8];
    int fd[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    write(fd[0], "end", 3);
    say("shutdown", shutdown(fd[0], SHUT_WR));
    events("peer sends no more", fd[1]);
    events("we send no more", fd[0]);
    say("read", read(fd[1], buf, 8));
    say("read", read(fd[1], buf, 8));
    say("the other way", write(fd[1], "ok", 2));
    say("read", read(fd[0], buf, 8));
    say("send", send(fd[0], "x", 1, MSG_NOSIGNAL));
    say("both ways", shutdown(fd[1], SHUT_RDWR));
    events("shut down", fd[0]);
    say("read", read(fd[0], buf, 8));
    close(fd[0]);
    close(fd[1]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    close(fd[1]);
    events("peer closed", fd[0]);
    say("read", read(fd[0], buf, 8));
    signal(SIGPIPE, SIG_IGN);
    say("write", write(fd[0], "x", 1));
    say("shutdown", shutdown(fd[0], 7));
    close(fd[0]);
}

static void names(void)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    int fd[2], value = -1;

    socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    say("own name", getsockname(fd[0], (struct sockaddr *)&address, &length));
    printf("%d %d\n", (int)length, address.sun_family);
    length = sizeof(address);
    say("peer's name", getpeername(fd[0], (struct sockaddr *)&address, &length));
    printf("%d %d\n", (int)length, address.sun_family);
    length = sizeof(value);
    say("domain", getsockopt(fd[0], SOL_SOCKET, SO_DOMAIN, &value, &length));
    say("is", value);
    say("type", getsockopt(fd[0], SOL_SOCKET, SO_TYPE, &value, &length));
    say("is", value);
    say("error", getsockopt(fd[0], SOL_SOCKET, SO_ERROR, &value, &length));
    say("is", value);
    say("listen", listen(fd[0], 1));
    say("accept", accept(fd[0], NULL, NULL));
    say("bad type", socketpair(AF_UNIX, 77, 0, fd));
    say("bad protocol", socketpair(AF_UNIX, SOCK_STREAM, 5, fd));
}

static void *echo(void *arg)
{
    static char buf[10000];
    int fd = *(const int *)arg;
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            buf[i]++;
        for (ssize_t done = 0; done < n;)
            done += write(fd, buf + done, (size_t)(n - done));
    }
    shutdown(fd, SHUT_WR);
    return NULL;
}

static void *feed(void *arg)
{
    static char buf[7777];
    int fd = *(const int *)arg;

    memset(buf, 'a', sizeof(buf));
    for (int i = 0; i < 500; i++)
        send(fd, buf, sizeof(buf), 0);
    shutdown(fd, SHUT_WR);
    return NULL;
}

static void threads(void)
{
    static char buf[5000];
    unsigned long bytes = 0, sum = 0;
    pthread_t thread[2];
    int fd[2];
    ssize_t n;

    socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    pthread_create(&thread[0], NULL, echo, &fd[1]);
    pthread_create(&thread[1], NULL, feed, &fd[0]);
    while ((n = recv(fd[0], buf, sizeof(buf), MSG_WAITALL)) > 0) {
        bytes += (unsigned long)n;
        for (ssize_t i = 0; i < n; i++)
            sum += (unsigned char)buf[i];
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    printf("%lu bytes, sum %lu\n", bytes, sum);
}

static void in_a_set(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int fd[2], set = epoll_create1(0);
    char buf[8];

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd);
    epoll_ctl(set, EPOLL_CTL_ADD, fd[0], &event);
    for (int i = 0; i < 4; i++) {
        struct epoll_event got = {0};

        say("events", epoll_wait(set, &got, 1, 0));
        printf("%x\n", got.events);
        if (i == 1)
            write(fd[1], "abcd", 4);
        if (i == 2)
            read(fd[0], buf, 2);
    }
}

int main(void)
{
    moving();
    endings();
    names();
    threads();
    in_a_set();
    return 0;
}
