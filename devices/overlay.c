/* See overlay.h: what a disk does with it. */
#include <errno.h>
#include <string.h>

#include "devices/disk_file.h"
#include "devices/overlay_state.h"

/* --- the bitmap --- */

/* Something of it may reach the file, whatever becomes of the rest. */
static void about_to_write(const struct overlay *o, uint64_t at, uint64_t len)
{
    for (uint64_t page = at / PAGE_BYTES; page <= (at + len - 1) / PAGE_BYTES; page++) {
        if (o->changed[page] == EMPTY)
            o->changed[page] = CHANGED;
    }
}

/* The block has been written. */
static void set(struct overlay *o, uint64_t block)
{
    if (overlay_owns(o, block))
        return;
    atomic_fetch_or_explicit(&o->bitmap[block / WORD_BLOCKS], UINT64_C(1) << (block % WORD_BLOCKS),
                             memory_order_release);
    o->changed[block / WORD_BLOCKS / PAGE_WORDS] = CHANGED;
}

size_t overlay_run(const struct overlay *o, uint64_t at, size_t max, const struct overlay **in)
{
    uint64_t block = at / OVERLAY_BLOCK;
    size_t len = OVERLAY_BLOCK - (size_t)(at % OVERLAY_BLOCK);

    *in = overlay_owner(o, block);
    while (len < max && overlay_owner(o, ++block) == *in)
        len += OVERLAY_BLOCK;
    return len < max ? len : max;
}

/* --- reading --- */

ssize_t overlay_read(struct overlay *o, struct vq_request *to, uint64_t at, size_t max,
                     unsigned flags)
{
    size_t done = 0;

    while (done < max) {
        const struct overlay *in;
        size_t len = overlay_run(o, at + done, max - done, &in);
        ssize_t n = in ? file_read(in->fd, to, in->data + at + done, len, flags)
                       : file_read(o->base_fd, to, at + done, len, flags);

        if (n < 0)
            return done > 0 && flags & DISK_NOWAIT ? (ssize_t)done : n;
        done += (size_t)n;
        if ((size_t)n < len)
            break;
    }
    return (ssize_t)done;
}

/* --- writing --- */

/* The block as it is now. */
static int get_block(struct overlay *o, uint64_t block)
{
    uint64_t at = block * OVERLAY_BLOCK, left = o->base.size - at;
    size_t len = left < OVERLAY_BLOCK ? (size_t)left : OVERLAY_BLOCK;
    const struct overlay *in = overlay_owner(o, block);

    memset(o->block + len, 0, OVERLAY_BLOCK - len); /* beyond the end */
    return in ? file_get(in->fd, o->block, in->data + at, len)
              : file_get(o->base_fd, o->block, at, len);
}

static int put_block(struct overlay *o, uint64_t block)
{
    int result;

    about_to_write(o, block * OVERLAY_BLOCK, OVERLAY_BLOCK);
    result = file_put(o->fd, o->block, o->data + block * OVERLAY_BLOCK, OVERLAY_BLOCK);

    if (result == 0)
        set(o, block);
    return result;
}

static bool is_part(uint64_t at, size_t len)
{
    return at % OVERLAY_BLOCK != 0 || len < OVERLAY_BLOCK;
}

/* A part of a block that is not in the overlay takes the rest of the block with it. Returns what
 * was moved. */
static ssize_t write_part(struct overlay *o, struct vq_request *from, uint64_t at, size_t max)
{
    uint64_t block = at / OVERLAY_BLOCK;
    size_t skip = at % OVERLAY_BLOCK;
    size_t len = max < OVERLAY_BLOCK - skip ? max : OVERLAY_BLOCK - skip;
    int result = get_block(o, block);

    if (result == 0 && !vq_read(from, o->block + skip, len))
        result = -EIO;
    if (result == 0)
        result = put_block(o, block);
    return result == 0 ? (ssize_t)len : result;
}

static ssize_t write_whole(struct overlay *o, struct vq_request *from, uint64_t at, size_t len)
{
    ssize_t n;

    about_to_write(o, at, len);
    n = file_write(o->fd, from, o->data + at, len, 0);
    for (size_t done = 0; n > 0 && done < (size_t)n; done += OVERLAY_BLOCK)
        set(o, (at + done) / OVERLAY_BLOCK);
    return n;
}

static ssize_t write_some(struct overlay *o, struct vq_request *from, uint64_t at, size_t max,
                          unsigned flags)
{
    const struct overlay *in;
    size_t len = overlay_run(o, at, max, &in);

    if (in == o)
        return file_write(o->fd, from, o->data + at, len, flags);
    if (flags & DISK_NOWAIT)
        return -EAGAIN;
    if (is_part(at, len))
        return write_part(o, from, at, len);
    return write_whole(o, from, at, len / OVERLAY_BLOCK * OVERLAY_BLOCK);
}

