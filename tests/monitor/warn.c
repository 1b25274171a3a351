/* Lines that must not block: what a full standard error has no room for is lost. */
#include "monitor/warn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

Test(warn, a_line_for_a_full_standard_error_is_lost, .timeout = 10)
{
    static char block[4096], line[4096];
    int ends[2], saved = dup(2);
    ssize_t len;

    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], block, sizeof(block)) > 0)
        ;
    cr_assert_eq(fcntl(ends[1], F_SETFL, 0), 0);
    cr_assert_eq(dup2(ends[1], 2), 2);
    warn_now("lost");
    while (read(ends[0], block, sizeof(block)) > 0)
        ;
    warn_now("kept");
    len = read(ends[0], line, sizeof(line) - 1);
    dup2(saved, 2);
    cr_assert_gt(len, 0);
    cr_assert_str_eq(line, "samara: kept\n");
}
