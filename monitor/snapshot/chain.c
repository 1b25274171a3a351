/* See chain.h. */
#include "monitor/snapshot/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/snapshot/records_check.h"
#include "monitor/snapshot/snapshot_dir.h"
#include "seccomp/policy.h"

enum { LOW_LAYERS = 4 }; /* whose descriptors may be among those with a role: see role_fd.h */

/* --- one layer --- */

static int read_header(struct chain_layer *l, struct err *err)
{
    _Alignas(8) uint8_t bytes[sizeof(l->header)];
    ssize_t n = pread(l->state_fd, bytes, sizeof(bytes), 0);

    if (n < 0)
        return err_sys(err, "read state");
    return snapshot_header_parse(bytes, (size_t)n, &l->header, err);
}

static int move_up(int *fd, int least, struct err *err)
{
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, least);

    if (high < 0)
        return err_sys(err, "a descriptor above %d (`ulimit -n`)", least);
    close(*fd);
    *fd = high;
    return 0;
}

/* Whether there has to be one, its state says. */
static int open_disk(int dir, unsigned number, int *fd, struct err *err)
{
    char name[16];
    struct stat st;

    snprintf(name, sizeof(name), "disk-%u", number);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
        return 0;
    *fd = snapshot_dir_file(dir, name, err);
    return *fd >= 0 ? move_up(fd, FD_LAYERS, err) : -1;
}

static int open_files(struct chain_layer *l, int dir, unsigned disks, struct err *err)
{
    l->state_fd = snapshot_dir_file(dir, "state", err);
    if (l->state_fd >= 0)
        l->memory_fd = snapshot_dir_file(dir, "memory", err);
    for (unsigned i = 0; l->memory_fd >= 0 && i < disks; i++) {
        if (open_disk(dir, i, &l->disks[i], err) != 0)
            return -1;
    }
    return l->memory_fd >= 0 ? 0 : -1;
}

static void close_layer(struct chain_layer *l)
{
    fd_close(&l->state_fd);
    fd_close(&l->memory_fd);
    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST; i++)
        fd_close(&l->disks[i]);
}

static int open_layer(struct chain *c, const char *path, struct err *err)
{
    struct chain_layer *l = &c->layers[c->count];
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), result;
    struct err ignored;

    if (dir < 0)
        return err_sys(err, "%s", path);
    *l = (struct chain_layer){
        .state_fd = -1, .memory_fd = -1, .disks = {-1, -1, -1, -1, -1, -1, -1, -1}};
    result = open_files(l, dir, c->disks, err);
    if (c->count == 0)
        c->working_fd = snapshot_dir_file(dir, "working-set", &ignored);
    close(dir);
    c->count++; /* and chain_close closes what is open */
    if (result != 0 || read_header(l, err) != 0)
        return err_in(err, "%s", path);
    if (c->count > LOW_LAYERS &&
        (move_up(&l->state_fd, FD_END, err) != 0 || move_up(&l->memory_fd, FD_END, err)))
        return -1;
    return 0;
}

int chain_read(const struct chain_layer *layer, struct snapshot_state *state, struct err *err)
{
    const size_t size = (size_t)layer->header.file_size;
    uint8_t *bytes;
    struct stat st;
    ssize_t n;

    if (layer->header.file_size > SNAPSHOT_STATE_MOST)
        return err_set(err, "state: %zu bytes are too many", size);
    bytes = malloc(size + 1);
    if (!bytes)
        return err_sys(err, "memory for the state");
    n = pread(layer->state_fd, bytes, size + 1, 0);
    if (n < 0)
        return err_sys(err, "read state");
    if (snapshot_state_parse(bytes, (size_t)n, state, err) != 0 ||
        snapshot_records_check(state, err) != 0)
        return -1;
    if (memcmp(&state->header, &layer->header, sizeof(state->header)) != 0)
        return err_set(err, "state: it changed while it was read");
    if (fstat(layer->memory_fd, &st) != 0 || (uint64_t)st.st_size != state->header.memory)
        return err_set(err, "memory: not of %llu bytes", (unsigned long long)state->header.memory);
    return 0;
}

