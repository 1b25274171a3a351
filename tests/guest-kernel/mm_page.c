#include <criterion/criterion.h>
#include <stdlib.h>

#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/page.h"
#include "tests/guest-kernel/mm_fake.h"

static void setup(void)
{
    fake_machine(16 << 20);
}

TestSuite(page, .init = setup);
TestSuite(heap, .init = setup);

Test(page, a_freed_page_comes_back_zeroed_and_first)
{
    void *page = page_alloc();

    memset(page, 0xaa, PAGE_SIZE);
    page_free(page);
    u8 *again = page_alloc();
    cr_assert_eq(again, page);
    for (size_t i = 0; i < PAGE_SIZE; i++)
        cr_assert_eq(again[i], 0);
}

Test(page, every_page_is_handed_out_once)
{
    size_t free_count = pages_free_count(), n = 0;
    u64 *page, *list = NULL;

    while ((page = page_alloc()) != NULL) {
        cr_assert_eq(page[0], 0, "a page was handed out twice");
        page[0] = (u64)(uintptr_t)list + 1;
        list = page;
        n++;
    }
    cr_assert_eq(n, free_count);
    cr_assert_eq(pages_free_count(), 0);
    while (list) {
        u64 *next = (u64 *)(uintptr_t)(list[0] - 1);
        page_free(list);
        list = next;
    }
    cr_assert_eq(pages_free_count(), n);
}

Test(page, a_run_is_found_among_freed_pages)
{
    char *run = pages_alloc(100);
    while (page_alloc())
        ;
    cr_assert_null(pages_alloc(2));
    pages_free(run + 10 * PAGE_SIZE, 3);
    pages_free(run + 70 * PAGE_SIZE, 20);
    cr_assert_eq(pages_alloc(20), run + 70 * PAGE_SIZE);
    cr_assert_null(pages_alloc(4));
    cr_assert_eq(pages_alloc(3), run + 10 * PAGE_SIZE);
}

Test(page, ram_above_four_gib_follows_the_device_hole)
{
    page_init(SAMARA_RAM_LOW_END - 16 * PAGE_SIZE, (u64)SAMARA_RAM_LOW_END + 64 * PAGE_SIZE);
    cr_assert_eq(pages_total(), 80);
}

Test(heap, random_blocks_keep_their_contents)
{
    static struct {
        u8 *at;
        size_t size;
        u8 fill;
    } blocks[256];
    size_t free_count = pages_free_count();

    srand(1);
    for (unsigned step = 0; step < 50000; step++) {
        unsigned i = (unsigned)rand() % 256;
        size_t size = (size_t)rand() % (rand() % 8 ? 600 : 20000);

        for (size_t k = 0; k < blocks[i].size; k++)
            cr_assert_eq(blocks[i].at[k], blocks[i].fill);
        if (rand() % 4 == 0) {
            u8 *grown = krealloc(blocks[i].at, size);
            cr_assert_not_null(grown);
            for (size_t k = 0; k < MIN(size, blocks[i].size); k++)
                cr_assert_eq(grown[k], blocks[i].fill);
            blocks[i].at = grown;
        } else {
            kfree(blocks[i].at);
            blocks[i].at = kmalloc(size);
        }
        cr_assert_eq((uintptr_t)blocks[i].at % 16, 0);
        blocks[i].size = size;
        blocks[i].fill = (u8)step;
        memset(blocks[i].at, blocks[i].fill, size);
    }
    for (unsigned i = 0; i < 256; i++)
        kfree(blocks[i].at);
    cr_assert_geq(pages_free_count() + 15, free_count, "slabs leak");
}

Test(heap, an_impossible_size_fails)
{
    cr_assert_null(kmalloc(SIZE_MAX));
    cr_assert_null(kmalloc(64 << 20));
    cr_assert_not_null(kzalloc(0));
}
