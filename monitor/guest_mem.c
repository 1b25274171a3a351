/* See guest_mem.h. */
#include "monitor/guest_mem.h"

#include <string.h>

#include "monitor/copy_barrier.h"
#include "monitor/guest_iov.h"

enum { PAGE = 4096 };

static bool range_fits(uint64_t size, uint64_t at, uint64_t len)
{
    return at <= size && len <= size - at; /* at + len could wrap */
}

static bool regions_overlap(const struct guest_region *region, uint64_t at, uint64_t size)
{
    return at < region->gpa ? size > region->gpa - at : region->size > at - region->gpa;
}

int guest_mem_add(struct guest_mem *mem, uint64_t at, uint64_t size, void *host, struct err *err)
{
    if (mem->count == GUEST_REGIONS)
        return err_set(err, "guest memory: more than %d regions", GUEST_REGIONS);
    if (size == 0 || size > UINT64_MAX - at)
        return err_set(err, "guest memory: bad region %#llx + %#llx", (unsigned long long)at,
                       (unsigned long long)size);
    for (unsigned i = 0; i < mem->count; i++)
        if (regions_overlap(&mem->regions[i], at, size))
            return err_set(err, "guest memory: overlapping region at %#llx",
                           (unsigned long long)at);
    mem->regions[mem->count++] = (struct guest_region){.gpa = at, .size = size, .host = host};
    return 0;
}

void *guest_iov(const struct guest_mem *mem, gpa_t at, uint64_t len)
{
    for (unsigned i = 0; i < mem->count; i++) {
        const struct guest_region *region = &mem->regions[i];

        if (at.value >= region->gpa && range_fits(region->size, at.value - region->gpa, len))
            return region->host + (at.value - region->gpa);
    }
    return NULL;
}

bool guest_contains(const struct guest_mem *mem, gpa_t at, uint64_t len)
{
    return guest_iov(mem, at, len) != NULL;
}

bool guest_read(const struct guest_mem *mem, gpa_t at, void *to, size_t len)
{
    const void *from = guest_iov(mem, at, len);

    if (from == NULL)
        return false;
    memcpy(to, from, len);
    copy_barrier();
    return true;
}

static void mark(uint64_t *bits, uint64_t first, uint64_t last)
{
    for (uint64_t page = first; page <= last; page++)
        bits[page / 64] |= UINT64_C(1) << (page % 64);
}

void guest_mem_wrote(const struct guest_mem *mem, const void *host, size_t len)
{
    uint64_t before = 0; /* bytes of the regions before this one */

    if (mem->written == NULL || len == 0)
        return;
    for (unsigned i = 0; i < mem->count; i++) {
        const struct guest_region *region = &mem->regions[i];
        uint64_t at = (uint64_t)((uintptr_t)host - (uintptr_t)region->host); /* wraps */

        if (at < region->size) {
            mark(mem->written, (before + at) / PAGE, (before + at + len - 1) / PAGE);
            return;
        }
        before += region->size;
    }
}

bool guest_write(const struct guest_mem *mem, gpa_t at, const void *from, size_t len)
{
    void *to = guest_iov(mem, at, len);

    if (to == NULL)
        return false;
    memcpy(to, from, len);
    copy_barrier();
    guest_mem_wrote(mem, to, len);
    return true;
}

bool guest_or64(const struct guest_mem *mem, gpa_t at, uint64_t bits, uint64_t *before)
{
    void *word = guest_iov(mem, at, sizeof(uint64_t));

    if (word == NULL || (uintptr_t)word % sizeof(uint64_t) != 0)
        return false;
    *before = __atomic_fetch_or((uint64_t *)word, bits, __ATOMIC_SEQ_CST);
    guest_mem_wrote(mem, word, sizeof(uint64_t));
    return true;
}
