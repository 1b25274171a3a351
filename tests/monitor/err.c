/* Errors gain context and never overflow. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "monitor/err.h"

Test(err, context_goes_in_front)
{
    struct err err = {0};

    errno = EACCES;
    cr_assert_eq(err_sys(&err, "open %s", "root.img"), -1);
    cr_assert_eq(err_in(&err, "disk %d", 0), -1);
    cr_assert_str_eq(err.text, "disk 0: open root.img: Permission denied");
}

Test(err, setting_replaces)
{
    struct err err = {0};

    err_set(&err, "one");
    cr_assert_eq(err_set(&err, "two %d", 2), -1);
    cr_assert_str_eq(err.text, "two 2");
}

Test(err, the_text_may_be_its_own_argument)
{
    struct err err = {0};

    err_set(&err, "inner");
    err_in(&err, "outer");
    err_in(&err, "outermost");
    cr_assert_str_eq(err.text, "outermost: outer: inner");
}

Test(err, what_does_not_fit_is_cut)
{
    struct err err = {0};
    char big[2 * ERR_TEXT];

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    err_sys(&err, "%s", big);
    cr_assert_eq(strlen(err.text), ERR_TEXT - 1);
    err_in(&err, "front");
    cr_assert_eq(strlen(err.text), ERR_TEXT - 1);
    cr_assert_eq(strncmp(err.text, "front: xxx", 10), 0);
}

Test(err, nobody_has_to_listen)
{
    cr_assert_eq(err_set(NULL, "x"), -1);
    cr_assert_eq(err_sys(NULL, "x"), -1);
    cr_assert_eq(err_in(NULL, "x"), -1);
}
