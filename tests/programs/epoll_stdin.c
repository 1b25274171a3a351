/* Reads stdin to its end by edges: one that is lost is waited for in vain. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

int main(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    unsigned long bytes = 0, sum = 0;
    int set = epoll_create1(0);
    static char buf[5000];
    ssize_t n;

    fcntl(0, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(set, EPOLL_CTL_ADD, 0, &event) != 0)
        return 1;
    while (epoll_wait(set, &event, 1, 5000) == 1) {
        while ((n = read(0, buf, sizeof(buf))) > 0) {
            for (ssize_t i = 0; i < n; i++)
                sum = sum * 31 + (unsigned char)buf[i];
            bytes += (unsigned long)n;
        }
        if (n == 0) {
            printf("%lu bytes, %lx\n", bytes, sum);
            return 0;
        }
    }
    puts("nothing happens any more");
    return 1;
}
