/* See program.h. */
#include "monitor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "monitor/guest_mem.h"
#include "monitor/elf_image.h"
#include "monitor/vm_config.h"

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
static int search_path(const char *name)
{
    char found[PROGRAM_PATH];
    const char *path = getenv("PATH");
    int why = ENOENT;

    for (path = path ? path : default_path; *path; path += *path == ':') {
        size_t len = strcspn(path, ":");
        size_t name_len = strlen(name);

        if (len > 0 && len + 1 + name_len < sizeof(found)) {
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
    uint64_t low = ram_below_hole(memory);

    if (size > low - VM_MEMORY_RESERVED || !segments_fit(elf, memory))
        return err_set(err, "too big for a memory of %llu MiB (use --mem)",
                       (unsigned long long)(memory >> 20));
    if (last->vaddr + last->memory_size > SAMARA_WINDOW)
        return err_set(err, "segment at 0x%llx lies outside a program's addresses",
                       (unsigned long long)last->vaddr);
    return 0;
}

static int check_file(const char *name, int fd, uint64_t *size, struct err *err)
{
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
    return 0;
}

/* The kernel knows; realpath() where there is no /proc. */
static int find_path(struct program *program, const char *name, struct err *err)
{
    char link[32];
    ssize_t len;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", program->fd);
    len = readlink(link, program->path, sizeof(program->path) - 1);
    if (len > 0 && (size_t)len < sizeof(program->path) - 1)
        program->path[len] = '\0';
    else if (!realpath(name, program->path))
        return err_sys(err, "%s", name);
    return 0;
}

static int open_named(const char *name)
{
    if (!name[0]) {
        errno = ENOENT;
        return -1;
    }
    return strchr(name, '/') ? open_program(name) : search_path(name);
}

int program_open(struct program *program, const char *name, struct err *err)
{
    program->fd = open_named(name);
    if (program->fd < 0) {
        int why = errno;

        if (why == ENOENT && name[0] && !strchr(name, '/'))
            err_set(err, "%s: not found in PATH (for a file in this directory: ./%s)", name, name);
        else
            err_sys(err, "%s", name[0] ? name : "an empty name");
        return why == ENOENT || why == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
    }
    if (check_file(name, program->fd, &program->size, err) != 0 ||
        find_path(program, name, err) != 0)
        return EXIT_NOT_RUNNABLE;
    return 0;
}

int program_check(const struct program *program, const char *name, uint64_t memory, struct err *err)
{
    static struct elf_image elf;

    if (elf_read(&elf, program->fd, 0, program->size, err) == 0 &&
        check_room(&elf, program->size, memory, err) == 0)
        return 0;
    err_in(err, "%s", name);
    return EXIT_NOT_RUNNABLE;
}

void program_close(struct program *program)
{
    if (program->fd >= 0)
        close(program->fd);
    program->fd = -1;
}
