/* mremap: areas and their pages change place; nothing is copied. */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/pagetable.h"

enum { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2 };

/* Maps the new place, moves the pages, and removes the old place. */
static long move_area(struct area a, u64 addr, u64 old_len, u64 new_len, bool fixed, u64 new_addr)
{
    a.offset = area_offset_of(&a, addr);
    long place = mm_map(fixed ? new_addr : 0, new_len, fixed, a);

    if (place < 0)
        return place;
    u64 kept = MIN(old_len, new_len);
    if (!pt_move(addr, (u64)place, kept) || mm_unmap(addr, old_len) != 0) {
        pt_move((u64)place, addr, kept);
        mm_unmap((u64)place, new_len);
        return -ENOMEM;
    }
    return place;
}

/* Lengthens the area that ends at addr + old_len, if the room behind it is free. */
static bool grow_in_place(const struct area *a, u64 addr, u64 old_len, u64 new_len)
{
    u64 end;
    struct area more = *a;

    if (a->end != addr + old_len || !mm_range(addr, new_len, &end) ||
        !area_is_free(&mm_areas, a->end, end))
        return false;
    more.start = addr + old_len;
    more.end = end;
    more.offset = area_offset_of(a, more.start);
    if (more.file)
        file_get(more.file);
    if (area_insert(&mm_areas, more))
        return true;
    if (more.file)
        file_put(more.file);
    return false;
}

static bool overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
    return a < b + b_len && b < a + a_len;
}

long mm_remap(u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
    u64 old_end, new_end;
    bool fixed = flags & MREMAP_FIXED;

    if ((flags & ~(u32)(MREMAP_MAYMOVE | MREMAP_FIXED)) || (fixed && !(flags & MREMAP_MAYMOVE)))
        return -EINVAL;
    /* old_len 0 would double a shared mapping: a deprecated use nobody needs here. */
    if (old_len == 0 || new_len == 0 || new_len > MM_TOP || addr % PAGE_SIZE)
        return -EINVAL;
    if (!mm_range(addr, old_len, &old_end))
        return -EFAULT;
    old_len = old_end - addr;
    new_len = (new_len + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    if (fixed && (!mm_range(new_addr, new_len, &new_end) || new_addr < MM_LOWEST ||
                  overlap(addr, old_len, new_addr, new_len)))
        return -EINVAL;

    const struct area *a = area_find(&mm_areas, addr);
    if (!a || a->end < old_end)
        return -EFAULT;
    if (fixed)
        return move_area(*a, addr, old_len, new_len, true, new_addr);
    if (new_len < old_len) {
        long error = mm_unmap(addr + new_len, old_len - new_len);

        return error ? error : (long)addr;
    }
    if (new_len == old_len || grow_in_place(a, addr, old_len, new_len))
        return (long)addr;
    if (!(flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    return move_area(*a, addr, old_len, new_len, false, 0);
}
