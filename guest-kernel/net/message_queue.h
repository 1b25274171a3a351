/* Messages that wait to be received, in the order in which they came; bounded in memory. */
#ifndef GUEST_KERNEL_NET_MESSAGE_QUEUE_H
#define GUEST_KERNEL_NET_MESSAGE_QUEUE_H

#include "guest-kernel/net/socket.h"

struct message {
    struct message *next;
    struct socket_address from;
    size_t len;
    u8 bytes[];
};

struct message_queue {
    struct message *first, *last;
    size_t cost; /* of all, in memory */
};

/* To be filled; kfree before it is in a queue. NULL: out of memory. */
struct message *message_new(size_t len);

/* An empty queue takes any. */
bool messages_have_room(const struct message_queue *q, size_t len);
/* So much that a poll should say so. */
bool messages_are_few(const struct message_queue *q);
void messages_add(struct message_queue *q, struct message *message);

/* The first, of which there must be one, as socket_ops.receive wants it. */
long messages_receive(struct message_queue *q, void *to, size_t len, struct socket_message *m);
void messages_discard(struct message_queue *q); /* all */

#endif
