/* See memory_records.h. */
#include "monitor/snapshot/memory_records.h"

#include <stdlib.h>
#include <string.h>

#include "monitor/snapshot/memory_digest.h"
#include "monitor/snapshot/records_check.h"

enum { PAGE = 4096 };

/* Memory in more pieces than a reader takes has small gaps of zeroes filled with data, which takes
 * nothing but a digest's time; a diff's gaps may be its parent's. */
static int put_extents(struct snapshot_builder *b, const struct page_bits *bits,
                       struct saved_extent *extents, size_t *count, struct err *err)
{
    uint64_t absorb = 0;

    *count = extents_from_bits(bits, absorb, extents, SNAPSHOT_EXTENTS_MOST);
    while (*count > SNAPSHOT_EXTENTS_MOST && absorb < bits->pages) {
        absorb = 2 * absorb + 1;
        *count = extents_from_bits(bits, absorb, extents, SNAPSHOT_EXTENTS_MOST);
    }
    if (*count > SNAPSHOT_EXTENTS_MOST)
        return err_set(err, "its changes are in %zu pieces, more than %d (without --diff it works)",
                       *count, SNAPSHOT_EXTENTS_MOST);
    return snapshot_put(b, RECORD_MEMORY, 1, extents, *count * sizeof(*extents), err);
}

static int put_digests(struct snapshot_builder *b, int memory, const struct page_bits *bits,
                       const struct saved_extent *extents, size_t count, struct err *err)
{
    const size_t room =
        sizeof(struct saved_digests) + (bits->pages * PAGE / SNAPSHOT_CHUNK + 1) * DIGEST_SIZE;
    struct saved_digests head = {.chunk = SNAPSHOT_CHUNK};
    uint8_t *record = malloc(room), *to;
    uint64_t chunk = 0;
    size_t extent = 0;
    int result = 0;

    if (record == NULL)
        return err_set(err, "no memory");
    to = record + sizeof(head);
    while (result == 0 && snapshot_next_chunk(extents, count, head.chunk, &extent, &chunk)) {
        result = memory_digest(memory, extents, count, head.chunk, extent, chunk++, to, err);
        to += DIGEST_SIZE;
        head.count++;
    }
    memcpy(record, &head, sizeof(head));
    if (result == 0)
        result = snapshot_put(b, RECORD_DIGESTS, 1, record, (size_t)(to - record), err);
    free(record);
    return result;
}

int memory_records_put(struct snapshot_builder *b, int memory, const struct page_bits *bits,
                       struct err *err)
{
    struct saved_extent *extents = malloc(SNAPSHOT_EXTENTS_MOST * sizeof(*extents));
    size_t count;
    int result;

    if (extents == NULL)
        return err_set(err, "no memory");
    result = put_extents(b, bits, extents, &count, err);
    if (result == 0)
        result = put_digests(b, memory, bits, extents, count, err);
    free(extents);
    return result;
}
