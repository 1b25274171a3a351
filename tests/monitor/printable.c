/* What of a stranger's text reaches a terminal. */
#include "monitor/printable.h"

#include <criterion/criterion.h>
#include <string.h>

static void becomes(const char *text, size_t len, const char *want)
{
    char got[256];
    size_t n = printable_copy(got, sizeof(got), text, len);

    cr_assert_str_eq(got, want);
    cr_assert_eq(n, strlen(want));
}
#define BECOMES(text, want) becomes(text, sizeof(text) - 1, want)

Test(printable, plain_text_newlines_and_tabs_stay)
{
    BECOMES("one\n\ttwo ~", "one\n\ttwo ~");
    BECOMES("", "");
}

Test(printable, control_characters_are_escaped)
{
    BECOMES("\033[2J\r\007\b\177\0x", "\\x1b[2J\\x0d\\x07\\x08\\x7f\\x00x");
}

Test(printable, control_characters_beyond_ascii_are_escaped)
{
    BECOMES("\302\2332J", "\\xc2\\x9b2J"); /* U+009B: what ESC [ means, in one */
    BECOMES("\2332J", "\\x9b2J");
}

Test(printable, utf8_stays)
{
    BECOMES("h\303\251 \342\202\254 \360\237\214\261", "h\303\251 \342\202\254 \360\237\214\261");
}

Test(printable, what_only_looks_like_utf8_is_escaped)
{
    BECOMES("\300\233", "\\xc0\\x9b");                   /* overlong ESC */
    BECOMES("\340\200\233", "\\xe0\\x80\\x9b");          /* overlong ESC, longer */
    BECOMES("\355\240\200", "\\xed\\xa0\\x80");          /* surrogate */
    BECOMES("\364\220\200\200", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
    BECOMES("\342\202", "\\xe2\\x82");                   /* cut off */
    BECOMES("\377\376", "\\xff\\xfe");
}

Test(printable, what_does_not_fit_is_cut_between_characters)
{
    char got[6];

    cr_assert_eq(printable_copy(got, sizeof(got), "abc\342\202\254", 6), 3);
    cr_assert_str_eq(got, "abc");
    cr_assert_eq(printable_copy(got, sizeof(got), "ab\033", 3), 2);
    cr_assert_str_eq(got, "ab");
}

Test(printable, the_room_promised_is_enough)
{
    char text[64], got[PRINTABLE_ROOM(sizeof(text))];

    memset(text, 1, sizeof(text));
    cr_assert_eq(printable_copy(got, sizeof(got), text, sizeof(text)), 4 * sizeof(text));
}
