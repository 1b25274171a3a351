/* From bits to extents. */
#include "monitor/snapshot/extents.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A letter for each page: D in the file, Z known to be zero, . not known. */
static const char *extents(const char *pages, bool diff, uint64_t absorb)
{
    static char text[400];
    uint8_t present[16] = {0}, known[16] = {0};
    struct saved_extent e[64];
    struct page_bits bits = {present, diff ? known : NULL, strlen(pages)};
    size_t count, length = 0;

    for (unsigned i = 0; pages[i]; i++) {
        present[i / 8] |= (uint8_t)((pages[i] == 'D') << i % 8);
        known[i / 8] |= (uint8_t)((pages[i] != '.') << i % 8);
    }
    count = extents_from_bits(&bits, absorb, e, 64);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%c%u+%u ",
                                   e[i].kind == EXTENT_DATA ? 'D' : 'Z',
                                   (unsigned)(e[i].offset / 4096), (unsigned)(e[i].size / 4096));
    return text;
}

Test(extents, of_all_memory_are_what_is_present)
{
    cr_assert_str_eq(extents("", false, 0), "");
    cr_assert_str_eq(extents("...Z..", false, 0), "");
    cr_assert_str_eq(extents("DD.Z.D", false, 0), "D0+2 D5+1 ");
    cr_assert_str_eq(extents(".DDDDDDDDDDDDDDDDDDDDDDDDDDDDD", false, 0), "D1+29 ");
    cr_assert_str_eq(extents("..................DDDDDD..........D", false, 0), "D18+6 D34+1 ");
}

Test(extents, of_a_diff_tell_zero_from_unknown)
{
    cr_assert_str_eq(extents("DD.Z.D", true, 0), "D0+2 Z3+1 D5+1 ");
    cr_assert_str_eq(extents("DZDZ", true, 0), "D0+1 Z1+1 D2+1 Z3+1 ");
    cr_assert_str_eq(extents("ZZZZZZZZZZZZZZZZZZZZD", true, 0), "Z0+20 D20+1 ");
    cr_assert_str_eq(extents("........ZZZZZZZZ........", true, 0), "Z8+8 ");
}

Test(extents, take_in_small_gaps_of_zeroes)
{
    cr_assert_str_eq(extents("D.D..D...D", false, 1), "D0+3 D5+1 D9+1 ");
    cr_assert_str_eq(extents("D.D..D...D", false, 2), "D0+6 D9+1 ");
    cr_assert_str_eq(extents("DZDZZD", true, 1), "D0+3 Z3+2 D5+1 ");
    cr_assert_str_eq(extents("D.D", true, 3), "D0+1 D2+1 ");
}

Test(extents, are_counted_beyond_the_room_and_not_written)
{
    const uint8_t present[] = {0x55, 0x55};
    struct saved_extent e[4];
    struct page_bits bits = {present, NULL, 16};

    memset(e, 0xee, sizeof(e));
    cr_assert_eq(extents_from_bits(&bits, 0, e, 3), 8);
    cr_assert_eq(e[2].offset, 4 * 4096);
    cr_assert_eq(e[3].kind, 0xeeeeeeee);
}

/* Any bits at all, against one page after the other. */
Test(extents, are_those_of_single_pages)
{
    srand(1);
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t present[24], known[24];
        struct page_bits bits = {present, known, 1 + (uint64_t)rand() % 190};
        struct saved_extent e[192];
        size_t count, next = 0;

        for (size_t i = 0; i < sizeof(present); i++) {
            present[i] = rand() % 3 ? (rand() & 1 ? 0xff : 0) : (uint8_t)rand();
            known[i] = present[i] | (rand() % 3 ? (rand() & 1 ? 0xff : 0) : (uint8_t)rand());
        }
        count = extents_from_bits(&bits, 0, e, 192);
        for (uint64_t page = 0; page < bits.pages; page++) {
            uint32_t kind = present[page / 8] >> page % 8 & 1 ? EXTENT_DATA
                            : known[page / 8] >> page % 8 & 1 ? EXTENT_ZERO
                                                              : 0;
            uint32_t got = 0;

            while (next < count && e[next].offset + e[next].size <= page * 4096)
                next++;
            if (next < count && e[next].offset <= page * 4096)
                got = e[next].kind;
            cr_assert_eq(got, kind, "round %u, page %u", round, (unsigned)page);
        }
    }
}