/* --- beneath it --- */

static int parent_path(const struct chain_layer *l, char to[CHAIN_PATH], struct err *err)
{
    static struct snapshot_state state;
    const struct snapshot_record *record;

    if (chain_read(l, &state, err) != 0)
        return -1;
    record = snapshot_find(&state, RECORD_PARENT, 0);
    if (record->size >= CHAIN_PATH)
        return err_set(err, "state: its parent's path is too long");
    memcpy(to, record->payload, record->size);
    to[record->size] = '\0';
    return 0;
}

/* False if it is not there or another one. */
static bool is_parent(struct chain *c, const char *path)
{
    const struct snapshot_header *child = &c->layers[c->count - 1].header;
    const struct snapshot_header *h = &c->layers[c->count].header;
    const unsigned before = c->count;
    struct err ignored;

    if (open_layer(c, path, &ignored) == 0 && memcmp(h->id, child->parent, SNAPSHOT_ID) == 0 &&
        h->memory == child->memory)
        return true;
    if (c->count > before) /* there was something */
        close_layer(&c->layers[--c->count]);
    return false;
}

/* `path` is the child's; becomes the parent's. */
static int open_parent(struct chain *c, char path[CHAIN_PATH], struct err *err)
{
    char there[CHAIN_PATH], beside[2 * CHAIN_PATH], scratch[CHAIN_PATH];
    const char *found = NULL;

    if (c->count == CHAIN_MOST)
        return err_set(err, "more than %d layers (`samara flatten` makes one of them)", CHAIN_MOST);
    if (parent_path(&c->layers[c->count - 1], there, err) != 0)
        return err_in(err, "%s", path);
    snprintf(beside, sizeof(beside), "%s/", dirname(path));
    snprintf(scratch, sizeof(scratch), "%s", there);
    strncat(beside, basename(scratch), CHAIN_PATH - 1);
    if (is_parent(c, beside))
        found = beside;
    else if (is_parent(c, there))
        found = there;
    if (!found || strlen(found) >= CHAIN_PATH)
        return err_set(err, "its parent is neither %s nor %s", there, beside);
    memcpy(path, found, strlen(found) + 1);
    return 0;
}

static int open_all(struct chain *c, struct err *err)
{
    char path[CHAIN_PATH];

    memcpy(path, c->path, sizeof(path));
    if (open_layer(c, path, err) != 0)
        return -1;
    while (c->layers[c->count - 1].header.flags & SNAPSHOT_DIFF) {
        if (open_parent(c, path, err) != 0)
            return err_in(err, "%s", c->path);
    }
    return 0;
}

int chain_open(struct chain *c, const char *path, unsigned disks, struct err *err)
{
    c->count = 0;
    c->disks = disks;
    if (!realpath(path, c->path))
        return err_sys(err, "%s", path);
    if (open_all(c, err) == 0)
        return 0;
    chain_close(c);
    return -1;
}

int chain_use(const struct chain *c, struct err *err)
{
    char path[CHAIN_PATH + sizeof("/used")];
    int fd;

    if (!(c->layers[0].header.flags & SNAPSHOT_SINGLE_USE))
        return 0;
    snprintf(path, sizeof(path), "%s/used", c->path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST
                   ? err_set(err, "%s: it is for a single use, and was used before", c->path)
                   : err_sys(err, "%s: it is for a single use, and cannot be marked as used",
                             c->path);
    close(fd);
    return 0;
}

void chain_close(struct chain *c)
{
    if (c->count > 0)
        fd_close(&c->working_fd);
    for (unsigned i = 0; i < c->count; i++)
        close_layer(&c->layers[i]);
    c->count = 0;
}
