/* Bytes that wait to be read: pages in a row, so that what they take is what they hold. */
#ifndef GUEST_KERNEL_NET_BYTE_QUEUE_H
#define GUEST_KERNEL_NET_BYTE_QUEUE_H

#include "guest-kernel/lib/base.h"

struct byte_piece;

/* Zeroed: empty. */
struct byte_queue {
    struct byte_piece *first, *last;
    struct byte_piece *spare; /* reserved */
    size_t bytes;
};

/* Room for so many; false: out of memory, and nothing has changed but what is reserved. */
bool bytes_reserve(struct byte_queue *q, size_t len);
/* At most what was reserved. */
void bytes_append(struct byte_queue *q, const void *from, size_t len);

/* As many as there are, at most len; those behind the first `skip`, which all stay. */
size_t bytes_read(struct byte_queue *q, void *to, size_t len);
size_t bytes_peek(const struct byte_queue *q, size_t skip, void *to, size_t len);

/* Frees all of it. */
void bytes_discard(struct byte_queue *q);

#endif
