#include "guest-kernel/mm/area.h"

#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

size_t area_index(const struct area_set *set, u64 addr)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (set->areas[middle].end <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct area *area_find(const struct area_set *set, u64 addr)
{
    size_t i = area_index(set, addr);

    return i < set->count && set->areas[i].start <= addr ? &set->areas[i] : NULL;
}

static bool continues(const struct area *a, const struct area *b)
{
    return a->end == b->start && a->kind == b->kind && a->prot == b->prot && a->flags == b->flags &&
           a->file == b->file && area_offset_of(a, a->end) == b->offset;
}

static bool make_room(struct area_set *set)
{
    if (set->count < set->room)
        return true;

    size_t room = set->room ? set->room * 2 : 32;
    struct area *areas = krealloc(set->areas, room * sizeof(*areas));
    if (!areas)
        return false;
    set->areas = areas;
    set->room = room;
    return true;
}

static void insert_at(struct area_set *set, size_t i, struct area a)
{
    memmove(&set->areas[i + 1], &set->areas[i], (set->count - i) * sizeof(a));
    set->areas[i] = a;
    set->count++;
}

/* Takes n entries out; references have been dropped or moved. */
static void delete_at(struct area_set *set, size_t i, size_t n)
{
    if (n == 0)
        return;
    memmove(&set->areas[i], &set->areas[i + n], (set->count - i - n) * sizeof(set->areas[0]));
    set->count -= n;
}

static void drop_file(const struct area *a)
{
    if (a->file)
        file_put(a->file);
}

/* Makes entries i and i + 1 one if they continue each other. */
static void merge_at(struct area_set *set, size_t i)
{
    if (i + 1 >= set->count || !continues(&set->areas[i], &set->areas[i + 1]))
        return;
    set->areas[i].end = set->areas[i + 1].end;
    drop_file(&set->areas[i + 1]);
    delete_at(set, i + 1, 1);
}

bool area_insert(struct area_set *set, struct area a)
{
    if (a.kind == AREA_ANON)
        a.offset = 0;
    if (!make_room(set))
        return false;

    size_t i = area_index(set, a.start);
    insert_at(set, i, a);
    merge_at(set, i);
    if (i > 0)
        merge_at(set, i - 1);
    return true;
}

bool area_split(struct area_set *set, u64 addr)
{
    size_t i = area_index(set, addr);

    if (i == set->count || set->areas[i].start >= addr)
        return true;
    if (!make_room(set))
        return false;

    struct area upper = set->areas[i];
    upper.offset = area_offset_of(&upper, addr);
    upper.start = addr;
    if (upper.file)
        file_get(upper.file);
    set->areas[i].end = addr;
    insert_at(set, i + 1, upper);
    return true;
}

/* Splits at both ends; undoes the first split if the second fails. */
static bool split_range(struct area_set *set, u64 start, u64 end)
{
    if (!area_split(set, start))
        return false;
    if (area_split(set, end))
        return true;
    size_t i = area_index(set, start);
    if (i > 0)
        merge_at(set, i - 1);
    return false;
}

bool area_remove(struct area_set *set, u64 start, u64 end)
{
    if (!split_range(set, start, end))
        return false;

    size_t first = area_index(set, start), n = 0;
    for (; first + n < set->count && set->areas[first + n].start < end; n++)
        drop_file(&set->areas[first + n]);
    delete_at(set, first, n);
    if (end > set->gap_end)
        set->gap_len = 0;
    return true;
}

bool area_protect(struct area_set *set, u64 start, u64 end, u8 prot)
{
    if (!split_range(set, start, end))
        return false;

    size_t first = area_index(set, start), last = first;
    for (; last < set->count && set->areas[last].start < end; last++)
        set->areas[last].prot = prot;

    /* From the top down, so that indices still to be visited stay valid. */
    for (size_t i = last; i-- > first;)
        merge_at(set, i);
    if (first > 0)
        merge_at(set, first - 1);
    return true;
}

bool area_covers(const struct area_set *set, u64 start, u64 end)
{
    for (size_t i = area_index(set, start); start < end; i++) {
        if (i == set->count || set->areas[i].start > start)
            return false;
        start = set->areas[i].end;
    }
    return true;
}

u64 area_covered_end(const struct area_set *set, u64 addr)
{
    size_t i = area_index(set, addr);

    while (i < set->count && set->areas[i].start <= addr)
        addr = set->areas[i++].end;
    return addr;
}

bool area_is_free(const struct area_set *set, u64 start, u64 end)
{
    size_t i = area_index(set, start);

    return i == set->count || set->areas[i].start >= end;
}

/* Where the search for len bytes below high may begin. */
static u64 gap_start(const struct area_set *set, u64 high, u64 len)
{
    return set->gap_len && len >= set->gap_len && high == set->gap_high ? set->gap_end : high;
}

static u64 gap_found(struct area_set *set, u64 top, u64 end, u64 len)
{
    set->gap_len = len;
    set->gap_end = end;
    set->gap_high = top;
    return end - len;
}

u64 area_gap(struct area_set *set, u64 low, u64 high, u64 len)
{
    u64 top = high;

    high = gap_start(set, high, len);
    size_t i = area_index(set, high);
    if (i < set->count && set->areas[i].start < high)
        high = set->areas[i].start;
    while (high > low && high - low >= len) {
        u64 floor = i > 0 ? MAX(set->areas[i - 1].end, low) : low;

        if (floor < high && high - floor >= len)
            return gap_found(set, top, high, len);
        if (i == 0)
            return 0;
        i--;
        high = MIN(high, set->areas[i].start);
    }
    return 0;
}
