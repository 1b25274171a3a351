/*
 * The empty room that monitors live in: namespaces in which there is no file, no network and nobody
 * else's IPC. What they have of their own (users, processes, name) is the split's: keeper.c.
 *
 * To make a room takes the kernel more than a millisecond, most of it the network; to join one, ten
 * microseconds. Since nothing in it can be changed or left behind, one does for all monitors of
 * root: the first makes it and pins it below /run/samara/room (namespaces(7): a bind mount), where
 * it stays until the host is started anew, or `umount -l /run/samara/room`. Other users may not pin
 * anything; their monitors make rooms of their own (confine.c).
 */
#ifndef SAMARA_MONITOR_ROOM_H
#define SAMARA_MONITOR_ROOM_H

#include <stdbool.h>

enum { ROOM_SPACES = 3 }; /* IPC, network, mounts */

struct room {
    int spaces[ROOM_SPACES]; /* their files; -1: not open */
};

#define ROOM_NONE                                                                                  \
    {                                                                                              \
        .spaces = { -1, -1, -1 }                                                                   \
    }

/* Opens the shared room, makes it if need be. If it cannot be, none is open: that is no error. */
void room_open(struct room *room);
void room_close(struct room *room);

/* In a process of one thread, and before it gives up its user namespace: goes in, as far as
 * possible, for good. The namespaces (CLONE_NEW*) that are those of an empty room; of what is not
 * among them the process needs its own. */
unsigned long room_join(const struct room *room);

/* Makes the root of the calling thread's own mount namespace empty and read-only. own_user: it
 * belongs to a user namespace of our own, and so cannot pass anything on to the host's. 0, or -1
 * with errno. */
int room_empty_root(bool own_user);

#endif
