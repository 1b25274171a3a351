/* A UDP socket that nobody reads from, so that the guest has its network up and something to fill.
 */
#ifndef TESTS_PROGRAMS_DEAF_SOCKET_H
#define TESTS_PROGRAMS_DEAF_SOCKET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* 0, or -1 with errno. */
static int open_deaf_socket(unsigned port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    return fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

#endif
