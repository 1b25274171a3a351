/* See verify.h. */
#include "monitor/snapshot/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/snapshot/disk_record.h"
#include "monitor/snapshot/file_zeroes.h"
#include "monitor/snapshot/manifest.h"
#include "monitor/snapshot/memory_digest.h"

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

static int check_rest(const struct snapshot_dir *d, struct err *err)
{
    size_t count;
    const struct saved_extent *e = snapshot_extents(&d->state, &count);
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        if (e[i].kind != EXTENT_DATA)
            continue;
        if (file_check_zeroes(d->memory, "memory", at, e[i].offset, err) != 0)
            return -1;
        at = e[i].offset + e[i].size;
    }
    return file_check_zeroes(d->memory, "memory", at, d->state.header.memory, err);
}

/* --- disks --- */

/* What there is of a disk, or -1 with err. The overlay's reader is the one that judges its file. */
static int check_disk(const struct snapshot_dir *d, const struct saved_disk *disk, struct err *err)
{
    struct overlay *overlay;
    char name[16];
    int fd, result = -1;

    snprintf(name, sizeof(name), "disk-%u", disk->number);
    fd = snapshot_dir_file(d->dir, name, err);
    if (fd < 0)
        return -1;
    overlay = overlay_load(fd, -1, &disk->base, err);
    if (overlay)
        result = disk_record_verify(disk, overlay, fd, err);
    else
        err_in(err, "%s", name);
    overlay_free(overlay);
    close(fd);
    return result;
}

static int check_disks(const struct snapshot_dir *d, struct err *err)
{
    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST; i++) {
        const struct saved_disk *disk = snapshot_disk(&d->state, i);

        if (disk && check_disk(d, disk, err) != 0)
            return -1;
    }
    return 0;
}

int snapshot_verify(const struct snapshot_dir *d, const struct snapshot_facts *facts,
                    struct err *err)
{
    return check_manifest(d, facts, err) == 0 && check_data(d, err) == 0 &&
                   check_rest(d, err) == 0 && check_disks(d, err) == 0
               ? 0
               : -1;
}
