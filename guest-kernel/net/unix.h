/*
 * AF_UNIX from inside (unix(7)): unix.c has names and what all types share, unix_stream.c streams,
 * which are pipes, unix_message.c datagrams and SEQPACKET, which have mailboxes.
 */
#ifndef GUEST_KERNEL_NET_UNIX_H
#define GUEST_KERNEL_NET_UNIX_H

#include "guest-kernel/net/socket.h"

enum { UNIX_PATH_MOST = 108 };

struct sockaddr_un {
    u16 family;
    char path[UNIX_PATH_MOST];
};
_Static_assert(sizeof(struct sockaddr_un) == 110, "un.h");

struct inode;
struct mailbox;
struct unix_pending;

/* Shared by whoever is bound to it or was once told of it. */
struct unix_name {
    u32 refs;
    struct inode *inode; /* of one in the file system, else NULL */
    struct socket_address address;
};

struct unix_socket {
    struct socket socket;
    struct unix_socket *next, *prev; /* all there are */
    struct unix_name *name;          /* bound to, or that of the listener it came from; NULL */
    bool bound;                      /* found by the name */
    struct unix_name *peer;          /* of whom it is connected to; NULL: nameless */
    bool connected;
    bool blocked; /* for want of room at another: woken when there may be some */

    u32 backlog, waiting; /* of a listener */
    bool deaf, mute;      /* one that is shut down for receiving, for sending */
    struct unix_pending *first, *last;

    /* Of a connection, while both ends are there; instead of it, until it is accepted: pending. */
    struct unix_socket *other;
    struct unix_pending *pending;

    struct file *in, *out;          /* streams: pipes' ends, NULL once shut down */
    struct mailbox *inbox, *outbox; /* others */
};

static inline struct unix_socket *unix_of(struct socket *s)
{
    return (struct unix_socket *)s; /* its first member */
}

/* --- names --- */

struct unix_name *unix_name_get(struct unix_name *name); /* NULL is allowed, as in put */
void unix_name_put(struct unix_name *name);
/* Only the family, for who has none. */
void unix_name_tell(const struct unix_name *name, struct socket_address *out);

/* Who is bound there; NULL and *error. Abstract names are of one type. */
struct unix_socket *unix_find(const struct socket_address *at, u32 type, int *error);

/* --- what the types share, as in socket_ops --- */

int unix_create(struct socket *s);
int unix_bind(struct socket *s, const struct socket_address *at);
int unix_own_name(struct socket *s, struct socket_address *out);
int unix_peer_name(struct socket *s, struct socket_address *out);
int unix_get_option(struct socket *s, u64 level, u64 name, void *value, u32 *len);
/* The first thing of a release. unread: the other end is reset. */
void unix_forget(struct unix_socket *u, bool unread);
void unix_join(struct unix_socket *a, struct unix_socket *b);

/* For want of room at another; somebody has made some: those that are blocked try again. */
void unix_block(struct unix_socket *u);
void unix_unblock(void);

/* --- listening: connections of either type that nobody has taken yet --- */

struct unix_pending {
    struct unix_pending *next;
    struct unix_socket *client; /* NULL: it has left */
    struct unix_name *peer;
    struct file *in, *out;
    struct mailbox *inbox, *outbox;
};

int unix_listen(struct socket *s, u32 backlog);
/* The listener at an address, of the caller's type, with room; NULL and *error. */
struct unix_socket *unix_listener(struct unix_socket *u, const struct socket_address *at,
                                  int *error);
/* Takes p over; u is the one that connects. */
void unix_offer(struct unix_socket *listener, struct unix_socket *u, struct unix_pending *p);
/* For accept: the longest waiting, whose ends the caller takes over, and then calls one of the two
 * below; NULL and *error. */
struct unix_pending *unix_accept(struct unix_socket *listener, int *error);
void unix_accepted(struct unix_socket *fresh, const struct unix_socket *listener,
                   struct unix_pending *p);
/* Of a listener that goes, as unix_accept: NULL if nobody waits any more. */
struct unix_pending *unix_take(struct unix_socket *listener);
void unix_refuse(struct unix_pending *p);
u32 unix_listener_poll(const struct unix_socket *listener);
int unix_listener_shutdown(struct unix_socket *listener, bool receive, bool send);

#endif
