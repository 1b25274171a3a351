/*
 * UNIX sockets at paths: streams, or for who says so of another type. Only for those who still have
 * the caller's rights: after confinement the monitor makes and finds no paths any more; it gets
 * descriptors.
 */
#ifndef SAMARA_MONITOR_UNIX_SOCKET_H
#define SAMARA_MONITOR_UNIX_SOCKET_H

#include <sys/types.h>
#include <sys/un.h>

#include "monitor/err.h"

enum { UNIX_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

/* A socket that listens at a path which it made. */
struct unix_listener {
    int fd; /* does not block; -1: none */
    char path[UNIX_PATH_MAX + 1];
    dev_t dev; /* what was made at the path */
    ino_t ino;
};

#define UNIX_LISTENER_NONE                                                                         \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Makes path and listens there. most: characters that path may have at most. -1 with err; errno is
 * EADDRINUSE if something is there already. */
int unix_listen(struct unix_listener *listener, const char *path, size_t most, struct err *err);

/* The same for SOCK_STREAM or SOCK_SEQPACKET. The latter, and those that are accepted from it, say
 * MSG_CTRUNC of every message (SO_PASSCRED), even of an empty one, but not of the end. */
int unix_listen_type(struct unix_listener *listener, int type, const char *path, size_t most,
                     struct err *err);

/* Gives a listening socket, at another path of the same directory, the name `path`. -1 with errno,
 * EEXIST if somebody has that. */
int unix_rename(struct unix_listener *listener, const char *path);

/* Removes the path, if what is there is still what was made, and closes the descriptor if it is
 * open. */
void unix_unlisten(struct unix_listener *listener);

/* Connects without waiting. A descriptor that does not block, or -errno; -EAGAIN: the server's
 * queue is full. */
int unix_connect(const char *path);
/* The same for either type, as unix_listen_type; -EPROTOTYPE: the server's is another. */
int unix_connect_type(int type, const char *path);

/* Has a stream take as much at once as the host permits, for bulk: what is not taken has to be kept
 * and waited for. */
void unix_enlarge(int fd);

#endif
