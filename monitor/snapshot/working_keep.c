/* See working_keep.h. */
#include "monitor/snapshot/working_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/warn.h"

static const char name[] = "working-set";

/* --- the file --- */

/* It is a hint with a checksum, so nobody waits until it lasts. */
static int write_file(int fd, const struct working_set *set, struct err *err)
{
    ssize_t size = (ssize_t)working_set_size(set);
    ssize_t n = write(fd, set, (size_t)size);

    if (n >= 0 && n < size)
        errno = ENOSPC;
    return n == size ? 0 : err_sys(err, "%s: write", name);
}

static int put_file(int dir, const struct working_keep *k, struct err *err)
{
    char temporary[32];
    uint64_t random;
    int fd, result;

    if (!k->asked && faccessat(dir, name, F_OK, 0) == 0)
        return 0; /* another clone was first */
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return err_sys(err, "getrandom");
    snprintf(temporary, sizeof(temporary), ".%s.%08llx", name,
             (unsigned long long)random & 0xffffffff);
    fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, "%s", name);
    result = write_file(fd, &k->set, err);
    close(fd);
    if (result == 0 && renameat(dir, temporary, dir, name) != 0)
        result = err_sys(err, "%s", name);
    if (result != 0)
        unlinkat(dir, temporary, 0);
    return result;
}

static int keep(const struct working_keep *k, struct err *err)
{
    int dir, result;

    if (working_set_check(&k->set, k->got, &k->chain->layers[0].header, err) != 0)
        return -1;
    dir = open(k->chain->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(err, "open");
    result = put_file(dir, k, err);
    close(dir);
    return result;
}

/* All that will come has come. */
static void finish(struct working_keep *k)
{
    struct err line = {.text = ""};

    fd_close(&k->fd);
    if (k->got == 0) {
        if (k->asked)
            warn_now("--record: the program has said nothing, so nothing was recorded");
        return;
    }
    if (keep(k, &line) == 0 || !k->asked)
        return;
    err_in(&line, "%s", k->chain->path);
    warn_now(line.text);
}

/* --- the pipe --- */

void working_keep_turn(struct working_keep *k)
{
    uint8_t *to = (uint8_t *)&k->set;
    ssize_t n = read(k->fd, to + k->got, sizeof(k->set) - k->got);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        k->got += (size_t)n;
    else
        finish(k); /* the end, or there is no room for more */
}

void working_keep_close(struct working_keep *k)
{
    while (k->fd >= 0) {
        size_t before = k->got;

        working_keep_turn(k);
        if (k->fd >= 0 && k->got == before)
            finish(k); /* somebody else has the other end still */
    }
}

static bool is_wanted(const struct chain *c)
{
    return c->working_fd < 0 && !(c->layers[0].header.flags & SNAPSHOT_SINGLE_USE) &&
           access(c->path, W_OK) == 0;
}

int working_keep_open(struct working_keep *k, const struct chain *chain, bool asked, int *end,
                      struct err *err)
{
    int ends[2];

    *end = -1;
    if (!asked && !is_wanted(chain))
        return 0;
    if (asked && access(chain->path, W_OK) != 0)
        return err_sys(err, "%s: --record", chain->path);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return asked ? err_sys(err, "pipe") : 0;
    k->fd = ends[0];
    k->asked = asked;
    k->chain = chain;
    *end = ends[1];
    return 0;
}
