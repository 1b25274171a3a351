/* The file `working-set`: what is made of pages, and what no reader takes. */
#include "monitor/snapshot/working_set.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "monitor/snapshot/checksum.h"

enum { PAGE = 4096 };

static const struct snapshot_header snapshot = {.id = {1, 2, 3}, .memory = 1 << 20};
static struct working_set set;

/* A letter for each page: W written, R read, . neither. */
static void make(const char *pages)
{
    working_set_clear(&set);
    for (unsigned i = 0; pages[i]; i++) {
        if (pages[i] != '.')
            working_set_add(&set, i, pages[i] == 'W' ? WORKING_WRITTEN : WORKING_READ);
    }
}

static const char *text(void)
{
    static char to[400];
    size_t length = 0;

    to[0] = '\0';
    for (uint32_t i = 0; i < set.head.count; i++)
        length += (size_t)snprintf(to + length, sizeof(to) - length, "%c%u+%u ",
                                   set.extents[i].kind == WORKING_WRITTEN ? 'W' : 'R',
                                   (unsigned)(set.extents[i].offset / PAGE), set.extents[i].pages);
    return to;
}

static void good(void)
{
    make("WW.RR..W");
    working_set_seal(&set, snapshot.id);
}

static void refused(const char *why)
{
    struct err err = {.text = ""};

    cr_assert_eq(working_set_check(&set, working_set_size(&set), &snapshot, &err), -1);
    cr_assert_str_eq(err.text, why);
}

/* The same with a right checksum. */
static void summed_refused(const char *why)
{
    struct checksum c;

    set.head.checksum = 0;
    checksum_begin(&c);
    checksum_add(&c, &set, working_set_size(&set));
    set.head.checksum = checksum_64(&c);
    refused(why);
}

Test(working_set, is_runs_of_pages)
{
    struct err err;

    make("WW.RRW..R");
    cr_assert_str_eq(text(), "W0+2 R3+2 W5+1 R8+1 ");
    working_set_seal(&set, snapshot.id);
    cr_assert_eq(working_set_check(&set, working_set_size(&set), &snapshot, &err), 0);
    make("");
    working_set_seal(&set, snapshot.id);
    cr_assert_eq(working_set_check(&set, working_set_size(&set), &snapshot, &err), 0);
}

Test(working_set, leaves_out_what_is_too_much)
{
    struct err err;
    const struct snapshot_header large = {.id = {1}, .memory = UINT64_C(1) << 40};
    const uint64_t most = WORKING_PAGES_MOST;

    working_set_clear(&set);
    for (uint64_t i = 0; i < WORKING_EXTENTS_MOST + 9; i++)
        working_set_add(&set, 2 * i, WORKING_READ);
    cr_assert_eq(set.head.count, WORKING_EXTENTS_MOST);
    working_set_clear(&set);
    for (uint64_t i = 0; i < most + 7; i++)
        working_set_add(&set, i, WORKING_WRITTEN);
    working_set_add(&set, most + 9, WORKING_READ);
    working_set_seal(&set, large.id);
    cr_assert_eq(working_set_check(&set, working_set_size(&set), &large, &err), 0);
    cr_assert_eq(set.head.count, 1);
    cr_assert_eq(set.extents[0].pages, most);
}

Test(working_set, of_another_kind_is_refused)
{
    struct err err;

    good();
    cr_assert_eq(working_set_check(&set, sizeof(set.head) - 1, &snapshot, &err), -1);
    set.head.magic[0]++;
    refused("working-set: not samara's");
    good();
    set.head.version = 2;
    refused("working-set: version 2; this samara reads 1");
    good();
    set.head.count = WORKING_EXTENTS_MOST + 1;
    refused("working-set: 2049 extents are more than 2048");
    good();
    cr_assert_eq(working_set_check(&set, working_set_size(&set) + 1, &snapshot, &err), -1);
    cr_assert_str_eq(err.text, "working-set: 89 bytes, not the 88 of 3 extents");
    good();
    set.head.id[0]++;
    refused("working-set: its checksum is wrong");
    good();
    working_set_seal(&set, (const uint8_t[SNAPSHOT_ID]){9});
    refused("working-set: it is another snapshot's");
}

Test(working_set, out_of_order_or_of_memory_is_refused)
{
    static const char first[] = "working-set: extent 0 is not in order, or not in memory",
                      second[] = "working-set: extent 1 is not in order, or not in memory";
    const struct working_extent bad[] = {
        {0, 0, WORKING_READ},
        {0, 1, 0},
        {0, 1, 3},
        {1, 1, WORKING_READ},
        {1 << 20, 1, WORKING_READ},
        {0, 257, WORKING_READ},
        {255 * PAGE, 2, WORKING_READ},
        {UINT64_MAX - PAGE + 1, 1, WORKING_READ},
        {0, UINT32_MAX, WORKING_READ},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        good();
        set.extents[0] = bad[i];
        summed_refused(first);
    }
    good();
    set.extents[1].offset = PAGE;
    summed_refused(second);
    good();
    set.extents[0].offset = 255 * PAGE;
    set.extents[0].pages = 1;
    summed_refused(second);
}
