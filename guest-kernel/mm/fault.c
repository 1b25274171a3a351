/*
 * Pages on demand. A fault costs about 10 us and an entry in a table 0.05 us, so a fault maps a
 * block of pages around it: anonymous ones from RAM nobody touched, which costs the host nothing
 * until the program does, and the file's own pages, which are there already.
 */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/pagetable.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/process.h"

enum fill { FILL_OK, FILL_NO_MEMORY, FILL_NO_PAGE };

static enum fill fill_zero(const struct area *a, pte *slot)
{
    void *page = page_alloc();

    if (!page)
        return FILL_NO_MEMORY;
    *slot = pt_entry(page_gpa(page), a->prot, PTE_OWNED);
    return FILL_OK;
}

static enum fill fill_copy(const struct area *a, pte *slot, u64 va, const void *from)
{
    bool zero;
    void *page = page_alloc_raw(&zero);

    if (!page)
        return FILL_NO_MEMORY;
    memcpy(page, from, PAGE_SIZE);
    pt_replace(slot, va, pt_entry(page_gpa(page), a->prot, PTE_OWNED));
    return FILL_OK;
}

static enum fill fill_file(const struct area *a, pte *slot, u64 va, bool write)
{
    u64 index = area_offset_of(a, va) / PAGE_SIZE;
    void *page = a->file->ops->page ? a->file->ops->page(a->file, index) : NULL;

    if (!page)
        return FILL_NO_PAGE;
    if (write && !(a->flags & AREA_SHARED))
        return fill_copy(a, slot, va, page);
    *slot = pt_entry(page_gpa(page), a->prot, a->flags & AREA_SHARED ? PTE_SHARED : 0);
    return FILL_OK;
}

/* Makes the entry allow what the area allows, at least reading, and writing if asked for. */
static enum fill fill_page(const struct area *a, pte *slot, u64 va, bool write)
{
    if (*slot) {
        if (!write || (*slot & PTE_W))
            return FILL_OK;
        return fill_copy(a, slot, va, page_at(*slot & PTE_FRAME));
    }
    switch (a->kind) {
    case AREA_FILE:
        return fill_file(a, slot, va, write);
    case AREA_IMAGE:
        /* Initialised data is nearly always written soon: save the second fault. */
        if (a->prot & PROT_WRITE)
            return fill_copy(a, slot, va, page_at(area_offset_of(a, va)));
        *slot = pt_entry(area_offset_of(a, va), a->prot, 0);
        return FILL_OK;
    default:
        return fill_zero(a, slot);
    }
}

static bool is_mapped(u64 va)
{
    const pte *slot = pt_find(va);

    return slot && *slot;
}

/*
 * True if a block around va would probably be used: memory next to it is. Of the others a program
 * gets some, so that it starts fast, and again as many as it had that were used: memory touched
 * here and there would fill RAM with pages nobody asked for.
 */
static bool deserves_block(u64 va, u64 block)
{
    enum { GUESSES = 32 };
    static unsigned wrong;
    u64 start = va & ~(block - 1);

    if (is_mapped(va - PAGE_SIZE) || is_mapped(va + PAGE_SIZE) || is_mapped(start - PAGE_SIZE) ||
        is_mapped(start + block)) {
        wrong -= wrong > 0;
        return true;
    }
    if (wrong == GUESSES)
        return false;
    wrong++;
    return true;
}

static u64 anon_block(void)
{
    if (pages_untouched() > pages_total() / 2)
        return 64;
    return pages_free_count() > pages_total() / 8 ? 16 : 1;
}

/* Pages to map at one fault; a power of two, so that the block stays within one table. */
static u64 around(const struct area *a, u64 va)
{
    u64 count = anon_block();

    if (a->kind == AREA_IMAGE && (a->prot & PROT_WRITE))
        return 4;
    if (a->kind != AREA_ANON)
        return 16;
    return count == 1 || deserves_block(va, count * PAGE_SIZE) ? count : 1;
}

static enum fill fill_around(const struct area *a, u64 va, bool write)
{
    pte *slot = pt_slot(va);

