/* See warn.h. */
#include "monitor/warn.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static struct iovec piece(const char *text)
{
    return (struct iovec){(void *)(uintptr_t)text, strlen(text)};
}

void warn_now(const char *text)
{
    const struct iovec line[] = {piece("samara: "), piece(text), piece("\n")};
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written = 0;

    if (poll(&room, 1, 0) == 1)
        written = writev(STDERR_FILENO, line, 3);
    (void)written;
}
