/*
 * Pages are numbered without the device hole: low RAM first, then what lies above 4 GiB. Those from
 * `next` to `last` were never allocated: pages and short runs come from the lower end, so that what
 * a small program touches lies together, long runs (buffers that are seldom filled) from the upper.
 * Elsewhere a set bit in `freed` is a free page and a set bit in `summary` a word of `freed` that
 * is not zero: two looks find a page. Both bitmaps start as untouched RAM, which is all zero:
 * "nothing freed".
 */
#include "guest-kernel/mm/page.h"

#include "guest-kernel/lib/string.h"

#define SHORT_RUN 8

static struct {
    u64 low_start; /* guest-physical */
    size_t low_pages;
    size_t total;
    size_t next, last;
    size_t freed_count;
    size_t summary_hint; /* summary words below this are zero */
    u64 *freed;
    u64 *summary;
} pages;

static void *page_of(size_t index)
{
    if (index < pages.low_pages)
        return page_at(pages.low_start + index * PAGE_SIZE);
    return page_at(SAMARA_RAM_HIGH_BASE + (index - pages.low_pages) * PAGE_SIZE);
}

static size_t index_of(const void *page)
{
    u64 gpa = page_gpa(page);

    if (gpa < SAMARA_RAM_HIGH_BASE)
        return (gpa - pages.low_start) / PAGE_SIZE;
    return pages.low_pages + (gpa - SAMARA_RAM_HIGH_BASE) / PAGE_SIZE;
}

static bool spans_hole(size_t index, size_t count)
{
    return index < pages.low_pages && count > pages.low_pages - index;
}

void page_init(u64 free_start_gpa, u64 ram_bytes)
{
    u64 low_end = MIN(ram_bytes, (u64)SAMARA_RAM_LOW_END) & ~(PAGE_SIZE - 1);
    u64 start = (free_start_gpa + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);

    memset(&pages, 0, sizeof(pages));
    pages.low_start = start;
    pages.low_pages = start < low_end ? (low_end - start) / PAGE_SIZE : 0;
    if (ram_bytes > SAMARA_RAM_LOW_END)
        pages.total = (ram_bytes - SAMARA_RAM_LOW_END) / PAGE_SIZE;
    pages.total += pages.low_pages;
    pages.last = pages.total;

    size_t words = pages.total / 64 + 1;
    size_t summary_words = words / 64 + 1;
    size_t own = ((words + summary_words) * sizeof(u64) + PAGE_SIZE - 1) / PAGE_SIZE;
    if (own > pages.low_pages) {
        pages.total = pages.last = 0;
        return;
    }
    pages.freed = page_of(0);
    pages.summary = pages.freed + words;
    pages.next = own;
}

/* Kept back, untouched, so that the kernel can still say that memory ended. */
enum { RESERVE_PAGES = 32 };
static void *reserve;

void page_keep_reserve(void)
{
    reserve = pages_alloc(RESERVE_PAGES);
}

void page_release_reserve(void)
{
    if (reserve)
        pages_free(reserve, RESERVE_PAGES);
    reserve = NULL;
}

static void mark_free(size_t index)
{
    size_t word = index / 64;

    pages.freed[word] |= 1ull << (index % 64);
    pages.summary[word / 64] |= 1ull << (word % 64);
    pages.summary_hint = MIN(pages.summary_hint, word / 64);
    pages.freed_count++;
}

static void mark_used(size_t index)
{
    size_t word = index / 64;

    pages.freed[word] &= ~(1ull << (index % 64));
    if (pages.freed[word] == 0)
        pages.summary[word / 64] &= ~(1ull << (word % 64));
    pages.freed_count--;
}

/* Lowest freed page from `from` on; pages.total if there is none. */
static size_t next_freed(size_t from)
{
    for (size_t word = from / 64; word <= pages.total / 64;) {
        u64 bits = pages.freed[word];

        if (word == from / 64)
            bits &= ~0ull << (from % 64);
        if (bits)
            return word * 64 + (size_t)__builtin_ctzll(bits);
        word++;
        if (word % 64 == 0 && pages.summary[word / 64] == 0)
            word += 64;
    }
    return pages.total;
}

static size_t take_freed(void)
{
    size_t s = pages.summary_hint;

    while (pages.summary[s] == 0)
        s++;
    pages.summary_hint = s;
    size_t word = s * 64 + (size_t)__builtin_ctzll(pages.summary[s]);
    size_t index = word * 64 + (size_t)__builtin_ctzll(pages.freed[word]);
    mark_used(index);
    return index;
}

void *page_alloc_raw(bool *known_zero)
{
    *known_zero = pages.freed_count == 0;
    if (pages.freed_count != 0)
        return page_of(take_freed());
    if (pages.next >= pages.last)
        return NULL;
    return page_of(pages.next++);
}

void *page_alloc(void)
{
    bool zero;
    void *page = page_alloc_raw(&zero);

    if (page && !zero)
        memset(page, 0, PAGE_SIZE);
    return page;
}

void page_free(void *page)
{
    mark_free(index_of(page));
}

/* Start of a run of freed pages, or pages.total. */
static size_t find_freed_run(size_t count)
{
    size_t start = next_freed(pages.summary_hint * 64 * 64), length = 1;

    while (start < pages.total && length < count) {
        size_t index = next_freed(start + length);

        if (index == start + length && index < pages.total && !spans_hole(start, length + 1)) {
            length++;
        } else {
            start = index;
            length = 1;
        }
    }
    return start;
}

static void *take_from_lower_end(unsigned count)
{
    if (spans_hole(pages.next, count)) {
        if (count > pages.last - pages.low_pages)
            return NULL;
        while (pages.next < pages.low_pages)
            mark_free(pages.next++);
    }
    pages.next += count;
    return page_of(pages.next - count);
}

static void *take_from_upper_end(unsigned count)
{
    if (spans_hole(pages.last - count, count)) {
        if (count > pages.low_pages - pages.next)
            return NULL;
        while (pages.last > pages.low_pages)
            mark_free(--pages.last);
    }
    pages.last -= count;
    return page_of(pages.last);
}

static void *take_untouched_run(unsigned count)
{
    if (count > pages.last - pages.next)
        return NULL;
    return count <= SHORT_RUN ? take_from_lower_end(count) : take_from_upper_end(count);
}

void *pages_alloc(unsigned count)
{
    size_t start = pages.total;

    if (count == 0)
        return NULL;
    if (pages.freed_count >= count)
        start = find_freed_run(count);
    if (start == pages.total)
        return take_untouched_run(count);
    for (unsigned i = 0; i < count; i++)
        mark_used(start + i);
    return page_of(start);
}

void pages_free(void *first, unsigned count)
{
    size_t index = index_of(first);

    for (unsigned i = 0; i < count; i++)
        mark_free(index + i);
}

size_t pages_total(void)
{
    return pages.total;
}

size_t pages_free_count(void)
{
    return pages.last - pages.next + pages.freed_count;
}

size_t pages_untouched(void)
{
    return pages.last - pages.next;
}
