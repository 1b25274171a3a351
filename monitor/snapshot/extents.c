/* See extents.h. */
#include "monitor/snapshot/extents.h"

#include <stdbool.h>

enum { PAGE = 4096 };

enum kind { NONE, DATA, ZERO };

static bool bit(const uint8_t *bits, uint64_t page)
{
    return bits[page / 8] >> (page % 8) & 1;
}

static enum kind kind_of(const struct page_bits *b, uint64_t page)
{
    if (bit(b->present, page))
        return DATA;
    return b->known == NULL || bit(b->known, page) ? ZERO : NONE;
}

/* The eight pages from this one on, which begins a byte, are all of one kind. */
static bool eight(const struct page_bits *b, uint64_t page, enum kind kind)
{
    if (b->present[page / 8] != (kind == DATA ? 0xff : 0))
        return false;
    return kind == DATA || b->known == NULL || b->known[page / 8] == (kind == ZERO ? 0xff : 0);
}

static uint64_t run_end(const struct page_bits *b, uint64_t page, enum kind kind)
{
    while (page < b->pages && kind_of(b, page) == kind)
        page += page % 8 == 0 && b->pages - page >= 8 && eight(b, page, kind) ? 8 : 1;
    return page;
}

size_t extents_from_bits(const struct page_bits *b, uint64_t absorb, struct saved_extent *to,
                         size_t room)
{
    struct saved_extent last = {0};
    size_t count = 0;
    uint64_t end;

    for (uint64_t page = 0; page < b->pages; page = end) {
        enum kind kind = kind_of(b, page);
        bool follows = last.kind == EXTENT_DATA && last.offset + last.size == page * PAGE;

        end = run_end(b, page, kind);
        if (follows && (kind == DATA || (kind == ZERO && end - page <= absorb))) {
            last.size += (end - page) * PAGE;
        } else if (kind == DATA || (kind == ZERO && b->known != NULL)) {
            last.offset = page * PAGE;
            last.size = (end - page) * PAGE;
            last.kind = kind == DATA ? EXTENT_DATA : EXTENT_ZERO;
            count++;
        } else {
            continue;
        }
        if (count <= room)
            to[count - 1] = last;
    }
    return count;
}
