/* Sizes and durations: what is one, and what is refused with the range. */
#include "monitor/units.h"

#include <criterion/criterion.h>
#include <string.h>

#define MIN (16ull << 20)
#define MAX (256ull << 30)

static uint64_t size_of(const char *text)
{
    uint64_t bytes = 0;
    struct err err = {0};

    cr_assert_eq(parse_size(text, MIN, MAX, &bytes, &err), 0, "%s: %s", text, err.text);
    return bytes;
}

static uint64_t duration_of(const char *text)
{
    uint64_t ns = 0;
    struct err err = {0};

    cr_assert_eq(parse_duration(text, 1000000, 3600000000000, &ns, &err), 0, "%s: %s", text,
                 err.text);
    return ns;
}

static void refused_size(const char *text)
{
    uint64_t bytes = 7;
    struct err err = {0};

    cr_assert_eq(parse_size(text, MIN, MAX, &bytes, &err), -1, "%s", text);
    cr_assert_eq(bytes, 7, "%s was stored", text);
    cr_assert(strstr(err.text, "16M") && strstr(err.text, "256G"), "%s", err.text);
}

Test(units, sizes_are_powers_of_1024)
{
    cr_assert_eq(size_of("64M"), 64ull << 20);
    cr_assert_eq(size_of("64MiB"), 64ull << 20);
    cr_assert_eq(size_of("1GiB"), 1ull << 30);
    cr_assert_eq(size_of("16384K"), 16ull << 20);
}

Test(units, the_ends_of_the_range_belong_to_it)
{
    cr_assert_eq(size_of("16M"), MIN);
    cr_assert_eq(size_of("256G"), MAX);
    refused_size("16383K");
    refused_size("257G");
}

Test(units, a_bare_suffix_is_refused)
{
    refused_size("M");
    refused_size("GiB");
    refused_size("");
}

Test(units, nonsense_is_refused_with_the_range)
{
    static const char *const nonsense[] = {
        "64Q",  "64m",  " 64M", "64M ",   "64 M", "-64M",     "+64M",      "6.5G", "0x40M", "64Mi",
        "64iB", "64MM", "M64",  "64MiBs", "64MB", "67108864", "67108864B", "64\n", "٦٤M"};

    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
        refused_size(nonsense[i]);
}

Test(units, numbers_that_overflow_are_refused)
{
    refused_size("99999999999999999999");
    refused_size("18446744073709551616M");
    refused_size("17592186044416M"); /* 2^64 */
    refused_size("17592186044480M"); /* 2^64 + 64M: wraps to a good value */
}

Test(units, long_text_is_cut_in_the_error)
{
    char text[2000];
    uint64_t bytes;
    struct err err = {0};

    memset(text, '9', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cr_assert_eq(parse_size(text, MIN, MAX, &bytes, &err), -1);
    cr_assert(strstr(err.text, "256G"), "%s", err.text);
}

Test(units, durations_have_a_unit)
{
    cr_assert_eq(duration_of("5s"), 5000000000);
    cr_assert_eq(duration_of("500ms"), 500000000);
    cr_assert_eq(duration_of("1000us"), 1000000);
    cr_assert_eq(duration_of("2m"), 120000000000);
    cr_assert_eq(duration_of("1h"), 3600000000000);
}

Test(units, durations_without_sense_are_refused_with_the_range)
{
    static const char *const nonsense[] = {"soon",
                                           "5",
                                           "",
                                           "s",
                                           "5S",
                                           "5 s",
                                           "-5s",
                                           "1.5s",
                                           "61m",
                                           "0s",
                                           "999us",
                                           "5sec",
                                           "18446744073709551615h"};

    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        uint64_t ns = 7;
        struct err err = {0};

        cr_assert_eq(parse_duration(nonsense[i], 1000000, 3600000000000, &ns, &err), -1, "%s",
                     nonsense[i]);
        cr_assert_eq(ns, 7);
        cr_assert(strstr(err.text, "1ms") && strstr(err.text, "1h"), "%s", err.text);
    }
}

Test(units, sizes_are_printed_for_people)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 bytes"},
                 {1000, "1000 bytes"},
                 {1024, "1 KiB"},
                 {1536, "1.5 KiB"},
                 {128 << 20, "128 MiB"},
                 {16986931, "16.2 MiB"},
                 {(1 << 20) - 1, "1024.0 KiB"},
                 {3ull << 40, "3 TiB"},
                 {(3ull << 40) + (1ull << 38), "3.3 TiB"},
                 {UINT64_MAX, "16777216.0 TiB"}};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char text[32];

        print_size(text, sizes[i].bytes);
        cr_assert_str_eq(text, sizes[i].text);
    }
}
