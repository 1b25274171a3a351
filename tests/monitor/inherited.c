/* Descriptors that the caller left open: closed, but for those that are named. */
#include "monitor/inherited.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* In a process of its own: the test's has descriptors that are needed. */
static int close_all_but_two(void)
{
    struct inherited kept = {.count = 0};

    for (int fd = 100; fd < 110; fd++)
        dup2(0, fd);
    inherited_keep(&kept, "/dev/fd/105");
    inherited_keep(&kept, "/proc/self/fd/101");
    inherited_keep(&kept, "/dev/fd/105");
    inherited_keep(&kept, NULL);
    inherited_keep_fd(&kept, 103);
    inherited_keep_fd(&kept, 101);
    inherited_keep_fd(&kept, -1);
    inherited_keep_fd(&kept, 2);
    if (kept.count != 3)
        return 1;
    inherited_close_others(&kept);
    for (int fd = 3; fd < 200; fd++) {
        if (is_open(fd) != (fd == 101 || fd == 103 || fd == 105))
            return 2;
        if (is_open(fd) && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
            return 3;
    }
    inherited_close(&kept);
    return is_open(101) || is_open(103) || is_open(105) ? 4 : 0;
}

Test(inherited, what_is_named_stays_until_it_was_used)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(close_all_but_two());
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
}

Test(inherited, other_paths_name_nothing)
{
    static const char *const paths[] = {"/dev/fd/",     "/dev/fd/1",          "/dev/fd/-5",
                                        "/dev/fd/105x", "/dev/fd/9/105",      "dev/fd/105",
                                        "105",          "/dev/fd/99999999999"};
    struct inherited kept = {.count = 0};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        inherited_keep(&kept, paths[i]);
    cr_assert_eq(kept.count, 0);
}

Test(inherited, more_than_fit_are_not_kept)
{
    struct inherited kept = {.count = 0};
    char path[] = "/dev/fd/100";

    for (int i = 0; i < 20; i++) {
        path[9] = (char)('0' + i / 10);
        path[10] = (char)('0' + i % 10);
        inherited_keep(&kept, path);
    }
    cr_assert_eq(kept.count, INHERITED_MOST);
}
