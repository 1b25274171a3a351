/* Pages that are kept while a snapshot is on its way. */
#include "monitor/snapshot/copies.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 1000 };

static struct copies c;

static void open_it(void)
{
    copies_open(&c, PAGES * PAGE);
    cr_assert(c.bits);
}

static void close_it(void)
{
    munmap(c.all, c.size);
}

TestSuite(copies, .init = open_it, .fini = close_it);

static void put(uint32_t number)
{
    uint8_t page[PAGE];

    memset(page, (int)(number * 7 + 1), sizeof(page));
    copies_put(&c, number, page);
}

static unsigned in_memory(void)
{
    static unsigned char pages[PAGES * 2];
    unsigned n = 0;

    cr_assert_leq(c.size / PAGE, sizeof(pages));
    cr_assert_eq(mincore(c.all, c.size, pages), 0);
    for (size_t i = 0; i < c.size / PAGE; i++)
        n += pages[i] & 1;
    return n;
}

Test(copies, there_is_room_for_all_of_ram)
{
    for (uint32_t i = 0; i < PAGES; i++)
        put(i);
    cr_assert_eq(c.count, PAGES);
    for (uint32_t i = 0; i < PAGES; i++) {
        cr_assert_eq(c.numbers[i], i);
        cr_assert_eq(c.pages[i * PAGE], (uint8_t)(i * 7 + 1));
        cr_assert_eq(c.pages[i * PAGE + PAGE - 1], (uint8_t)(i * 7 + 1));
    }
    memset(c.bits, 0xff, PAGES / 8);
    memset(c.written, 0xff, PAGES / 8);
    cr_assert_eq(c.numbers[0], 0, "the parts are apart");
    cr_assert_eq(c.numbers[PAGES - 1], PAGES - 1);
    cr_assert_eq(c.pages[0], 1);
}

Test(copies, runs_are_of_neighbours_and_not_too_long)
{
    static const uint32_t numbers[] = {3, 4, 5, 9, 10, 999};

    for (unsigned i = 0; i < 6; i++)
        put(numbers[i]);
    cr_assert_eq(copies_run(&c, 0, 32), 3);
    cr_assert_eq(copies_run(&c, 0, 2), 2);
    cr_assert_eq(copies_run(&c, 1, 32), 2);
    cr_assert_eq(copies_run(&c, 3, 32), 2);
    cr_assert_eq(copies_run(&c, 5, 32), 1);
}

Test(copies, memory_is_taken_when_expected_and_given_back_when_cleared)
{
    cr_assert_eq(in_memory(), 0);
    copies_expect(&c, 100);
    cr_assert_geq(in_memory(), 100);
    put(7);
    c.bits[0] = c.written[0] = 1;
    copies_clear(&c);
    cr_assert_eq(in_memory(), 0);
    cr_assert_eq(c.count, 0);
    cr_assert_eq(c.bits[0] | c.written[0], 0);
}

Test(copies, more_than_there_is_can_be_expected)
{
    copies_expect(&c, SIZE_MAX);
    put(1);
    cr_assert_eq(c.count, 1);
}

Test(copies, without_address_space_there_are_none)
{
    struct copies none;

    copies_open(&none, UINT64_C(1) << 50);
    cr_assert_null(none.bits);
}
