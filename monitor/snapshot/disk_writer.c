/* See disk_writer.h. */
#include "monitor/snapshot/disk_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_blk.h"
#include "devices/disk.h"
#include "monitor/fd_close.h"
#include "monitor/snapshot/disk_record.h"

enum { BLOCK = OVERLAY_BLOCK, WORD_BLOCKS = 64, PAGE = 4096, PAGE_WORDS = PAGE / 8 };

int disk_writer_open(struct disk_writer *w, int fd, const struct overlay_base *base,
                     struct err *err)
{
    *w = (struct disk_writer){.fd = fd, .base = *base};
    if (base->size == 0 || base->size > DISK_SIZE_MAX || base->size % VIRTIO_BLK_SECTOR != 0)
        return err_set(err, "no disk has %llu bytes", (unsigned long long)base->size);
    w->bits = calloc(1, overlay_bitmap_size(base->size));
    if (!w->bits)
        return err_set(err, "no memory");
    return overlay_create(fd, base, 0, err);
}

/* --- blocks --- */

static bool block_is_zero(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, BLOCK - 1) == 0;
}

static bool is_known(const struct disk_writer *w, uint64_t block)
{
    return w->bits[block / WORD_BLOCKS] >> (block % WORD_BLOCKS) & 1;
}

static void set_known(struct disk_writer *w, uint64_t first, uint64_t count)
{
    for (uint64_t block = first; block < first + count; block++) {
        w->blocks += !is_known(w, block);
        w->bits[block / WORD_BLOCKS] |= UINT64_C(1) << (block % WORD_BLOCKS);
    }
}

static int failed(int result, struct err *err)
{
    errno = -result;
    return result == 0 ? 0 : err_sys(err, "write");
}

/* Where nothing was given yet, there is a hole. */
static int put_zeroes(const struct disk_writer *w, uint64_t first, uint64_t count)
{
    int result = 0;

    for (uint64_t block = first; block < first + count && result == 0; block++) {
        if (is_known(w, block))
            result =
                file_zero(w->fd, overlay_data_offset(w->base.size) + block * BLOCK, BLOCK, true);
    }
    return result;
}

/* Not what may be said of the last block beyond the disk's end. */
static int put_data(const struct disk_writer *w, uint64_t first, uint64_t count,
                    const uint8_t *bytes)
{
    uint64_t at = first * BLOCK, left = w->base.size - at;

    return file_put(w->fd, bytes, overlay_data_offset(w->base.size) + at,
                    count * BLOCK < left ? count * BLOCK : left);
}

static int put_run(struct disk_writer *w, uint64_t first, uint64_t count, bool zero,
                   const uint8_t *bytes)
{
    int result = zero ? put_zeroes(w, first, count) : put_data(w, first, count, bytes);

    set_known(w, first, count);
    return result;
}

int disk_writer_blocks(struct disk_writer *w, uint64_t offset, const void *bytes, uint64_t size,
                       struct err *err)
{
    const uint64_t end = (w->base.size + BLOCK - 1) / BLOCK * BLOCK;
    const uint8_t *from = bytes;
    int result = 0;

    if (offset % BLOCK != 0 || size % BLOCK != 0 || offset > end || size > end - offset)
        return err_set(err, "%#llx bytes at %#llx are no blocks of it", (unsigned long long)size,
                       (unsigned long long)offset);
    for (uint64_t done = 0, len; done < size && result == 0; done += len) {
        bool zero = block_is_zero(from + done);

        len = BLOCK;
        while (done + len < size && block_is_zero(from + done + len) == zero)
            len += BLOCK;
        result = put_run(w, (offset + done) / BLOCK, len / BLOCK, zero, from + done);
    }
    return failed(result, err);
}

/* --- the end --- */

static bool page_is_empty(const uint64_t *words)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < PAGE_WORDS; i++)
        any |= words[i];
    return any == 0;
}

static int put_bitmap(const struct disk_writer *w)
{
    const uint64_t size = overlay_bitmap_size(w->base.size);
    int result = 0;

    for (uint64_t at = 0; at < size && result == 0; at += PAGE) {
        if (!page_is_empty(w->bits + at / 8))
            result = file_put(w->fd, w->bits + at / 8, OVERLAY_BITMAP + at, PAGE);
    }
    return result;
}

int disk_writer_finish(struct disk_writer *w, unsigned number, struct snapshot_builder *to,
                       struct err *err)
{
    struct overlay *overlay;
    int result;

    if (failed(put_bitmap(w), err) != 0)
        return -1;
    overlay = overlay_load(w->fd, -1, &w->base, err);
    if (!overlay)
        return -1;
    result = disk_record_put(to, number, &w->base, overlay, err);
    overlay_free(overlay);
    return result;
}

void disk_writer_close(struct disk_writer *w)
{
    fd_close(&w->fd);
    free(w->bits);
    w->bits = NULL;
}
