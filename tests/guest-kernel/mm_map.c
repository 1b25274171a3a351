/* The address space against a model: one byte of protection and one tag for each of 512 pages. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/pagetable.h"
#include "guest-kernel/task/process.h"
#include "tests/guest-kernel/mm_fake.h"

#define BASE  0x10000000ul
#define PAGES 512u

static void setup(void)
{
    fake_machine(32 << 20);
}

TestSuite(map, .init = setup);

static struct {
    bool mapped;
    u8 prot;
    u8 tag;
} model[PAGES], copy[PAGES];

static u64 at(unsigned page)
{
    return BASE + page * PAGE_SIZE;
}

static void check_model(void)
{
    for (unsigned i = 0; i < PAGES; i++) {
        const struct area *a = area_find(&mm_areas, at(i));

        cr_assert_eq(a != NULL, model[i].mapped, "page %u", i);
        if (!a)
            continue;
        cr_assert_eq(a->prot, model[i].prot, "page %u", i);
        const u8 *byte = fake_byte(at(i));
        if (model[i].prot == PROT_NONE)
            cr_assert_null(byte);
        if (byte)
            cr_assert_eq(*byte, model[i].tag, "page %u: %u, not %u", i, *byte, model[i].tag);
        else if (model[i].prot != PROT_NONE)
            cr_assert_eq(model[i].tag, 0, "page %u lost its contents", i);
    }
    for (size_t i = 1; i < mm_areas.count; i++)
        cr_assert_leq(mm_areas.areas[i - 1].end, mm_areas.areas[i].start);
}

static void step_remap(unsigned from, unsigned n, unsigned to)
{
    long result = mm_remap(at(from), n * PAGE_SIZE, n * PAGE_SIZE, 3, at(to));

    if (result < 0)
        return;
    memcpy(copy, model, sizeof(model));
    for (unsigned i = 0; i < n; i++)
        model[from + i].mapped = false;
    for (unsigned i = 0; i < n; i++)
        model[to + i] = copy[from + i];
}

static void random_step(unsigned tag)
{
    static const u8 prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    unsigned from = (unsigned)rand() % PAGES, n = 1 + (unsigned)rand() % 40;
    u8 prot = prots[rand() % 3];

    n = MIN(n, PAGES - from);
    switch (rand() % 6) {
    case 0:
        cr_assert_eq(mm_map(at(from), n * PAGE_SIZE, true, (struct area){.prot = prot}), at(from));
        for (unsigned i = from; i < from + n; i++) {
            model[i].mapped = true;
            model[i].prot = prot;
            model[i].tag = 0;
        }
        break;
    case 1:
        cr_assert_eq(mm_unmap(at(from), n * PAGE_SIZE), 0);
        for (unsigned i = from; i < from + n; i++)
            model[i].mapped = false;
        break;
    case 2:
        mm_protect(at(from), n * PAGE_SIZE, prot);
        for (unsigned i = from; i < from + n && model[i].mapped; i++)
            model[i].prot = prot;
        break;
    case 3:
        mm_discard(at(from), n * PAGE_SIZE);
        for (unsigned i = from; i < from + n; i++)
            model[i].tag = 0;
        break;
    case 4:
        step_remap(from, n, (unsigned)rand() % (PAGES - n + 1));
        break;
    default:
        for (unsigned i = from; i < from + n; i++) {
            enum fault_result want = !model[i].mapped             ? FAULT_SEGV_MAPERR
                                     : model[i].prot & PROT_WRITE ? FAULT_OK
                                                                  : FAULT_SEGV_ACCERR;

            cr_assert_eq(mm_fault(at(i) + 5, FAULT_WRITE), want);
            if (want == FAULT_OK)
                *fake_byte(at(i)) = model[i].tag = (u8)tag;
        }
    }
}

Test(map, random_operations_agree_with_a_model)
{
    size_t untouched;

    srand(7);
    for (unsigned step = 0; step < 20000; step++) {
        random_step(step);
        if (step % 16 == 0)
            check_model();
    }
    mm_unmap(BASE, PAGES * PAGE_SIZE);
    cr_assert_eq(mm_areas.count, 0);
    untouched = pages_total() - pages_free_count();
    cr_assert_leq(untouched, 24, "%zu pages were not given back", untouched);
}

Test(map, a_private_file_page_is_copied_at_the_first_write)
{
    struct file *f = fake_file(2);
    struct area a = {.kind = AREA_FILE, .prot = PROT_READ | PROT_WRITE, .file = f};

    cr_assert_eq(mm_map(BASE, 3 * PAGE_SIZE, true, a), BASE);
    cr_assert_eq(f->refs, 2);
    *(u8 *)f->private = 9;
    cr_assert_eq(mm_fault(BASE, 0), FAULT_OK);
    cr_assert_eq(*fake_byte(BASE), 9);
    cr_assert_eq(mm_fault(BASE, FAULT_WRITE | FAULT_PRESENT), FAULT_OK);
    *fake_byte(BASE) = 1;
    cr_assert_eq(*(u8 *)f->private, 9);
    cr_assert_eq(fake_flushes, 1, "the old page must leave the TLB");
    cr_assert_eq(mm_fault(BASE + 2 * PAGE_SIZE, 0), FAULT_BUS);
    cr_assert_eq(mm_discard(BASE, PAGE_SIZE), 0);
    cr_assert_eq(mm_fault(BASE, 0), FAULT_OK);
    cr_assert_eq(*fake_byte(BASE), 9);
    mm_protect(BASE, PAGE_SIZE, PROT_READ);
    cr_assert_eq(f->refs, 3);
    mm_unmap(BASE, 3 * PAGE_SIZE);
    cr_assert_eq(f->refs, 1);
}

Test(map, a_shared_file_page_is_written_in_place)
{
    struct file *f = fake_file(1);
    struct area a = {.kind = AREA_FILE, .prot = PROT_READ, .flags = AREA_SHARED, .file = f};

    mm_map(BASE, PAGE_SIZE, true, a);
    cr_assert_eq(mm_fault(BASE, FAULT_WRITE), FAULT_SEGV_ACCERR);
    cr_assert_eq(mm_protect(BASE, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
    cr_assert_eq(mm_fault(BASE, FAULT_WRITE), FAULT_OK);
    *fake_byte(BASE) = 5;
    cr_assert_eq(*(u8 *)f->private, 5);
    f->flags = 0;
    mm_protect(BASE, PAGE_SIZE, PROT_READ);
    cr_assert_eq(mm_protect(BASE, PAGE_SIZE, PROT_WRITE), -13);
}

Test(map, making_entries_present_flushes_nothing_and_many_changes_reload_once)
{
    mm_map(BASE, 64 * PAGE_SIZE, true, (struct area){.prot = PROT_READ | PROT_WRITE});
    mm_populate(BASE, BASE + 64 * PAGE_SIZE);
    cr_assert_eq(fake_flushes + fake_reloads, 0);
    mm_protect(BASE, 9 * PAGE_SIZE, PROT_READ);
    cr_assert_eq(fake_flushes, 9);
    cr_assert_eq(fake_reloads, 0);
    mm_protect(BASE, 64 * PAGE_SIZE, PROT_NONE);
    cr_assert_eq(fake_reloads, 1);
}

Test(map, terabytes_may_be_reserved_and_given_back)
{
    u64 size = 0x100000000000;
    long at_top = mm_map(0, size, false, (struct area){.prot = PROT_NONE});

    cr_assert_gt(at_top, 0);
    cr_assert_eq(mm_protect((u64)at_top, size, PROT_READ | PROT_WRITE), 0);
    cr_assert_eq(mm_fault((u64)at_top + size / 2, FAULT_WRITE), FAULT_OK);
    cr_assert_eq(mm_unmap((u64)at_top, size), 0);
    cr_assert_eq(mm_map(0, MM_TOP, false, (struct area){.prot = 0}), -12);
}

Test(map, hostile_ranges_are_refused)
{
    cr_assert_eq(mm_unmap(BASE, 0), -22);
    cr_assert_eq(mm_unmap(BASE + 1, PAGE_SIZE), -22);
    cr_assert_eq(mm_unmap(BASE, UINT64_MAX), -22);
    cr_assert_eq(mm_unmap(MM_TOP, PAGE_SIZE), -22);
    cr_assert_eq(mm_map(MM_TOP - PAGE_SIZE, 2 * PAGE_SIZE, true, (struct area){.prot = 1}), -12);
    cr_assert_eq(mm_map(0, PAGE_SIZE, true, (struct area){.prot = 1}), -1);
    cr_assert_eq(mm_map(0, UINT64_MAX, false, (struct area){.prot = 1}), -12);
    cr_assert_eq(mm_remap(BASE, PAGE_SIZE, UINT64_MAX, 1, 0), -22);
    cr_assert_eq(mm_fault(UINT64_MAX, 0), FAULT_SEGV_MAPERR);
    cr_assert_eq(mm_fault(MM_TOP, FAULT_WRITE), FAULT_SEGV_MAPERR);
}

Test(map, brk_grows_shrinks_and_stops_at_a_neighbour)
{
    mm_set_brk(BASE + 10);
    u64 start = mm_brk(0);
    cr_assert_eq(start, BASE + PAGE_SIZE);
    cr_assert_eq(mm_brk(start + 5), start + 5);
    cr_assert_eq(mm_fault(start, FAULT_WRITE), FAULT_OK);
    mm_map(start + 4 * PAGE_SIZE, PAGE_SIZE, true, (struct area){.prot = 1});
    cr_assert_eq(mm_brk(start + 5 * PAGE_SIZE), start + 5);
    cr_assert_eq(mm_brk(start + 4 * PAGE_SIZE), start + 4 * PAGE_SIZE);
    cr_assert_eq(mm_brk(start), start);
    cr_assert_eq(mm_fault(start, FAULT_WRITE), FAULT_SEGV_MAPERR);
}

Test(map, the_maps_file_reads_the_same_in_any_pieces)
{
    static char whole[4096], pieces[4096];
    size_t n = 0;
    ssize_t got;

    mm_map(BASE, PAGE_SIZE, true, (struct area){.prot = 3});
    mm_map_stack(false);
    ssize_t size = proc_maps(whole, sizeof(whole), 0);
    cr_assert_not_null(strstr(whole, "10000000-10001000 rw-p 00000000 00:00 0 \n"));
    cr_assert_not_null(strstr(whole, " [stack]\n"));
    while ((got = proc_maps(pieces + n, 7, n)) > 0)
        n += (size_t)got;
    cr_assert_eq((ssize_t)n, size);
    cr_assert_eq(memcmp(whole, pieces, n), 0);
}

Test(map, page_tables_go_with_the_last_mapping_of_their_span)
{
    size_t before;

    mm_map(BASE, PAGE_SIZE, true, (struct area){.prot = 3});
    mm_fault(BASE, FAULT_WRITE);
    before = pages_free_count();
    for (u64 at = BASE + (2ul << 30); at < BASE + (4ul << 30); at += 64ul << 20) {
        mm_map(at, PAGE_SIZE, true, (struct area){.prot = 3});
        cr_assert_eq(mm_fault(at, FAULT_WRITE), FAULT_OK);
        mm_unmap(at, PAGE_SIZE);
    }
    cr_assert_eq(pages_free_count(), before);
    cr_assert_not_null(fake_byte(BASE), "a neighbour keeps its tables");
    mm_map(BASE + 0x100000, PAGE_SIZE, true, (struct area){.prot = 3});
    mm_fault(BASE + 0x100000, FAULT_WRITE);
    mm_unmap(BASE + 0x100000, PAGE_SIZE);
    cr_assert_not_null(fake_byte(BASE));
}

Test(map, moved_pages_leave_no_tables_behind)
{
    size_t before;
    u64 far = BASE + (8ul << 30);

    mm_map(BASE, PAGE_SIZE, true, (struct area){.prot = 3});
    mm_fault(BASE, FAULT_WRITE);
    before = pages_free_count();
    cr_assert_eq(mm_remap(BASE, PAGE_SIZE, PAGE_SIZE, 3, far), far);
    cr_assert_eq(mm_remap(far, PAGE_SIZE, PAGE_SIZE, 3, BASE), BASE);
    cr_assert_eq(pages_free_count(), before);
    cr_assert_not_null(fake_byte(BASE));
}

Test(map, protection_changes_up_to_a_hole)
{
    mm_map(BASE, 2 * PAGE_SIZE, true, (struct area){.prot = 3});
    mm_map(BASE + 3 * PAGE_SIZE, PAGE_SIZE, true, (struct area){.prot = 3});
    cr_assert_eq(mm_protect(BASE, 4 * PAGE_SIZE, PROT_READ), -12);
    cr_assert_eq(mm_fault(BASE + PAGE_SIZE, FAULT_WRITE), FAULT_SEGV_ACCERR);
    cr_assert_eq(mm_fault(BASE + 3 * PAGE_SIZE, FAULT_WRITE), FAULT_OK);
    cr_assert_eq(mm_protect(BASE + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ), -12);
    cr_assert_eq(mm_fault(BASE + 3 * PAGE_SIZE, FAULT_WRITE), FAULT_OK);
}

Test(map, the_last_page_below_the_window_is_nobodys)
{
    cr_assert_eq(mm_map(MM_TOP - PAGE_SIZE, PAGE_SIZE, true, (struct area){.prot = 1}), -12);
    cr_assert_neq(mm_map(MM_TOP - PAGE_SIZE, PAGE_SIZE, false, (struct area){.prot = 1}),
                  MM_TOP - PAGE_SIZE);
}

Test(map, memory_touched_here_and_there_costs_little)
{
    size_t before = pages_free_count(), used;

    mm_map(BASE, 1ul << 30, true, (struct area){.prot = 3});
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_eq(mm_fault(BASE + i * (1ul << 20), FAULT_WRITE), FAULT_OK, "%u", i);
    used = before - pages_free_count();
    cr_assert_leq(used, 1000 + 512 + 32 * 64, "%zu pages", used);
}

Test(map, memory_touched_in_a_row_is_mapped_in_blocks)
{
    unsigned faults = 0;

    mm_map(BASE, 1ul << 30, true, (struct area){.prot = 3});
    for (unsigned i = 0; i < 100; i++)
        mm_fault(BASE + (512ul << 20) + i * (1ul << 20), FAULT_WRITE);
    for (u64 at = BASE; at < BASE + 256 * PAGE_SIZE; at += PAGE_SIZE) {
        if (fake_byte(at))
            continue;
        mm_fault(at, FAULT_WRITE);
        faults++;
    }
    cr_assert_leq(faults, 17);
}

Test(map, a_gap_that_came_back_is_found_again)
{
    long last = 0, first = mm_map(0, PAGE_SIZE, false, (struct area){.prot = 1});

    for (unsigned i = 0; i < 50; i++)
        last = mm_map(0, PAGE_SIZE, false, (struct area){.prot = (u8)(1 + i % 2)});
    cr_assert_eq(last, first - 50 * (long)PAGE_SIZE);
    mm_unmap((u64)first, PAGE_SIZE);
    mm_unmap((u64)first - 20 * PAGE_SIZE, PAGE_SIZE);
    cr_assert_eq(mm_map(0, 2 * PAGE_SIZE, false, (struct area){.prot = 4}), last - 2 * 4096);
    cr_assert_eq(mm_map(0, PAGE_SIZE, false, (struct area){.prot = 4}), first);
    cr_assert_eq(mm_map(0, PAGE_SIZE, false, (struct area){.prot = 4}), first - 20 * 4096);
}

Test(map, the_maps_file_names_files_and_places_in_them)
{
    static char text[1024];
    static int some_dentry;
    struct file *f = fake_file(2);

    f->dentry = (struct dentry *)(void *)&some_dentry;
    process.image_gpa = 0x5000;
    memcpy(process.exec_path, "/bin/prog", 10);
    mm_map(BASE, PAGE_SIZE, true,
           (struct area){.kind = AREA_IMAGE, .prot = 1, .offset = 0x5000 + 0x3000});
    mm_map(BASE + 0x10000, PAGE_SIZE, true,
           (struct area){.kind = AREA_FILE, .prot = 1, .file = f, .offset = 0x1000});
    proc_maps(text, sizeof(text), 0);
    cr_assert_not_null(strstr(text, "10000000-10001000 r--p 00003000"));
    cr_assert_not_null(strstr(text, " /bin/prog\n10010000-10011000 r--p 00001000"));
    cr_assert_not_null(strstr(text, " /tmp/mapped\n"));
}
