/* Guest memory: ranges at and beyond every edge. */
#include <criterion/criterion.h>
#include <string.h>

#include "monitor/guest_mem.h"

enum { LOW = 0x1000, HIGH = 0x100000, SIZE = 0x1000 };

static _Alignas(8) uint8_t low[SIZE], high[SIZE];
static struct guest_mem mem;
static struct err err;

static void setup(void)
{
    mem = (struct guest_mem){0};
    cr_assert_eq(guest_mem_add(&mem, LOW, SIZE, low, &err), 0);
    cr_assert_eq(guest_mem_add(&mem, HIGH, SIZE, high, &err), 0);
}

TestSuite(guest_mem, .init = setup);

Test(guest_mem, what_was_written_is_read)
{
    uint32_t value = 0x12345678, back = 0;

    cr_assert(guest_write(&mem, gpa(HIGH + 100), &value, sizeof(value)));
    cr_assert_eq(memcmp(high + 100, &value, sizeof(value)), 0);
    cr_assert(guest_read(&mem, gpa(HIGH + 100), &back, sizeof(back)));
    cr_assert_eq(back, value);
}

Test(guest_mem, only_whole_ranges_in_one_region_are_memory)
{
    cr_assert(guest_contains(&mem, gpa(LOW), SIZE));
    cr_assert(guest_contains(&mem, gpa(LOW + SIZE - 1), 1));
    cr_assert(guest_contains(&mem, gpa(LOW + SIZE), 0));
    cr_assert(!guest_contains(&mem, gpa(LOW + SIZE), 1));
    cr_assert(!guest_contains(&mem, gpa(LOW + SIZE + 1), 0));
    cr_assert(!guest_contains(&mem, gpa(LOW - 1), 2));
    cr_assert(!guest_contains(&mem, gpa(LOW), SIZE + 1));
    cr_assert(!guest_contains(&mem, gpa(LOW + 1), UINT64_MAX));
    cr_assert(!guest_contains(&mem, gpa(UINT64_MAX), 1));
    cr_assert(!guest_contains(&mem, gpa(UINT64_MAX), UINT64_MAX));
    cr_assert(!guest_contains(&mem, gpa(0), 1));
}

Test(guest_mem, a_failed_copy_copies_nothing)
{
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    low[SIZE - 4] = 0xaa;
    cr_assert(!guest_write(&mem, gpa(LOW + SIZE - 4), bytes, 8));
    cr_assert_eq(low[SIZE - 4], 0xaa);
    cr_assert(!guest_read(&mem, gpa(LOW + SIZE - 4), bytes, 8));
    cr_assert_eq(bytes[0], 1);
}

Test(guest_mem, mailboxes_take_aligned_words_only)
{
    uint64_t word = 1, before = 0;

    memcpy(low + 8, &word, 8);
    cr_assert(guest_or64(&mem, gpa(LOW + 8), 6, &before));
    memcpy(&word, low + 8, 8);
    cr_assert_eq(word, 7);
    cr_assert_eq(before, 1);
    cr_assert(!guest_or64(&mem, gpa(LOW + 12), 1, &before));
    cr_assert(!guest_or64(&mem, gpa(LOW + SIZE), 1, &before));
}

Test(guest_mem, regions_neither_overlap_nor_wrap)
{
    struct guest_mem other = {0};

    cr_assert_eq(guest_mem_add(&other, LOW, SIZE, low, &err), 0);
    cr_assert_eq(guest_mem_add(&other, LOW + SIZE - 1, 10, low, &err), -1);
    cr_assert_eq(guest_mem_add(&other, LOW - 1, 2, low, &err), -1);
    cr_assert_eq(guest_mem_add(&other, 0, UINT64_MAX, low, &err), -1);
    cr_assert_eq(guest_mem_add(&other, HIGH, 0, low, &err), -1);
    cr_assert_eq(guest_mem_add(&other, UINT64_MAX - 5, 10, low, &err), -1);
    cr_assert_eq(guest_mem_add(&other, LOW + SIZE, 10, low, &err), 0);
    cr_assert_eq(guest_mem_add(&other, HIGH, 10, low, &err), -1, "two are enough");
}
