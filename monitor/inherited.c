/* See inherited.h. */
#include "monitor/inherited.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FIRST = 3, LARGEST = 1 << 20 };

static int number_in(const char *path)
{
    static const char *const places[] = {"/dev/fd/", "/proc/self/fd/"};

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        size_t len = strlen(places[i]);
        char *end;
        long number;

        if (strncmp(path, places[i], len) != 0)
            continue;
        number = strtol(path + len, &end, 10);
        return *end == '\0' && number >= FIRST && number < LARGEST ? (int)number : -1;
    }
    return -1;
}

void inherited_keep_fd(struct inherited *kept, int fd)
{
    unsigned at = kept->count;

    if (fd < FIRST || fd >= LARGEST || kept->count == INHERITED_MOST)
        return;
    for (; at > 0 && kept->fds[at - 1] >= fd; at--) {
        if (kept->fds[at - 1] == fd)
            return;
    }
    memmove(&kept->fds[at + 1], &kept->fds[at], (kept->count - at) * sizeof(kept->fds[0]));
    kept->fds[at] = fd;
    kept->count++;
}

void inherited_keep(struct inherited *kept, const char *path)
{
    if (path)
        inherited_keep_fd(kept, number_in(path));
}

void inherited_close_others(const struct inherited *kept)
{
    unsigned from = FIRST;

    for (unsigned i = 0; i < kept->count; i++) {
        if ((unsigned)kept->fds[i] > from)
            syscall(SYS_close_range, from, kept->fds[i] - 1, 0);
        fcntl(kept->fds[i], F_SETFD, FD_CLOEXEC);
        from = (unsigned)kept->fds[i] + 1;
    }
    syscall(SYS_close_range, from, ~0u, 0);
}

void inherited_close(struct inherited *kept)
{
    for (unsigned i = 0; i < kept->count; i++)
        close(kept->fds[i]);
    kept->count = 0;
}
