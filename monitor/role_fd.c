/* See role_fd.h. */
#include "monitor/role_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int role_fd(int *fd, enum fd_role role, struct err *err)
{
    if (dup3(*fd, (int)role, O_CLOEXEC) >= 0) {
        close(*fd);
        *fd = (int)role;
        return 0;
    }
    if (errno != EBADF && errno != EMFILE)
        return err_sys(err, "descriptor %d", (int)role);
    return err_set(err, "descriptor %d is above the limit of open files: `ulimit -n %d` is enough",
                   (int)role, FD_END);
}