    if (!slot)
        return FILL_NO_MEMORY;
    bool first = *slot == 0;
    enum fill result = fill_page(a, slot, va, write);
    if (result != FILL_OK || !first)
        return result;

    u64 block = around(a, va) * PAGE_SIZE;
    u64 start = MAX(va & ~(block - 1), a->start);
    u64 end = MIN((va & ~(block - 1)) + block, a->end);
    slot -= (va - start) / PAGE_SIZE;
    for (u64 at = start; at < end; at += PAGE_SIZE, slot++) {
        if (!*slot && fill_page(a, slot, at, false) != FILL_OK)
            break;
    }
    return FILL_OK;
}

static bool allows(const struct area *a, bool write, bool fetch)
{
    if (write)
        return a->prot & PROT_WRITE;
    if (fetch)
        return a->prot & PROT_EXEC;
    return a->prot != PROT_NONE; /* the processor cannot write or execute without reading */
}

enum fault_result mm_fault(u64 addr, u32 error)
{
    u64 va = addr & ~(PAGE_SIZE - 1);
    bool write = error & FAULT_WRITE;
    const struct area *a = area_find(&mm_areas, va);

    if (!a)
        return FAULT_SEGV_MAPERR;
    if (!allows(a, write, error & FAULT_FETCH))
        return FAULT_SEGV_ACCERR;

    enum fill result = fill_around(a, va, write);
    if (result == FILL_NO_MEMORY) {
        page_release_reserve();
        process_kill(SIGKILL, "out of memory (--mem gives more)");
    }
    return result == FILL_OK ? FAULT_OK : FAULT_BUS;
}

/* The part of [start, end) in one area and one table. */
static bool populate_run(const struct area *a, u64 start, u64 end)
{
    pte *slot = pt_slot(start);

    if (!slot)
        return false;
    for (u64 va = start; va < end; va += PAGE_SIZE, slot++) {
        if (fill_page(a, slot, va, a->prot & PROT_WRITE) != FILL_OK)
            return false;
    }
    return true;
}

void mm_populate(u64 start, u64 end)
{
    for (u64 va = start & ~(PAGE_SIZE - 1); va < end;) {
        size_t i = area_index(&mm_areas, va);

        if (i == mm_areas.count || mm_areas.areas[i].start >= end)
            return;
        const struct area *a = &mm_areas.areas[i];
        u64 table_end = (MAX(va, a->start) | (PT_ENTRIES * PAGE_SIZE - 1)) + 1;
        u64 run_end = MIN(MIN(end, a->end), table_end);

        if (a->prot == PROT_NONE)
            run_end = a->end;
        else if (!populate_run(a, MAX(va, a->start), run_end))
            return;
        va = run_end;
    }
}

bool mm_poke(u64 addr, const void *src, size_t len)
{
    const char *from = src;

    while (len > 0) {
        const pte *slot = pt_find(addr);
        size_t within = addr % PAGE_SIZE;
        size_t part = MIN(len, PAGE_SIZE - within);

        if (!slot || !(*slot & PTE_OWNED))
            return false;
        memcpy((char *)page_at(*slot & PTE_FRAME) + within, from, part);
        addr += part;
        from += part;
        len -= part;
    }
    return true;
}

static bool is_prepared(u64 va, bool write)
{
    const pte *slot = pt_find(va);
    pte need = write ? PTE_P | PTE_W : PTE_P;

    return slot && (*slot & need) == need;
}

int user_prepare(u64 addr, size_t len, bool write)
{
    if (len == 0)
        return 0;
    if (addr >= MM_TOP || len > MM_TOP - addr)
        return -EFAULT;
    for (u64 va = addr & ~(PAGE_SIZE - 1); va < addr + len; va += PAGE_SIZE) {
        if (!is_prepared(va, write) && mm_fault(va, write ? FAULT_WRITE : 0) != FAULT_OK)
            return -EFAULT;
    }
    return 0;
}

void *user_page(u64 addr)
{
    return (u8 *)page_at(*pt_find(addr) & PTE_FRAME) + addr % PAGE_SIZE;
}
