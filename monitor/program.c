/* See program.h. */
#include "monitor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "monitor/elf_image.h"

enum { PATH_ROOM = 4096 };

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

static int open_program(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static bool is_program(const char *path)
{
    struct stat st;

    if (access(path, X_OK) != 0 || stat(path, &st) != 0)
        return false;
    errno = EACCES;
    return S_ISREG(st.st_mode);
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
            if (is_program(found))
                return open_program(found);
            why = errno == EACCES ? EACCES : why;
        }
        path += len;
    }
    errno = why;
    return -1;
}

static bool segments_fit(const struct elf_image *elf, uint64_t memory)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        if (elf->segments[i].memory_size > memory)
            return false;
        memory -= elf->segments[i].memory_size;
    }
    return true;
}

/* Below the window, and small enough to leave room for kernel, tables and the program's own memory.
 */
static int check_room(const struct elf_image *elf, uint64_t size, uint64_t memory, struct err *err)
{
    const struct elf_segment *last = &elf->segments[elf->segment_count - 1];
    uint64_t low = memory < SAMARA_RAM_LOW_END ? memory : SAMARA_RAM_LOW_END;

    if (size > low - VM_MEMORY_RESERVED || !segments_fit(elf, memory))
        return err_set(err, "too big for a memory of %llu MiB (use --mem)",
                       (unsigned long long)(memory >> 20));
    if (last->vaddr + last->memory_size > SAMARA_WINDOW)
        return err_set(err, "segment at 0x%llx lies outside a program's addresses",
                       (unsigned long long)last->vaddr);
    return 0;
}

static int check(const char *name, int fd, uint64_t memory, uint64_t *size, struct err *err)
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
    if (elf_read(&elf, fd, 0, *size, err) != 0 || check_room(&elf, *size, memory, err) != 0)
        return err_in(err, "%s", name);
    return 0;
}

int program_open(struct vm_config *config, const char *name, struct err *err)
{
    char found[PATH_ROOM];
    const char *path = name;
    int fd;

    if (!name[0]) {
        fd = -1;
        errno = ENOENT;
    } else if (strchr(name, '/')) {
        fd = open_program(name);
    } else {
        fd = search_path(name, found);
        path = found;
    }
    if (fd < 0) {
        int why = errno;

        err_sys(err, "%s", name[0] ? name : "an empty name");
        return why == ENOENT || why == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
    }
    config->program_fd = fd;
    if (check(name, fd, config->memory, &config->program_size, err) != 0)
        return EXIT_NOT_RUNNABLE;
    config->exec_path = realpath(path, NULL);
    if (!config->exec_path) {
        err_sys(err, "%s", path);
        return EXIT_NOT_RUNNABLE;
    }
    return 0;
}