static ssize_t write_all(struct overlay *o, struct vq_request *from, uint64_t at, size_t max,
                         unsigned flags)
{
    size_t done = 0;

    while (done < max) {
        ssize_t n = write_some(o, from, at + done, max - done, flags);

        if (n <= 0)
            return done > 0 && flags & DISK_NOWAIT ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t overlay_write(struct overlay *o, struct vq_request *from, uint64_t at, size_t max,
                      unsigned flags)
{
    ssize_t n = write_all(o, from, at, max, flags);

    if (n != -EAGAIN)
        overlay_note(o, at, max);
    return n;
}

/* --- clearing --- */

/* A disk's last block may be a part of one. */
static bool covers(const struct overlay *o, uint64_t at, uint64_t len)
{
    return at % OVERLAY_BLOCK == 0 &&
           (len >= OVERLAY_BLOCK || (len > 0 && at + len == o->base.size));
}

static int zero_part(struct overlay *o, uint64_t at, size_t len)
{
    int result;

    if (overlay_owns(o,
                     at / OVERLAY_BLOCK)) /* whose other sectors somebody may be writing just now */
        return file_zero(o->fd, o->data + at, len, false);
    result = get_block(o, at / OVERLAY_BLOCK);

    memset(o->block + at % OVERLAY_BLOCK, 0, len);
    return result == 0 ? put_block(o, at / OVERLAY_BLOCK) : result;
}

static uint64_t to_next_block(uint64_t at, uint64_t len)
{
    uint64_t next = OVERLAY_BLOCK - at % OVERLAY_BLOCK;

    return len < next ? len : next;
}

/* Of blocks that are not in it the file may have some of old: what was written, but not flushed. */
static int zero_all(struct overlay *o, uint64_t at, uint64_t len)
{
    int result = 0;

    while (len > 0 && result == 0) {
        uint64_t now = to_next_block(at, len);

        if (covers(o, at, len)) {
            now = len >= OVERLAY_BLOCK ? len / OVERLAY_BLOCK * OVERLAY_BLOCK : len;
            about_to_write(o, at, now);
            result = file_zero(o->fd, o->data + at, now, true);
            for (uint64_t done = 0; result == 0 && done < now; done += OVERLAY_BLOCK)
                set(o, (at + done) / OVERLAY_BLOCK);
        } else {
            result = zero_part(o, at, (size_t)now);
        }
        at += now;
        len -= now;
    }
    return result;
}

int overlay_zero(struct overlay *o, uint64_t at, uint64_t len)
{
    int result = zero_all(o, at, len);

    overlay_note(o, at, len);
    return result;
}

/* What lies beneath only stays there. */
static int punch_all(struct overlay *o, uint64_t at, uint64_t len)
{
    int result = 0;

    while (len > 0 && result == 0) {
        const uint64_t most = UINT64_C(1) << 30;
        const struct overlay *in;
        size_t now = overlay_run(o, at, (size_t)(len < most ? len : most), &in);

        if (in == o)
            result = file_punch(o->fd, o->data + at, now);
        at += now;
        len -= now;
    }
    return result == -EOPNOTSUPP ? 0 : result;
}

int overlay_discard(struct overlay *o, uint64_t at, uint64_t len)
{
    int result = punch_all(o, at, len);

    overlay_note(o, at, len);
    return result;
}

/* --- durability --- */

static int put_page(struct overlay *o, size_t page)
{
    uint64_t copy[PAGE_WORDS];
    int result;

    for (size_t i = 0; i < PAGE_WORDS; i++)
        copy[i] = atomic_load_explicit(&o->bitmap[page * PAGE_WORDS + i], memory_order_relaxed);
    result = file_put(o->fd, copy, OVERLAY_BITMAP + page * OVERLAY_PAGE, OVERLAY_PAGE);
    if (result == 0)
        o->changed[page] = WRITTEN;
    return result;
}

static void all_is_durable(struct overlay *o)
{
    for (size_t page = 0; page < o->pages; page++) {
        if (o->changed[page] != EMPTY)
            o->changed[page] = SAME;
    }
}

static int flush_file(struct overlay *o)
{
    if (o->lost == 0)
        o->lost = file_flush(o->fd);
    return o->lost;
}

int overlay_flush(struct overlay *o)
{
    int result = flush_file(o); /* blocks first */
    bool any = false;

    for (size_t page = 0; page < o->pages && result == 0; page++) {
        if (o->changed[page] == SAME || o->changed[page] == EMPTY)
            continue;
        result = put_page(o, page);
        any = true;
    }
    if (result == 0 && any)
        result = flush_file(o);
    if (result == 0 && any)
        all_is_durable(o);
    return result;
}

/* --- emptying it --- */

bool overlay_is_empty(const struct overlay *o)
{
    for (size_t page = 0; page < o->pages; page++) {
        if (o->changed[page] != EMPTY)
            return false;
    }
    return true;
}

static int clear_bits(struct overlay *o, size_t page)
{
    static const uint8_t zeroes[OVERLAY_PAGE];

    for (size_t i = 0; i < PAGE_WORDS; i++)
        atomic_store_explicit(&o->bitmap[page * PAGE_WORDS + i], 0, memory_order_relaxed);
    return file_put(o->fd, zeroes, OVERLAY_BITMAP + page * OVERLAY_PAGE, OVERLAY_PAGE);
}

static int clear_data(const struct overlay *o, size_t page)
{
    uint64_t at = page * PAGE_BYTES, end = overlay_blocks(o) * OVERLAY_BLOCK;

    return file_zero(o->fd, o->data + at, end - at < PAGE_BYTES ? end - at : PAGE_BYTES, true);
}

/* Bits first: one that is set says that its block is whole. */
int overlay_clear(struct overlay *o, bool sync)
{
    bool any = false;
    int result = 0;

    for (size_t page = 0; page < o->pages && result == 0; page++) {
        if (o->changed[page] == EMPTY)
            continue;
        result = clear_bits(o, page);
        any = true;
    }
    if (result == 0 && any && sync)
        result = flush_file(o);
    for (size_t page = 0; page < o->pages && result == 0; page++) {
        if (o->changed[page] == EMPTY)
            continue;
        result = clear_data(o, page);
        o->changed[page] = EMPTY;
    }
    memset(o->block, 0, sizeof(o->block));
    return result;
}
