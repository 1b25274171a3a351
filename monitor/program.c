/* See program.h. */
#include "monitor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/elf_image.h"

enum { PATH_ROOM = 4096 };

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

static int open_program(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* The first executable of that name in PATH; -1 with errno (EACCES if there was one of no use). */
static int search_path(const char *name, char found[PATH_ROOM])
{
    const char *path = getenv("PATH");
    int why = ENOENT;

    for (path = path ? path : default_path; *path; path += *path == ':') {
        size_t len = strcspn(path, ":");
        size_t name_len = strlen(name);

        if (len > 0 && len + 1 + name_len < PATH_ROOM) {
            memcpy(found, path, len);
            found[len] = '/';
            memcpy(found + len + 1, name, name_len + 1);
            if (access(found, X_OK) == 0)
                return open_program(found);
            why = errno == EACCES ? EACCES : why;
        }
        path += len;
    }
    errno = why;
    return -1;
}

static int check(const char *name, int fd, uint64_t *size, struct err *err)
{
    static struct elf_image elf;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_sys(err, "%s", name);
    if (S_ISDIR(st.st_mode))
        return err_set(err, "%s: is a directory", name);
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s: not a regular file", name);
    if ((st.st_mode & 0111) == 0)
        return err_set(err, "%s: not executable (chmod +x)", name);
    *size = (uint64_t)st.st_size;
    if (elf_read(&elf, fd, 0, *size, err) != 0)
        return err_in(err, "%s", name);
    return 0;
}

int program_open(struct vm_config *config, const char *name, struct err *err)
{
    char found[PATH_ROOM];
    const char *path = name;
    int fd;

    if (strchr(name, '/')) {
        fd = open_program(name);
    } else {
        fd = search_path(name, found);
        path = found;
    }
    if (fd < 0) {
        int why = errno;

        err_sys(err, "%s", name);
        return why == ENOENT || why == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
    }
    config->program_fd = fd;
    if (check(name, fd, &config->program_size, err) != 0)
        return EXIT_NOT_RUNNABLE;
    config->exec_path = realpath(path, NULL);
    if (!config->exec_path) {
        err_sys(err, "%s", path);
        return EXIT_NOT_RUNNABLE;
    }
    return 0;
}
