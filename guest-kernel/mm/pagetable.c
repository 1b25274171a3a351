#include "guest-kernel/mm/pagetable.h"

#include "guest-kernel/arch/cpu.h"
#include "guest-kernel/arch/gate.h"
#include "guest-kernel/mm/area.h"
#include "guest-kernel/mm/page.h"

/* One invlpg is 7 us and one CR3 reload 58 us on KVM without hardware virtualisation. */
#define FLUSH_SINGLE_MAX 9

#define TOP_LEVEL        3
#define TABLE_ENTRY      (PTE_P | PTE_W | PTE_U | PTE_A)

struct flush {
    u64 va[FLUSH_SINGLE_MAX];
    unsigned count;
};

static void flush_add(struct flush *f, u64 va)
{
    if (f->count < FLUSH_SINGLE_MAX)
        f->va[f->count] = va;
    f->count++;
}

static void flush_now(const struct flush *f)
{
    if (f->count > FLUSH_SINGLE_MAX) {
        gate_reload_cr3();
        return;
    }
    for (unsigned i = 0; i < f->count; i++)
        gate_invlpg(f->va[i]);
}

static u64 level_span(unsigned level)
{
    return PAGE_SIZE << (9 * level);
}

static unsigned level_index(u64 va, unsigned level)
{
    return (unsigned)(va >> (PAGE_SHIFT + 9 * level)) % PT_ENTRIES;
}

static pte *table_of(pte entry)
{
    return page_at(entry & PTE_FRAME);
}

static pte *top_table(void)
{
    return table_of(boot_cr3);
}

pte *pt_find(u64 va)
{
    pte *table = top_table();

    for (unsigned level = TOP_LEVEL; level > 0; level--) {
        pte entry = table[level_index(va, level)];

        if (!entry)
            return NULL;
        table = table_of(entry);
    }
    return &table[level_index(va, 0)];
}

pte *pt_slot(u64 va)
{
    pte *table = top_table();

    for (unsigned level = TOP_LEVEL; level > 0; level--) {
        pte *entry = &table[level_index(va, level)];

        if (!*entry) {
            void *page = page_alloc();

            if (!page)
                return NULL;
            *entry = page_gpa(page) | TABLE_ENTRY;
        }
        table = table_of(*entry);
    }
    return &table[level_index(va, 0)];
}

/* The entry of the first address from *va on that has a table, moving *va there; NULL at end. */
static pte *next_slot(u64 *va, u64 end)
{
    while (*va < end) {
        pte *table = top_table();
        unsigned level = TOP_LEVEL;

        for (; level > 0; level--) {
            pte entry = table[level_index(*va, level)];

            if (!entry)
                break;
            table = table_of(entry);
        }
        if (level == 0)
            return &table[level_index(*va, 0)];
        *va = (*va | (level_span(level) - 1)) + 1;
    }
    return NULL;
}

pte pt_entry(u64 gpa, u32 prot, u64 kind)
{
    pte entry = gpa | kind | PTE_U | PTE_A | PTE_D;

    if (prot != PROT_NONE)
        entry |= PTE_P;
    if ((prot & PROT_WRITE) && kind)
        entry |= PTE_W;
    if (!(prot & PROT_EXEC))
        entry |= PTE_NX;
    return entry;
}

void pt_replace(pte *slot, u64 va, pte value)
{
    bool was_present = *slot & PTE_P;

    *slot = value;
    if (was_present)
        gate_invlpg(va);
}

static void drop_entry(pte *slot, u64 va, struct flush *flush)
{
    pte old = *slot;

    *slot = 0;
    if (old & PTE_P)
        flush_add(flush, va);
    if (old & PTE_OWNED)
        page_free(page_at(old & PTE_FRAME));
}

struct unmapping {
    u64 floor, ceiling; /* a table whose span is between them is not needed any more */
    struct flush flush;
};

/* Pages are freed before the flush, but nobody can get hold of them before pt_unmap returns. */
static void unmap_level(pte *table, unsigned level, u64 start, u64 end, struct unmapping *u)
{
    u64 span = level_span(level);

    for (u64 va = start; va < end; va = (va | (span - 1)) + 1) {
        pte *entry = &table[level_index(va, level)];
        u64 base = va & ~(span - 1);

        if (!*entry)
            continue;
        if (level == 0) {
            drop_entry(entry, va, &u->flush);
            continue;
        }
        unmap_level(table_of(*entry), level - 1, va, MIN(end, base + span), u);
        if (u->floor <= base && base + span <= u->ceiling) {
            page_free(table_of(*entry));
            *entry = 0;
            flush_add(&u->flush, va); /* the processor may remember the table itself */
        }
    }
}

void pt_unmap(u64 start, u64 end, u64 floor, u64 ceiling)
{
    struct unmapping u = {.floor = floor, .ceiling = ceiling};

    unmap_level(top_table(), TOP_LEVEL, start, end, &u);
    flush_now(&u.flush);
}

void pt_protect(u64 start, u64 end, u32 prot)
{
    struct flush flush = {.count = 0};
    pte *slot;

    for (u64 va = start; (slot = next_slot(&va, end)) != NULL; va += PAGE_SIZE) {
        pte old = *slot;

        if (!old)
            continue;
        pte new = pt_entry(old & PTE_FRAME, prot, old & (PTE_OWNED | PTE_SHARED));
        if (new == old)
            continue;
        *slot = new;
        if (old & PTE_P)
            flush_add(&flush, va);
    }
    flush_now(&flush);
}

bool pt_move(u64 from, u64 to, u64 len)
{
    struct flush flush = {.count = 0};
    pte *slot;

    for (u64 va = from; (slot = next_slot(&va, from + len)) != NULL; va += PAGE_SIZE) {
        if (*slot && !pt_slot(to + (va - from)))
            return false;
    }
    for (u64 va = from; (slot = next_slot(&va, from + len)) != NULL; va += PAGE_SIZE) {
        if (!*slot)
            continue;
        *pt_find(to + (va - from)) = *slot;
        if (*slot & PTE_P)
            flush_add(&flush, va);
        *slot = 0;
    }
    flush_now(&flush);
    return true;
}

size_t pt_count(u64 start, u64 end)
{
    size_t count = 0;
    const pte *slot;

    for (u64 va = start; (slot = next_slot(&va, end)) != NULL; va += PAGE_SIZE)
        count += *slot != 0;
    return count;
}
