/* See verify.h. */
#include "monitor/snapshot/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk_file.h"
#include "monitor/snapshot/manifest.h"
#include "monitor/snapshot/memory_digest.h"

enum { PIECE = 64 << 10 };

/* --- manifest.json --- */

static int compare(const uint8_t *have, size_t size, const char *want, size_t length,
                   struct err *err)
{
    size_t same = 0;

    while (same < size && same < length && have[same] == (uint8_t)want[same])
        same++;
    if (same == size && same == length)
        return 0;
    return err_set(err, "manifest.json: byte %zu is not what state says", same);
}

static int check_manifest(const struct snapshot_dir *d, const struct snapshot_facts *facts,
                          struct err *err)
{
    size_t size, length;
    uint8_t *have = snapshot_dir_read(d->dir, "manifest.json", MANIFEST_MOST, &size, err);
    char *want = malloc(MANIFEST_MOST);
    int result = -1;

    if (have != NULL && want != NULL) {
        manifest_make(want, &length, facts);
        result = compare(have, size, want, length, err);
    } else if (have != NULL) {
        err_set(err, "no memory");
    }
    free(have);
    free(want);
    return result;
}

/* --- memory: data --- */

static void hexadecimal(char to[DIGEST_TEXT], const uint8_t digest[DIGEST_SIZE])
{
    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        snprintf(to + (size_t)2 * i, 3, "%02x", digest[i]);
}

static int differ(uint64_t at, uint64_t size, const uint8_t *want, const uint8_t *have,
                  struct err *err)
{
    char wanted[DIGEST_TEXT], computed[DIGEST_TEXT];

    hexadecimal(wanted, want);
    hexadecimal(computed, have);
    return err_set(err, "memory: the chunk of %llu bytes at byte %llu: digest is %s, computed %s",
                   (unsigned long long)size, (unsigned long long)at, wanted, computed);
}

static int check_data(const struct snapshot_dir *d, struct err *err)
{
    struct saved_digests head;
    const uint8_t *want = snapshot_digests(&d->state, &head);
    size_t count, extent = 0;
    const struct saved_extent *extents = snapshot_extents(&d->state, &count);

    for (uint64_t chunk = 0; snapshot_next_chunk(extents, count, head.chunk, &extent, &chunk);
         chunk++) {
        uint8_t have[DIGEST_SIZE];

        if (memory_digest(d->memory, extents, count, head.chunk, extent, chunk, have, err) != 0)
            return -1;
        if (memcmp(have, want, DIGEST_SIZE) != 0)
            return differ(chunk * head.chunk, head.chunk, want, have, err);
        want += DIGEST_SIZE;
    }
    return 0;
}

/* --- memory: the rest --- */

/* Where the file has data, from `at` on; `end` if it has a hole up to there. */
static uint64_t skip_hole(int fd, uint64_t at, uint64_t end)
{
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);

    if (data < 0)
        return errno == ENXIO ? end : at; /* who cannot tell has data everywhere */
    return (uint64_t)data < end ? (uint64_t)data : end;
}

static int check_zeroes(int fd, uint64_t at, uint64_t end, struct err *err)
{
    uint8_t bytes[PIECE];

    while ((at = skip_hole(fd, at, end)) < end) {
        size_t want = end - at < sizeof(bytes) ? (size_t)(end - at) : sizeof(bytes);
        int result = file_get(fd, bytes, at, want);

        if (result != 0) {
            errno = -result;
            return err_sys(err, "memory: read at byte %llu", (unsigned long long)at);
        }
        for (size_t i = 0; i < want; i++) {
            if (bytes[i] != 0)
                return err_set(err, "memory: byte %llu is not zero, and in no extent of data",
                               (unsigned long long)at + i);
        }
        at += want;
    }
    return 0;
}

static int check_rest(const struct snapshot_dir *d, struct err *err)
{
    size_t count;
    const struct saved_extent *e = snapshot_extents(&d->state, &count);
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        if (e[i].kind != EXTENT_DATA)
            continue;
        if (check_zeroes(d->memory, at, e[i].offset, err) != 0)
            return -1;
        at = e[i].offset + e[i].size;
    }
    return check_zeroes(d->memory, at, d->state.header.memory, err);
}

int snapshot_verify(const struct snapshot_dir *d, const struct snapshot_facts *facts,
                    struct err *err)
{
    return check_manifest(d, facts, err) == 0 && check_data(d, err) == 0 && check_rest(d, err) == 0
               ? 0
               : -1;
}
