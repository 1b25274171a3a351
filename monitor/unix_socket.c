/* See unix_socket.h. */
#include "monitor/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 128, SEND_BYTES = 1 << 20 /* cut to net.core.wmem_max, then doubled */ };

static int new_socket(int type)
{
    return socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Not before connect(2), which would give the socket a name. */
static void tell_messages(int fd, int type)
{
    const int on = 1;

    if (type == SOCK_SEQPACKET)
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

/* What lies at the path has been made by us just now, and is ours to remove. */
static void remember_path(struct unix_listener *listener, const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return;
    memcpy(listener->path, path, strlen(path) + 1);
    listener->dev = st.st_dev;
    listener->ino = st.st_ino;
}

int unix_listen(struct unix_listener *listener, const char *path, size_t most, struct err *err)
{
    return unix_listen_type(listener, SOCK_STREAM, path, most, err);
}

int unix_listen_type(struct unix_listener *listener, int type, const char *path, size_t most,
                     struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    listener->path[0] = '\0';
    listener->fd = -1;
    if (len == 0 || len > most || len > UNIX_PATH_MAX)
        return err_set(err, "the path must have 1 to %zu characters",
                       most < UNIX_PATH_MAX ? most : (size_t)UNIX_PATH_MAX);
    memcpy(address.sun_path, path, len);
    listener->fd = new_socket(type);
    if (listener->fd < 0)
        return err_sys(err, "%s: socket", path);
    tell_messages(listener->fd, type);
    if (bind(listener->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int why = errno;

        err_sys(err, "%s: bind", path);
        if (why == EADDRINUSE)
            err_set(err, "%s: it exists; remove it if no VM uses it", path);
        unix_unlisten(listener);
        errno = why;
        return -1;
    }
    remember_path(listener, path);
    if (listen(listener->fd, BACKLOG) != 0) {
        err_sys(err, "%s: listen", path);
        unix_unlisten(listener);
        return -1;
    }
    return 0;
}

/* Somebody may have removed ours, and another VM have made its own. */
static void remove_path(const struct unix_listener *listener)
{
    struct stat st;

    if (lstat(listener->path, &st) == 0 && st.st_dev == listener->dev && st.st_ino == listener->ino)
        unlink(listener->path);
}

void unix_unlisten(struct unix_listener *listener)
{
    if (listener->path[0] != '\0')
        remove_path(listener);
    listener->path[0] = '\0';
    if (listener->fd >= 0)
        close(listener->fd); /* not before: until then no other file has its inode number */
    listener->fd = -1;
}

/* By link(2), which unlike rename(2) takes nobody's name. */
int unix_rename(struct unix_listener *listener, const char *path)
{
    if (strlen(path) > UNIX_PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (link(listener->path, path) != 0)
        return -1;
    unlink(listener->path);
    memcpy(listener->path, path, strlen(path) + 1);
    return 0;
}

int unix_connect(const char *path)
{
    return unix_connect_type(SOCK_STREAM, path);
}

int unix_connect_type(int type, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, why;

    if (strlen(path) > UNIX_PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = new_socket(type);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        tell_messages(fd, type);
        return fd;
    }
    why = errno; /* a path's socket never says EINPROGRESS: there is nothing to wait for but time */
    close(fd);
    return -why;
}

void unix_enlarge(int fd)
{
    const int size = SEND_BYTES;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}
