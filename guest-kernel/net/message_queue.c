/* See message_queue.h. */
#include "guest-kernel/net/message_queue.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

enum { QUEUE_COST = 212992 /* Linux's default for a socket's buffer */ };

static size_t cost(size_t len)
{
    return sizeof(struct message) + len;
}

struct message *message_new(size_t len)
{
    struct message *message = kmalloc(cost(len));

    if (message) {
        message->next = NULL;
        message->from.length = 0;
        message->len = len;
    }
    return message;
}

bool messages_have_room(const struct message_queue *q, size_t len)
{
    return q->cost == 0 || (q->cost < QUEUE_COST && cost(len) <= QUEUE_COST - q->cost);
}

bool messages_are_few(const struct message_queue *q)
{
    return q->cost < QUEUE_COST / 2;
}

void messages_add(struct message_queue *q, struct message *message)
{
    if (q->last)
        q->last->next = message;
    else
        q->first = message;
    q->last = message;
    q->cost += cost(message->len);
}

static void drop_first(struct message_queue *q)
{
    struct message *message = q->first;

    q->first = message->next;
    if (!message->next)
        q->last = NULL;
    q->cost -= cost(message->len);
    kfree(message);
}

long messages_receive(struct message_queue *q, void *to, size_t len, struct socket_message *m)
{
    const struct message *message = q->first;
    size_t n = MIN(len, message->len);

    memcpy(to, message->bytes, n);
    m->whole = message->len;
    m->address = message->from;
    if (!m->peek)
        drop_first(q);
    return (long)n;
}

void messages_discard(struct message_queue *q)
{
    while (q->first)
        drop_first(q);
}
