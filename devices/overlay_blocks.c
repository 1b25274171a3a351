/* See overlay.h: what snapshots want to know of one. */
#include <string.h>
#include <sys/mman.h>

#include "devices/disk_file.h"
#include "devices/overlay_state.h"

uint64_t overlay_blocks(const struct overlay *o)
{
    return (o->base.size + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;
}

/* --- sets --- */

static uint64_t word_of(_Atomic uint64_t *bitmap, uint64_t word)
{
    return atomic_load_explicit(&bitmap[word], memory_order_acquire);
}

uint64_t overlay_word(const struct overlay *o, enum overlay_set set, uint64_t word)
{
    uint64_t bits = 0;

    if (set == OVERLAY_WRITTEN)
        return word_of(o->written, word);
    if (set == OVERLAY_OWN)
        return word_of(o->bitmap, word);
    for (; o; o = o->lower)
        bits |= word_of(o->bitmap, word);
    return bits;
}

bool overlay_page_is_empty(const struct overlay *o, enum overlay_set set, uint64_t page)
{
    if (set == OVERLAY_WRITTEN)
        return !atomic_load(&o->noted[page]);
    for (; o; o = set == OVERLAY_ALL ? o->lower : NULL) {
        if (o->changed[page] != EMPTY)
            return false;
    }
    return true;
}

static bool has(const struct overlay *o, enum overlay_set set, uint64_t block)
{
    return overlay_word(o, set, block / WORD_BLOCKS) >> (block % WORD_BLOCKS) & 1;
}

uint64_t overlay_next(const struct overlay *o, enum overlay_set set, uint64_t *first, uint64_t end,
                      uint64_t most)
{
    uint64_t block = *first, count = 0;

    while (block < end) {
        uint64_t bits;

        if (block % PAGE_BLOCKS == 0 && overlay_page_is_empty(o, set, block / PAGE_BLOCKS)) {
            block += PAGE_BLOCKS;
            continue;
        }
        bits = overlay_word(o, set, block / WORD_BLOCKS) >> (block % WORD_BLOCKS);
        if (bits != 0) {
            block += (unsigned)__builtin_ctzll(bits);
            break;
        }
        block += WORD_BLOCKS - block % WORD_BLOCKS;
    }
    *first = block < end ? block : end;
    while (count < most && block + count < end && has(o, set, block + count))
        count++;
    return count;
}

uint64_t overlay_count(const struct overlay *o, enum overlay_set set)
{
    const uint64_t end = overlay_blocks(o);
    uint64_t count = 0;

    for (uint64_t first = 0, n; (n = overlay_next(o, set, &first, end, end)) > 0; first += n)
        count += n;
    return count;
}

/* --- contents --- */

int overlay_get(const struct overlay *o, uint64_t first, uint64_t count, uint8_t *to)
{
    uint64_t at = first * OVERLAY_BLOCK, end = at + count * OVERLAY_BLOCK;
    int result = 0;

    if (end > o->base.size) {
        memset(to + (o->base.size - at), 0, (size_t)(end - o->base.size));
        end = o->base.size;
    }
    while (at < end && result == 0) {
        const struct overlay *in;
        size_t len = overlay_run(o, at, (size_t)(end - at), &in);

        result = in ? file_get(in->fd, to, in->data + at, len) : file_get(o->base_fd, to, at, len);
        to += len;
        at += len;
    }
    return result;
}

/* --- what is written --- */

/* The bitmap's bit has been set before: whoever begins to track and does not see it, is seen. */
void overlay_note(struct overlay *o, uint64_t at, uint64_t len)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load(&o->tracks) || len == 0)
        return;
    for (uint64_t block = at / OVERLAY_BLOCK; block <= (at + len - 1) / OVERLAY_BLOCK; block++) {
        uint64_t bit = UINT64_C(1) << (block % WORD_BLOCKS);

        if (!(atomic_fetch_or(&o->written[block / WORD_BLOCKS], bit) & bit))
            atomic_fetch_add(&o->written_count, 1);
        atomic_store(&o->noted[block / PAGE_BLOCKS], 1);
    }
}

/* Of a job that is still under way the number may keep more than the bits, but never less. */
static void forget_all(struct overlay *o)
{
    atomic_store(&o->written_count, 0);
    for (size_t page = 0; page < o->pages; page++)
        atomic_store_explicit(&o->noted[page], 0, memory_order_relaxed);
    madvise((void *)(uintptr_t)o->written, o->pages * OVERLAY_PAGE, MADV_DONTNEED);
}

void overlay_track(struct overlay *o)
{
    forget_all(o);
    atomic_store(&o->tracks, true);
    atomic_thread_fence(memory_order_seq_cst);
}

void overlay_track_no_more(struct overlay *o)
{
    atomic_store(&o->tracks, false);
    forget_all(o);
}

uint64_t overlay_written(const struct overlay *o)
{
    return atomic_load(&o->written_count);
}

void overlay_forget(struct overlay *o, uint64_t first, uint64_t count)
{
    for (uint64_t block = first; block < first + count; block++) {
        uint64_t bit = UINT64_C(1) << (block % WORD_BLOCKS);

        if (atomic_fetch_and(&o->written[block / WORD_BLOCKS], ~bit) & bit)
            atomic_fetch_sub(&o->written_count, 1);
    }
}
