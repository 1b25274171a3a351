/* See copies.h. */
#include "monitor/snapshot/copies.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

static size_t page_up(size_t bytes)
{
    return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

void copies_open(struct copies *c, uint64_t ram)
{
    const size_t most = ram / PAGE, bits = page_up((most + 63) / 64 * 8),
                 numbers = page_up(most * sizeof(c->numbers[0]));
    uint8_t *at;

    *c = (struct copies){.most = most, .size = 2 * bits + numbers + most * PAGE};
    at = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
              -1, 0);
    if (at == MAP_FAILED)
        return;
    c->all = at;
    c->bits = (uint64_t *)(void *)at;
    c->written = (uint64_t *)(void *)(at + bits);
    c->numbers = (uint32_t *)(void *)(at + 2 * bits);
    c->pages = at + 2 * bits + numbers;
}

void copies_expect(struct copies *c, size_t pages)
{
    if (pages > c->most)
        pages = c->most;
    for (size_t i = 0; i < pages; i++)
        *(volatile uint8_t *)(c->pages + i * PAGE) = 0;
    for (size_t i = 0; i < pages; i += PAGE / sizeof(c->numbers[0]))
        *(volatile uint32_t *)(c->numbers + i) = 0;
}

void copies_put(struct copies *c, uint32_t number, const uint8_t *page)
{
    assert(c->count < c->most);
    c->numbers[c->count] = number;
    memcpy(c->pages + c->count * PAGE, page, PAGE);
    c->count++;
}

size_t copies_run(const struct copies *c, size_t at, size_t most)
{
    size_t n = 1;

    while (n < most && at + n < c->count && c->numbers[at + n] == c->numbers[at] + n)
        n++;
    return n;
}

size_t copies_marked(const struct copies *c, size_t *first)
{
    size_t page = *first, end;

    while (page < c->most && !copies_bit(c, page))
        page += page % 64 == 0 && c->bits[page / 64] == 0 ? 64 : 1;
    for (end = page; end < c->most && copies_bit(c, end);)
        end++;
    *first = page;
    return end > page ? end - page : 0;
}

void copies_clear(struct copies *c)
{
    c->count = 0;
    madvise(c->all, c->size, MADV_DONTNEED);
}
