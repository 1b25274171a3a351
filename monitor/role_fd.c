/* See role_fd.h. */
#include "monitor/role_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor/fd_close.h"

static int refuse(enum fd_role role, struct err *err)
{
    if (errno != EBADF && errno != EMFILE)
        return err_sys(err, "descriptor %d", (int)role);
    return err_set(err, "descriptor %d is above the limit of open files: `ulimit -n %d` is enough",
                   (int)role, FD_END);
}

int role_fd(int *fd, enum fd_role role, struct err *err)
{
    if (dup3(*fd, (int)role, O_CLOEXEC) < 0)
        return refuse(role, err);
    close(*fd);
    *fd = (int)role;
    return 0;
}

int role_fds_reserve(unsigned most, struct err *err)
{
    int harmless, r = 0;

    if (most <= FD_FIRST)
        return 0;
    harmless = eventfd(0, EFD_CLOEXEC);
    if (harmless < 0)
        return err_sys(err, "eventfd");
    for (int role = FD_FIRST; role < FD_END && r == 0; role++)
        r = dup3(harmless, role, O_CLOEXEC) < 0 ? refuse((enum fd_role)role, err) : 0;
    fd_close(&harmless);
    return r;
}
