/* Descriptors with a role's number, and that nobody has it by chance. */
#include "monitor/role_fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void close_from(int first)
{
    for (int fd = first; fd < 1024; fd++)
        close(fd);
}

Test(role_fd, a_descriptor_moves_to_its_number)
{
    int fd = open("/dev/null", O_RDONLY), before = fd;

    cr_assert_eq(role_fd(&fd, FD_TIMER, NULL), 0);
    cr_assert_eq(fd, FD_TIMER);
    cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    cr_assert(!is_open(before));
}

Test(role_fd, few_descriptors_need_nothing_reserved)
{
    close_from(FD_FIRST);
    cr_assert_eq(role_fds_reserve(FD_FIRST, NULL), 0);
    cr_assert(!is_open(FD_FIRST) && !is_open(FD_END - 1));
}

Test(role_fd, many_do_not_come_to_have_a_roles_number)
{
    int fd = 0, role = -1;

    close_from(FD_FIRST);
    cr_assert_eq(role_fds_reserve(FD_FIRST + 1, NULL), 0);
    while (fd < FD_END) {
        fd = dup(0);
        cr_assert(fd < FD_FIRST || fd >= FD_END, "%d", fd);
    }
    role = fd;
    cr_assert_eq(role_fd(&role, FD_VM, NULL), 0);
    cr_assert(role == FD_VM && !is_open(fd) && is_open(FD_VCPU));
}

Test(role_fd, a_limit_below_the_numbers_is_named)
{
    const struct rlimit limit = {FD_END - 1, FD_END - 1};
    struct err err;

    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(role_fds_reserve(FD_END, &err), -1);
    cr_assert_str_eq(err.text,
                     "descriptor 63 is above the limit of open files: `ulimit -n 64` is enough");
}
