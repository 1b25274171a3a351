/* See memory_digest.h. The file is read, not mapped: somebody may make it shorter meanwhile. */
#include "monitor/snapshot/memory_digest.h"

#include <errno.h>

#include "devices/disk_file.h"

enum { PIECE = 64 << 10 };

static int add(struct checksum *c, int memory, uint64_t at, uint64_t end, struct err *err)
{
    uint8_t bytes[PIECE];

    while (at < end) {
        size_t want = end - at < sizeof(bytes) ? (size_t)(end - at) : sizeof(bytes);
        int result = file_get(memory, bytes, at, want);

        if (result != 0) {
            errno = -result;
            return err_sys(err, "memory: read at byte %llu", (unsigned long long)at);
        }
        checksum_add(c, bytes, want);
        at += want;
    }
    return 0;
}

int memory_digest(int memory, const struct saved_extent *extents, size_t count, uint64_t chunk_size,
                  size_t extent, uint64_t chunk, uint8_t digest[DIGEST_SIZE], struct err *err)
{
    const uint64_t start = chunk * chunk_size, end = start + chunk_size;
    struct checksum c;

    checksum_begin(&c);
    for (; extent < count && extents[extent].offset < end; extent++) {
        const struct saved_extent *e = &extents[extent];
        uint64_t from = e->offset > start ? e->offset : start;
        uint64_t to = e->offset + e->size < end ? e->offset + e->size : end;

        if (e->kind == EXTENT_DATA && add(&c, memory, from, to, err) != 0)
            return -1;
    }
    checksum_128(&c, digest);
    return 0;
}
