/* See role_fd.h. */
#include "monitor/role_fd.h"

#include <fcntl.h>
#include <unistd.h>

int role_fd(int *fd, enum fd_role role, struct err *err)
{
    if (dup3(*fd, (int)role, O_CLOEXEC) < 0)
        return err_sys(err, "descriptor %d", (int)role);
    close(*fd);
    *fd = (int)role;
    return 0;
}
