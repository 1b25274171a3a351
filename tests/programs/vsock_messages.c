/*
 * vsock_messages PORT: recvmsg with several buffers, on a stream from the host. After "1\n" the
 * host says 8 bytes, after "2\n" 4 that fill the first buffer exactly: nothing is left to wait for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static void say_and_await(int fd, const char *line, int bytes)
{
    int there = 0;

    if (write(fd, line, strlen(line)) < 0)
        exit(1);
    while (ioctl(fd, FIONREAD, &there) == 0 && there < bytes)
        usleep(1000);
}

static void receive(int fd, size_t first, int flags)
{
    char text[100] = "";
    struct iovec parts[2] = {{text, first}, {text + first, sizeof(text) - 1 - first}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = recvmsg(fd, &message, flags);

    printf("%zd %s\n", n, text);
}

int main(int argc, char **argv)
{
    struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    to.svm_port = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        perror("connect");
        return 1;
    }
    say_and_await(fd, "1\n", 8);
    receive(fd, 2, MSG_PEEK);
    receive(fd, 8, MSG_PEEK);
    receive(fd, 3, 0);
    say_and_await(fd, "2\n", 4);
    receive(fd, 4, 0);
    receive(fd, 4, MSG_DONTWAIT);
    return 0;
}
