#include "guest-kernel/mm/map.h"

#include "abi/memory_map.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/mm/pagetable.h"

_Static_assert(MM_TOP == SAMARA_WINDOW, "the program ends where the window begins");

/* Room between stack and mappings, so that an overrun is a fault and not somebody's data. */
#define STACK_GUARD 0x100000ul

/* A system call in the last bytes before the window would return into the kernel. */
#define MM_MAP_END (MM_TOP - PAGE_SIZE)

struct area_set mm_areas;

static u64 stack_top;
static u64 map_top; /* mappings are placed downwards from here */
static u64 brk_start, brk_now;

static u64 page_up(u64 value)
{
    return (value + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/* Stack and mappings share their tables where they can: each table page costs the host a fault. */
void mm_init(void)
{
    u64 random[2];

    random_bytes(random, sizeof(random));
    stack_top = MM_MAP_END - (random[0] & 0x3fffff) * PAGE_SIZE;
    map_top = stack_top - STACK_SIZE - STACK_GUARD - (random[1] & 0xfff) * PAGE_SIZE;
}

bool mm_range(u64 addr, u64 len, u64 *end)
{
    if (addr % PAGE_SIZE || addr > MM_TOP || len > MM_TOP - addr)
        return false;
    *end = addr + page_up(len);
    return true;
}

static u64 choose_place(u64 hint, u64 len)
{
    hint &= ~(PAGE_SIZE - 1);
    if (hint >= MM_LOWEST && hint < MM_MAP_END && len <= MM_MAP_END - hint &&
        area_is_free(&mm_areas, hint, hint + len))
        return hint;

    u64 place = area_gap(&mm_areas, MM_LOWEST, map_top, len);
    return place ? place : area_gap(&mm_areas, MM_LOWEST, MM_MAP_END, len);
}

long mm_map(u64 hint, u64 len, bool fixed, struct area a)
{
    u64 end;

    if (len == 0)
        return -EINVAL;
    if (len > MM_TOP)
        return -ENOMEM;
    len = page_up(len);
    if (fixed) {
        if (hint % PAGE_SIZE)
            return -EINVAL;
        if (hint < MM_LOWEST)
            return -EPERM;
        if (!mm_range(hint, len, &end) || end > MM_MAP_END)
            return -ENOMEM;
        if (!area_is_free(&mm_areas, hint, end) && mm_unmap(hint, len) != 0)
            return -ENOMEM;
        a.start = hint;
    } else {
        a.start = choose_place(hint, len);
        if (!a.start)
            return -ENOMEM;
    }
    a.end = a.start + len;
    if (a.file)
        file_get(a.file);
    u64 start = a.start;
    if (!area_insert(&mm_areas, a)) {
        if (a.file)
            file_put(a.file);
        return -ENOMEM;
    }
    return (long)start;
}

long mm_unmap(u64 addr, u64 len)
{
    u64 end;

    if (len == 0 || !mm_range(addr, len, &end))
        return -EINVAL;
    /* Split first, the only step that can fail; pages go before the file that may own them. */
    if (!area_split(&mm_areas, addr) || !area_split(&mm_areas, end))
        return -ENOMEM;
    size_t below = area_index(&mm_areas, addr), above = area_index(&mm_areas, end);
    u64 floor = below > 0 ? mm_areas.areas[below - 1].end : 0;
    u64 ceiling = above < mm_areas.count ? mm_areas.areas[above].start : MM_TOP;

    pt_unmap(addr, end, floor, ceiling);
    area_remove(&mm_areas, addr, end);
    return 0;
}

/* A shared mapping of a file that was not opened for writing must not become writable. */
static bool may_protect(u64 start, u64 end, u32 prot)
{
    if (!(prot & PROT_WRITE))
        return true;
    for (size_t i = area_index(&mm_areas, start); i < mm_areas.count; i++) {
        const struct area *a = &mm_areas.areas[i];

        if (a->start >= end)
            break;
        if (a->kind == AREA_FILE && (a->flags & AREA_SHARED) && !file_writable(a->file))
            return false;
    }
    return true;
}

/* As on Linux what lies before a hole is changed although the call fails. */
long mm_protect(u64 addr, u64 len, u32 prot)
{
    u64 end;

    if (addr % PAGE_SIZE)
        return -EINVAL;
    if (len == 0)
        return 0;
    if (!mm_range(addr, len, &end))
        return -ENOMEM;

    u64 covered = MIN(area_covered_end(&mm_areas, addr), end);
    if (!may_protect(addr, covered, prot))
        return -EACCES;
    if (covered > addr) {
        if (!area_protect(&mm_areas, addr, covered, (u8)prot))
            return -ENOMEM;
        pt_protect(addr, covered, prot);
    }
    return covered == end ? 0 : -ENOMEM;
}

long mm_discard(u64 addr, u64 len)
{
    u64 end;

    if (!mm_range(addr, len, &end))
        return -EINVAL;
    for (size_t i = area_index(&mm_areas, addr); i < mm_areas.count; i++) {
        const struct area *a = &mm_areas.areas[i];
        u64 from = MAX(addr, a->start), to = MIN(end, a->end);

        if (a->start >= end)
            break;
        if (a->kind != AREA_ANON ||
            !(a->flags & AREA_SHARED)) /* shared memory keeps its contents */
            pt_unmap(from, to, from, to);
    }
    return area_covers(&mm_areas, addr, end) ? 0 : -ENOMEM;
}

void mm_set_brk(u64 start)
{
    brk_start = brk_now = page_up(start);
}

u64 mm_brk(u64 wanted)
{
    if (wanted < brk_start || wanted > MM_TOP)
        return brk_now;

    u64 old_end = page_up(brk_now), new_end = page_up(wanted);
    if (new_end < old_end && mm_unmap(new_end, old_end - new_end) != 0)
        return brk_now;
    if (new_end > old_end) {
        struct area heap = {.start = old_end,
                            .end = new_end,
                            .kind = AREA_ANON,
                            .prot = PROT_READ | PROT_WRITE,
                            .flags = AREA_HEAP};

        if (!area_is_free(&mm_areas, old_end, new_end) || !area_insert(&mm_areas, heap))
            return brk_now;
    }
    brk_now = wanted;
    return brk_now;
}

u64 mm_map_stack(bool executable)
{
    u8 prot = executable ? PROT_READ | PROT_WRITE | PROT_EXEC : PROT_READ | PROT_WRITE;
    struct area stack = {.kind = AREA_ANON, .prot = prot, .flags = AREA_STACK};

    if (!area_is_free(&mm_areas, stack_top - STACK_SIZE, stack_top))
        return 0;
    return mm_map(stack_top - STACK_SIZE, STACK_SIZE, true, stack) < 0 ? 0 : stack_top;
}

u64 mm_virtual_bytes(void)
{
    u64 sum = 0;

    for (size_t i = 0; i < mm_areas.count; i++)
        sum += mm_areas.areas[i].end - mm_areas.areas[i].start;
    return sum;
}

u64 mm_resident_bytes(void)
{
    return pt_count(0, MM_TOP) * PAGE_SIZE;
}
