/* Which pages of a mapping there is anything in. */
#include "monitor/snapshot/touched.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = TOUCHED_PAGES / 64 };

static uint8_t *at;
static uint64_t bits[WORDS];
static int pagemap;

static void setup(void)
{
    int proc = open("/proc", O_PATH | O_DIRECTORY);

    at = mmap(NULL, TOUCHED_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
              0);
    cr_assert_neq(at, MAP_FAILED);
    madvise(at, TOUCHED_PAGES * PAGE, MADV_NOHUGEPAGE);
    pagemap = touched_open(proc);
    cr_assert_geq(pagemap, 0);
    close(proc);
}

static void teardown(void)
{
    munmap(at, TOUCHED_PAGES * PAGE);
    close(pagemap);
}

TestSuite(touched, .init = setup, .fini = teardown);

static bool bit(unsigned page)
{
    return bits[page / 64] >> (page % 64) & 1;
}

static unsigned count(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < WORDS; i++)
        n += (unsigned)__builtin_popcountll(bits[i]);
    return n;
}

Test(touched, what_was_written_is_told_and_nothing_else)
{
    static const unsigned written[] = {0, 63, 64, 300, TOUCHED_PAGES - 1};

    for (unsigned i = 0; i < 5; i++)
        at[written[i] * PAGE + 5] = 1;
    memset(bits, 0xff, sizeof(bits));
    touched_pages(pagemap, at, TOUCHED_PAGES, bits);
    cr_assert_eq(count(), 5);
    for (unsigned i = 0; i < 5; i++)
        cr_assert(bit(written[i]));
}

Test(touched, no_more_than_was_asked_for_is_told)
{
    memset(at, 1, TOUCHED_PAGES * PAGE);
    touched_pages(pagemap, at + PAGE, 70, bits);
    cr_assert_eq(count(), 70);
    cr_assert(bit(69) && !bit(70));
}

Test(touched, looking_takes_no_memory)
{
    touched_pages(pagemap, at, TOUCHED_PAGES, bits);
    touched_pages(pagemap, at, TOUCHED_PAGES, bits);
    cr_assert_eq(count(), 0);
}

Test(touched, who_cannot_look_must_assume_all)
{
    touched_pages(-1, at, 100, bits);
    cr_assert_eq(count(), 100);
}

Test(touched, without_proc_there_is_no_pagemap)
{
    cr_assert_eq(touched_open(-1), -1);
}
