/* See disk_record.h. The file is read, not mapped: somebody may make it shorter meanwhile. */
#include "monitor/snapshot/disk_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/snapshot/checksum.h"
#include "monitor/snapshot/file_zeroes.h"

enum { PIECE_BLOCKS = 16, PAGE_WORDS = 512 };

/* --- the bitmap --- */

static bool get_page(const struct overlay *o, uint64_t page, uint64_t words[PAGE_WORDS])
{
    uint64_t any = 0;

    if (overlay_page_is_empty(o, OVERLAY_OWN, page))
        return false;
    for (unsigned i = 0; i < PAGE_WORDS; i++) {
        words[i] = overlay_word(o, OVERLAY_OWN, page * PAGE_WORDS + i);
        any |= words[i];
    }
    return any != 0;
}

static void digest_bitmap(const struct overlay *o, uint64_t size, uint8_t digest[DIGEST_SIZE])
{
    const uint64_t pages = overlay_bitmap_size(size) / sizeof(uint64_t) / PAGE_WORDS;
    uint64_t words[PAGE_WORDS];
    struct checksum c;

    checksum_begin(&c);
    for (uint64_t page = 0; page < pages; page++) {
        if (!get_page(o, page, words))
            continue;
        checksum_add(&c, &page, sizeof(page));
        checksum_add(&c, words, sizeof(words));
    }
    checksum_128(&c, digest);
}

/* --- blocks --- */

static int add_blocks(struct checksum *c, const struct overlay *o, uint64_t first, uint64_t count,
                      struct err *err)
{
    uint8_t bytes[PIECE_BLOCKS * OVERLAY_BLOCK];

    while (count > 0) {
        uint64_t n = count < PIECE_BLOCKS ? count : PIECE_BLOCKS;
        int result = overlay_get(o, first, n, bytes);

        if (result != 0) {
            errno = -result;
            return err_sys(err, "read block %llu", (unsigned long long)first);
        }
        checksum_add(c, bytes, n * OVERLAY_BLOCK);
        first += n;
        count -= n;
    }
    return 0;
}

/* The chunk with the next block from *next on, which becomes that behind the chunk. 1, 0: there is
 * none, or -1 with err. */
static int next_digest(const struct overlay *o, uint64_t chunk, uint64_t *next,
                       uint8_t digest[DIGEST_SIZE], struct err *err)
{
    const uint64_t blocks = overlay_blocks(o), of_chunk = chunk / OVERLAY_BLOCK;
    uint64_t end, count;
    struct checksum c;

    if (overlay_next(o, OVERLAY_OWN, next, blocks, 1) == 0)
        return 0;
    end = *next - *next % of_chunk + of_chunk;
    end = end < blocks ? end : blocks;
    checksum_begin(&c);
    for (; (count = overlay_next(o, OVERLAY_OWN, next, end, of_chunk)) > 0; *next += count) {
        if (add_blocks(&c, o, *next, count, err) != 0)
            return -1;
    }
    checksum_128(&c, digest);
    return 1;
}

static uint64_t chunk_for(uint64_t size)
{
    uint64_t chunk = SNAPSHOT_CHUNK;

    while ((size + chunk - 1) / chunk > SNAPSHOT_DISK_CHUNKS_MOST)
        chunk *= 2;
    return chunk;
}

/* --- the record --- */

int disk_record_put(struct snapshot_builder *b, unsigned number, const struct overlay_base *base,
                    const struct overlay *o, struct err *err)
{
    struct saved_disk head = {.number = number,
                              .base = *base,
                              .blocks = overlay_count(o, OVERLAY_OWN),
                              .chunk = chunk_for(base->size)};
    uint8_t *record = malloc(sizeof(head) + (base->size / head.chunk + 1) * (uint64_t)DIGEST_SIZE);
    uint64_t next = 0;
    size_t size = sizeof(head);
    int more;

    if (!record)
        return err_set(err, "no memory");
    digest_bitmap(o, base->size, head.bitmap);
    while ((more = next_digest(o, head.chunk, &next, record + size, err)) > 0) {
        size += DIGEST_SIZE;
        head.count++;
    }
    memcpy(record, &head, sizeof(head));
    if (more == 0)
        more = snapshot_put(b, RECORD_DISK, 1, record, size, err);
    free(record);
    return more == 0 ? 0 : err_in(err, "disk-%u", number);
}

int disk_record_check(const struct saved_disk *d, const struct overlay *o, struct err *err)
{
    uint8_t bitmap[DIGEST_SIZE];

    digest_bitmap(o, d->base.size, bitmap);
    if (memcmp(bitmap, d->bitmap, sizeof(bitmap)) == 0 &&
        overlay_count(o, OVERLAY_OWN) == d->blocks)
        return 0;
    return err_set(err, "disk-%u: its bitmap is not the one that state says", d->number);
}

/* --- all of it --- */

static int check_data(const struct saved_disk *d, const struct overlay *o, struct err *err)
{
    const uint8_t *want = disk_digests(d);
    uint8_t have[DIGEST_SIZE];
    uint64_t next = 0, count = 0, at;
    int more;

    for (; (more = next_digest(o, d->chunk, &next, have, err)) > 0; count++, want += DIGEST_SIZE) {
        at = (next - 1) * OVERLAY_BLOCK / d->chunk * d->chunk;
        if (count == d->count || memcmp(have, want, sizeof(have)) != 0)
            return err_set(err,
                           "the chunk of %llu bytes at byte %llu is not what its digest "
                           "says",
                           (unsigned long long)d->chunk, (unsigned long long)at);
    }
    if (more == 0 && count < d->count)
        return err_set(err, "%llu chunks have blocks, not %llu", (unsigned long long)count,
                       (unsigned long long)d->count);
    return more;
}

/* What is in no block, and behind the end of the last. */
static int check_rest(const struct saved_disk *d, const struct overlay *o, int fd, struct err *err)
{
    const uint64_t blocks = overlay_blocks(o), data = overlay_data_offset(d->base.size);
    uint64_t at = 0, next = 0, count;
    char name[16];

    snprintf(name, sizeof(name), "disk-%u", d->number);
    do {
        count = overlay_next(o, OVERLAY_OWN, &next, blocks, blocks);
        if (file_check_zeroes(fd, name, data + at * OVERLAY_BLOCK, data + next * OVERLAY_BLOCK,
                              err) != 0)
            return -1;
        at = next += count;
    } while (count > 0);
    return file_check_zeroes(fd, name, data + d->base.size, data + blocks * OVERLAY_BLOCK, err);
}

int disk_record_verify(const struct saved_disk *d, const struct overlay *o, int fd, struct err *err)
{
    if (disk_record_check(d, o, err) != 0)
        return -1;
    if (check_data(d, o, err) != 0)
        return err_in(err, "disk-%u", d->number);
    return check_rest(d, o, fd, err);
}
