/* See snapshot_dir.h. */
#include "monitor/snapshot/snapshot_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/fd_close.h"

/* O_NONBLOCK: a FIFO does not hold us up before it is seen to be one. */
static int open_file(int dir, const char *file, struct stat *st, struct err *err)
{
    int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0) {
        if (errno == ELOOP)
            err_set(err, "%s: a symbolic link", file);
        else
            err_sys(err, "%s", file);
        return -1;
    }
    if (fstat(fd, st) != 0)
        err_sys(err, "%s", file);
    else if (!S_ISREG(st->st_mode))
        err_set(err, "%s: not a regular file", file);
    else
        return fd;
    close(fd);
    return -1;
}

int snapshot_dir_file(int dir, const char *file, struct err *err)
{
    struct stat st;

    return open_file(dir, file, &st, err);
}

/* Exactly `size` bytes and then the end. */
static int read_whole(int fd, const char *file, uint8_t *to, size_t size, struct err *err)
{
    size_t done = 0;
    uint8_t more;
    ssize_t n;

    for (;;) {
        n = done < size ? pread(fd, to + done, size - done, (off_t)done)
                        : pread(fd, &more, 1, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "%s: read at byte %zu", file, done);
        if (n == 0 && done == size)
            return 0;
        if (n == 0 || done == size)
            return err_set(err, "%s: changes while it is read, at byte %zu", file, done);
        done += (size_t)n;
    }
}

uint8_t *snapshot_dir_read(int dir, const char *file, size_t most, size_t *size, struct err *err)
{
    struct stat st;
    int fd = open_file(dir, file, &st, err);
    uint8_t *bytes = NULL;

    if (fd < 0)
        return NULL;
    *size = (size_t)st.st_size;
    if ((uint64_t)st.st_size > most)
        err_set(err, "%s: %lld bytes are more than the %zu allowed", file, (long long)st.st_size,
                most);
    else if ((bytes = malloc(*size + 1)) == NULL)
        err_set(err, "%s: no memory for %zu bytes", file, *size);
    else if (read_whole(fd, file, bytes, *size, err) != 0) {
        free(bytes);
        bytes = NULL;
    }
    close(fd);
    return bytes;
}

static int open_memory(struct snapshot_dir *d, struct err *err)
{
    struct stat st;

    d->memory = open_file(d->dir, "memory", &st, err);
    if (d->memory < 0)
        return -1;
    if ((uint64_t)st.st_size != d->state.header.memory)
        return err_set(err, "memory: has %lld bytes, not the %llu that state says",
                       (long long)st.st_size, (unsigned long long)d->state.header.memory);
    return 0;
}

static int open_all(struct snapshot_dir *d, const char *path, struct err *err)
{
    d->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d->dir < 0) {
        struct stat st;

        if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
            return err_set(err, "a symbolic link, not a snapshot's directory");
        if (errno == ENOTDIR)
            return err_set(err, "not a directory, which a snapshot is");
        return err_sys(err, "open");
    }
    d->bytes = snapshot_dir_read(d->dir, "state", SNAPSHOT_STATE_MOST, &d->size, err);
    if (d->bytes == NULL || snapshot_state_parse(d->bytes, d->size, &d->state, err) != 0 ||
        snapshot_records_check(&d->state, err) != 0)
        return -1;
    return open_memory(d, err);
}

int snapshot_dir_open(struct snapshot_dir *d, const char *path, struct err *err)
{
    *d = (struct snapshot_dir)SNAPSHOT_DIR_CLOSED;
    if (open_all(d, path, err) == 0)
        return 0;
    snapshot_dir_close(d);
    return err_in(err, "%s", path);
}

void snapshot_dir_close(struct snapshot_dir *d)
{
    fd_close(&d->memory);
    fd_close(&d->dir);
    free(d->bytes);
    *d = (struct snapshot_dir)SNAPSHOT_DIR_CLOSED;
}
