/* Closing what may be closed already. */
#ifndef SAMARA_MONITOR_FD_CLOSE_H
#define SAMARA_MONITOR_FD_CLOSE_H

#include <unistd.h>

/* Closes *fd unless it is -1, which it is afterwards. */
static inline void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

#endif
