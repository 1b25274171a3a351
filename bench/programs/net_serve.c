/* The end that does what it is told: see net.h. The same program in a guest, which has threads but
 * no fork, and on the host. */
#include "net.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAM = 2048 };

static void echo(int fd)
{
    char bytes[4096];
    ssize_t got;

    while ((got = read(fd, bytes, sizeof(bytes))) > 0)
        write_all(fd, bytes, (size_t)got);
}

static void obey(int fd, const struct order *order)
{
    if (order->what == ORDER_ECHO)
        echo(fd);
    else if (order->what == ORDER_GIVE)
        write_bytes(fd, order->bytes);
    else
        read_bytes(fd, order->bytes);
    if (order->what == ORDER_TAKE)
        write_all(fd, "t", 1);
}

/* What was given has arrived when the other end closes. */
static void *serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct order order;
    char byte;

    if (read_all(fd, &order, sizeof(order))) {
        obey(fd, &order);
        while (read(fd, &byte, 1) > 0)
            ;
    }
    close(fd);
    return NULL;
}

static void accept_one(int listener)
{
    int fd = accept(listener, NULL, NULL);
    pthread_attr_t detached;
    pthread_t thread;

    if (fd < 0)
        return;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    check(pthread_create(&thread, &detached, serve_one, (void *)(intptr_t)fd) == 0, "thread");
    pthread_attr_destroy(&detached);
}

static void return_datagrams(int fd)
{
    char bytes[DATAGRAM];
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len);

    if (got >= 0)
        (void)sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, len);
}

static void *serve_datagrams(void *arg)
{
    for (;;)
        return_datagrams((int)(intptr_t)arg);
    return NULL;
}

static void *serve_listener(void *arg)
{
    for (;;)
        accept_one((int)(intptr_t)arg);
    return NULL;
}

/* A thread each, which sleeps in the call that the answer waits for and in no poll before it. */
int serve(char **places, int count)
{
    for (int i = 0; i < count; i++) {
        void *fd = (void *)(intptr_t)place_listen(places[i]);
        pthread_t thread;

        check(pthread_create(&thread, NULL,
                             place_is_datagram(places[i]) ? serve_datagrams : serve_listener,
                             fd) == 0,
              "thread");
    }
    puts("hello");
    fflush(stdout);
    for (;;)
        pause();
}
