/* See control_client.h. */
#include "monitor/control_client.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/clock.h"
#include "monitor/unix_socket.h"

#define PATIENCE_NS INT64_C(15000000000) /* for an answer, however it comes */

/* All of size bytes. 0 or -1 with errno; what ends too early is EPIPE. */
static int read_all(int fd, uint8_t *to, size_t size, int64_t deadline)
{
    while (size > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&ready, 1, clock_ms_until(deadline)) == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        n = recv(fd, to, size, 0);
        if (n == 0)
            errno = EPIPE;
        else if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return -1;
        to += n;
        size -= (size_t)n;
    }
    return 0;
}

bool control_send(int fd, enum control_kind kind, const void *payload, size_t size)
{
    const struct control_frame frame = {
        .length = (uint32_t)size, .version = CONTROL_VERSION, .kind = (uint16_t)kind};
    uint8_t bytes[CONTROL_HEADER + CONTROL_REQUEST];

    assert(size <= CONTROL_REQUEST);
    control_put_header(bytes, &frame);
    memcpy(bytes + CONTROL_HEADER, payload, size);
    size += CONTROL_HEADER;
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size; /* a few bytes: there is room */
}

static int exchange(int fd, enum control_kind kind, char text[CONTROL_PAYLOAD + 1], struct err *err)
{
    const int64_t deadline = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
    uint8_t header[CONTROL_HEADER];
    struct control_frame frame;

    if (read_all(fd, header, sizeof(header), deadline) != 0)
        return err_sys(err, "control socket");
    if (control_parse_answer(header, sizeof(header), kind, &frame) != CONTROL_GOOD)
        return err_set(err, "control socket: an answer of another version, or none of samara's");
    if (read_all(fd, (uint8_t *)text, frame.length, deadline) != 0)
        return err_sys(err, "control socket");
    text[frame.length] = '\0';
    return 0;
}

int control_ask(const char *path, enum control_kind kind, char text[CONTROL_PAYLOAD + 1],
                struct err *err)
{
    return control_ask_with(path, kind, "", 0, text, err);
}

int control_ask_with(const char *path, enum control_kind kind, const void *payload, size_t size,
                     char text[CONTROL_PAYLOAD + 1], struct err *err)
{
    int fd = unix_connect(path), result;

    if (fd < 0) {
        errno = -fd;
        return err_sys(err, "control socket");
    }
    result = control_send(fd, kind, payload, size) ? exchange(fd, kind, text, err)
                                                   : err_sys(err, "control socket");
    close(fd);
    return result;
}
