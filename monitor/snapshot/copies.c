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

static size_t numbers_bytes(const struct copies *c)
{
    return page_up(c->most * sizeof(c->numbers[0]));
}

void copies_open(struct copies *c, uint64_t ram)
{
    void *at;

    *c = (struct copies){.most = ram / PAGE};
    at = mmap(NULL, numbers_bytes(c) + c->most * PAGE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return;
    c->numbers = at;
    c->pages = (uint8_t *)at + numbers_bytes(c);
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

void copies_clear(struct copies *c)
{
    if (c->count == 0)
        return;
    madvise(c->numbers, page_up(c->count * sizeof(c->numbers[0])), MADV_DONTNEED);
    madvise(c->pages, c->count * PAGE, MADV_DONTNEED);
    c->count = 0;
}
