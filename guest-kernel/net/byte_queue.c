/* See byte_queue.h. */
#include "guest-kernel/net/byte_queue.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/page.h"

struct byte_piece {
    struct byte_piece *next;
    u32 start, end;
    u8 bytes[PAGE_SIZE - 16];
};
_Static_assert(sizeof(struct byte_piece) == PAGE_SIZE, "a page");

static size_t room_in(const struct byte_piece *piece)
{
    return piece ? sizeof(piece->bytes) - piece->end : 0;
}

static struct byte_piece *piece_new(void)
{
    bool zero;
    struct byte_piece *piece = page_alloc_raw(&zero);

    if (piece) {
        piece->next = NULL;
        piece->start = piece->end = 0;
    }
    return piece;
}

bool bytes_reserve(struct byte_queue *q, size_t len)
{
    size_t room = room_in(q->last);

    for (const struct byte_piece *piece = q->spare; piece; piece = piece->next)
        room += room_in(piece);
    while (room < len) {
        struct byte_piece *piece = piece_new();

        if (!piece)
            return false;
        piece->next = q->spare;
        q->spare = piece;
        room += room_in(piece);
    }
    return true;
}

static void use_spare(struct byte_queue *q)
{
    struct byte_piece *piece = q->spare;

    q->spare = piece->next;
    piece->next = NULL;
    if (q->last)
        q->last->next = piece;
    else
        q->first = piece;
    q->last = piece;
}

void bytes_append(struct byte_queue *q, const void *from, size_t len)
{
    q->bytes += len;
    while (len > 0) {
        size_t now = MIN(len, room_in(q->last));

        if (now == 0) {
            use_spare(q);
            continue;
        }
        memcpy(q->last->bytes + q->last->end, from, now);
        q->last->end += (u32)now;
        from = (const u8 *)from + now;
        len -= now;
    }
}

size_t bytes_read(struct byte_queue *q, void *to, size_t len)
{
    size_t done = 0;

    while (done < len && q->first) {
        struct byte_piece *piece = q->first;
        size_t now = MIN(len - done, piece->end - piece->start);

        memcpy((u8 *)to + done, piece->bytes + piece->start, now);
        done += now;
        piece->start += (u32)now;
        if (piece->start < piece->end)
            break;
        q->first = piece->next;
        if (!piece->next)
            q->last = NULL;
        page_free(piece);
    }
    q->bytes -= done;
    return done;
}

size_t bytes_peek(const struct byte_queue *q, size_t skip, void *to, size_t len)
{
    size_t done = 0;

    for (const struct byte_piece *piece = q->first; piece && done < len; piece = piece->next) {
        size_t here = piece->end - piece->start, passed = MIN(skip, here);
        size_t now = MIN(len - done, here - passed);

        memcpy((u8 *)to + done, piece->bytes + piece->start + passed, now);
        skip -= passed;
        done += now;
    }
    return done;
}

static void free_all(struct byte_piece *piece)
{
    while (piece) {
        struct byte_piece *next = piece->next;

        page_free(piece);
        piece = next;
    }
}

void bytes_discard(struct byte_queue *q)
{
    free_all(q->first);
    free_all(q->spare);
    *q = (struct byte_queue){.bytes = 0};
}
