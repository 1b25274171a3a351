/* See snapshot_writer.h. All names are relative to descriptors, so that nobody who renames a
 * directory above leads us astray. */
#include "monitor/snapshot/snapshot_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/disk_file.h"
#include "monitor/fd_close.h"
#include "monitor/snapshot/manifest.h"
#include "monitor/snapshot/memory_records.h"
#include "monitor/snapshot/records_check.h"

enum { PAGE = 4096, TRIES = 16, NAME_KEPT = 200 /* of NAME in the temporary one */ };

static const char *const files[] = {"memory", "state",  "manifest.json", "disk-0",
                                    "disk-1", "disk-2", "disk-3",        "disk-4",
                                    "disk-5", "disk-6", "disk-7"};
enum { FILES = sizeof(files) / sizeof(files[0]), FIRST_DISK = 3 };
_Static_assert(FILES - FIRST_DISK == SNAPSHOT_DISKS_MOST, "all are removed");

static const char *name_of(const struct snapshot_writer *w)
{
    return w->path + w->name;
}

/* --- opening --- */

/* The last component of the path begins at w->name; a slash behind it is dropped. */
static int take_path(struct snapshot_writer *w, const char *out, struct err *err)
{
    size_t len = strlen(out);
    const char *slash;

    while (len > 1 && out[len - 1] == '/')
        len--;
    if (len >= sizeof(w->path))
        return err_set(err, "%.64s...: %s", out, strerror(ENAMETOOLONG));
    memcpy(w->path, out, len);
    w->path[len] = '\0';
    slash = strrchr(w->path, '/');
    w->name = slash ? (size_t)(slash + 1 - w->path) : 0;
    if (!*name_of(w) || strcmp(name_of(w), ".") == 0 || strcmp(name_of(w), "..") == 0)
        return err_set(err, "'%s' is no name for a snapshot", out);
    return 0;
}

static int open_parent(struct snapshot_writer *w, struct err *err)
{
    char parent[sizeof(w->path)];
    struct stat st;

    snprintf(parent, sizeof(parent), "%.*s", (int)w->name, w->path);
    w->parent = open(w->name > 0 ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->parent < 0)
        return err_sys(err, "%s: its directory", w->path);
    if (fstatat(w->parent, name_of(w), &st, AT_SYMLINK_NOFOLLOW) == 0)
        return err_set(err, "%s: it exists already (a snapshot is never modified)", w->path);
    return errno == ENOENT ? 0 : err_sys(err, "%s", w->path);
}

/* .NAME.XXXXXX; "" if it cannot be made. */
static int make_directory(struct snapshot_writer *w, struct err *err)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    uint8_t random[6];

    for (unsigned i = 0; i < TRIES; i++) {
        if (getrandom(random, sizeof(random), 0) != sizeof(random))
            return err_sys(err, "getrandom");
        snprintf(w->temporary, sizeof(w->temporary), ".%.*s.%c%c%c%c%c%c", NAME_KEPT, name_of(w),
                 letters[random[0] % 32], letters[random[1] % 32], letters[random[2] % 32],
                 letters[random[3] % 32], letters[random[4] % 32], letters[random[5] % 32]);
        if (mkdirat(w->parent, w->temporary, 0700) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    w->temporary[0] = '\0';
    return err_sys(err, "%s: make a directory", w->path);
}

static int make_file(const struct snapshot_writer *w, const char *file, struct err *err)
{
    int fd = openat(w->dir, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd >= 0 ? fd : err_sys(err, "%s/%s", w->path, file);
}

/* A header that no reader would take is refused now rather than when all is written. */
static int check_header(const struct snapshot_header *header, struct err *err)
{
    struct snapshot_builder b = {0};
    struct snapshot_header parsed;
    int result = snapshot_finish(&b, header, err);

    if (result == 0)
        result = snapshot_header_parse(b.bytes, b.size, &parsed, err);
    snapshot_builder_free(&b);
    return result;
}

static int make_bits(struct snapshot_writer *w, struct err *err)
{
    size_t bytes = (size_t)((w->ram / PAGE + 7) / 8);

    w->present = calloc(bytes, 1);
    w->known = calloc(bytes, 1);
    return w->present && w->known ? 0 : err_set(err, "%s: no memory", w->path);
}

static int open_all(struct snapshot_writer *w, const char *out, struct err *err)
{
    if (check_header(&w->header, err) != 0 || take_path(w, out, err) != 0 ||
        make_bits(w, err) != 0 || open_parent(w, err) != 0 || make_directory(w, err) != 0)
        return -1;
    w->dir = openat(w->parent, w->temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (w->dir < 0)
        return err_sys(err, "%s", w->path);
    w->memory = make_file(w, "memory", err);
    if (w->memory < 0)
        return -1;
    return ftruncate(w->memory, (off_t)w->ram) == 0
               ? 0
               : err_sys(err, "%s/memory: %llu bytes", w->path, (unsigned long long)w->ram);
}

int snapshot_writer_open(struct snapshot_writer *w, const char *out,
                         const struct snapshot_header *header, struct err *err)
{
    *w = (struct snapshot_writer)SNAPSHOT_WRITER_CLOSED;
    w->header = *header;
    w->ram = header->memory;
    w->diff = header->flags & SNAPSHOT_DIFF;
    if (open_all(w, out, err) == 0)
        return 0;
    snapshot_writer_abort(w);
    return -1;
}

/* --- files --- */

static int put(const struct snapshot_writer *w, int fd, const char *file, uint64_t at,
               const void *bytes, size_t size, struct err *err)
{
    int result = file_put(fd, bytes, at, size);

    if (result == 0)
        return 0;
    errno = -result;
    return err_sys(err, "%s/%s: write", w->path, file);
}

static int sync_fd(const struct snapshot_writer *w, int fd, const char *file, struct err *err)
{
    return fsync(fd) == 0 ? 0 : err_sys(err, "%s/%s: sync", w->path, file);
}

static int write_file(const struct snapshot_writer *w, const char *file, const void *bytes,
                      size_t size, bool sync, struct err *err)
{
    int fd = make_file(w, file, err), result;

    if (fd < 0)
        return -1;
    result = put(w, fd, file, 0, bytes, size, err);
    if (result == 0 && sync)
        result = sync_fd(w, fd, file, err);
    if (close(fd) != 0 && result == 0) /* where a network's file system tells a full disk */
        result = err_sys(err, "%s/%s: close", w->path, file);
    return result;
}

/* --- memory --- */

static bool page_is_zero(const uint8_t *page)
{
    for (size_t i = 0; i < PAGE; i += 64) {
        uint64_t w[8];

        memcpy(w, page + i, sizeof(w));
        if ((w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) != 0)
            return false;
    }
    return true;
}

static bool is_present(const struct snapshot_writer *w, uint64_t page)
{
    return w->present[page / 8] >> (page % 8) & 1;
}

static void set_pages(struct snapshot_writer *w, uint64_t at, uint64_t size, bool present)
{
    for (uint64_t page = at / PAGE; page < (at + size) / PAGE; page++) {
        uint8_t mask = (uint8_t)(1u << (page % 8));

        w->known[page / 8] |= mask;
        if (present)
            w->present[page / 8] |= mask;
        else
            w->present[page / 8] &= (uint8_t)~mask;
    }
}

static int put_data(struct snapshot_writer *w, uint64_t at, const uint8_t *bytes, uint64_t size,
                    struct err *err)
{
    if (put(w, w->memory, "memory", at, bytes, (size_t)size, err) != 0)
        return -1;
    set_pages(w, at, size, true);
    return 0;
}

/* One page that is in the file. */
static int clear_page(const struct snapshot_writer *w, uint64_t at, struct err *err)
{
    int result = file_zero(w->memory, at, PAGE, true);

    if (result == 0)
        return 0;
    errno = -result;
    return err_sys(err, "%s/memory: make a hole", w->path);
}

static int put_zeroes(struct snapshot_writer *w, uint64_t at, uint64_t size, struct err *err)
{
    for (uint64_t done = 0; done < size; done += PAGE) {
        if (is_present(w, (at + done) / PAGE) && clear_page(w, at + done, err) != 0)
            return -1;
    }
    set_pages(w, at, size, false);
    return 0;
}

int snapshot_writer_pages(struct snapshot_writer *w, uint64_t offset, const void *bytes,
                          uint64_t size, struct err *err)
{
    const uint8_t *from = bytes;
    uint64_t len;

    if (offset % PAGE != 0 || size % PAGE != 0 || offset > w->ram || size > w->ram - offset)
        return err_set(err, "%s/memory: %#llx bytes at %#llx are no pages of it", w->path,
                       (unsigned long long)size, (unsigned long long)offset);
    for (uint64_t done = 0; done < size; done += len) {
        bool zero = page_is_zero(from + done);

        len = PAGE;
        while (done + len < size && page_is_zero(from + done + len) == zero)
            len += PAGE;
        if (zero ? put_zeroes(w, offset + done, len, err) != 0
                 : put_data(w, offset + done, from + done, len, err) != 0)
            return -1;
    }
    return 0;
}

/* --- disks --- */

int snapshot_writer_disk(struct snapshot_writer *w, unsigned number,
                         const struct overlay_base *base, struct err *err)
{
    int fd;

    if (number >= SNAPSHOT_DISKS_MOST || w->disks[number].fd >= 0)
        return err_set(err, "%s: there is no disk %u, or it was given before", w->path, number);
    fd = make_file(w, files[FIRST_DISK + number], err);
    if (fd < 0)
        return -1;
    return disk_writer_open(&w->disks[number], fd, base, err) == 0
               ? 0
               : err_in(err, "%s/disk-%u", w->path, number);
}

int snapshot_writer_blocks(struct snapshot_writer *w, unsigned number, uint64_t offset,
                           const void *bytes, uint64_t size, struct err *err)
{
    if (number >= SNAPSHOT_DISKS_MOST || w->disks[number].fd < 0)
        return err_set(err, "%s: there is no disk %u", w->path, number);
    return disk_writer_blocks(&w->disks[number], offset, bytes, size, err) == 0
               ? 0
               : err_in(err, "%s/disk-%u", w->path, number);
}

static int finish_disks(struct snapshot_writer *w, struct err *err)
{
    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST; i++) {
        if (w->disks[i].fd >= 0 && disk_writer_finish(&w->disks[i], i, &w->state, err) != 0)
            return -1;
    }
    return 0;
}

static int sync_disks(const struct snapshot_writer *w, struct err *err)
{
    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST; i++) {
        if (w->disks[i].fd >= 0 && sync_fd(w, w->disks[i].fd, files[FIRST_DISK + i], err) != 0)
            return -1;
    }
    return 0;
}

uint64_t snapshot_writer_disk_bytes(const struct snapshot_writer *w)
{
    uint64_t blocks = 0;

    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST; i++)
        blocks += w->disks[i].blocks;
    return blocks * OVERLAY_BLOCK;
}

/* --- records --- */

uint64_t snapshot_writer_bytes(const struct snapshot_writer *w)
{
    uint64_t pages = 0;

    for (uint64_t page = 0; page < w->ram / PAGE; page++)
        pages += w->present[page / 8] >> (page % 8) & 1;
    return pages * PAGE;
}

int snapshot_writer_record(struct snapshot_writer *w, uint32_t kind, uint32_t version,
                           const void *payload, size_t size, struct err *err)
{
    if (kind == RECORD_MEMORY || kind == RECORD_DIGESTS || kind == RECORD_DISK)
        return err_set(err, "%s: record of kind %u is for nobody else to write", w->path, kind);
    return snapshot_put(&w->state, kind, version, payload, size, err) == 0
               ? 0
               : err_in(err, "%s", w->path);
}

/* --- the end --- */

/* Whoever will read it is asked before it is written. */
static int complete(struct snapshot_writer *w, struct snapshot_state *state, struct err *err)
{
    const struct page_bits bits = {
        .present = w->present, .known = w->diff ? w->known : NULL, .pages = w->ram / PAGE};

    if (memory_records_put(&w->state, w->memory, &bits, err) == 0 && finish_disks(w, err) == 0 &&
        snapshot_finish(&w->state, &w->header, err) == 0 &&
        snapshot_state_parse(w->state.bytes, w->state.size, state, err) == 0 &&
        snapshot_records_check(state, err) == 0)
        return 0;
    return err_in(err, "%s", w->path);
}

static int write_manifest(const struct snapshot_writer *w, const struct snapshot_state *state,
                          bool sync, struct err *err)
{
    struct snapshot_facts *facts = malloc(sizeof(*facts));
    char *text = malloc(MANIFEST_MOST);
    size_t length;
    int result;

    if (facts == NULL || text == NULL) {
        result = err_set(err, "%s: no memory", w->path);
    } else {
        snapshot_facts(facts, state, w->state.bytes, w->state.size);
        manifest_make(text, &length, facts);
        result = write_file(w, "manifest.json", text, length, sync, err);
    }
    free(facts);
    free(text);
    return result;
}

static int rename_to(const struct snapshot_writer *w, const char *from, const char *to)
{
    if (syscall(SYS_renameat2, w->parent, from, w->parent, to, RENAME_NOREPLACE) == 0)
        return 0;
    /* Some file systems have no such flag. Without it a directory replaces at most an empty one. */
    return errno == EINVAL || errno == ENOSYS ? renameat(w->parent, from, w->parent, to) : -1;
}

static int give_name(struct snapshot_writer *w, bool sync, struct err *err)
{
    if (rename_to(w, w->temporary, name_of(w)) != 0)
        return errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR
                   ? err_set(err, "%s: somebody else has made it meanwhile", w->path)
                   : err_sys(err, "%s: rename", w->path);
    if (!sync || fsync(w->parent) == 0) {
        w->temporary[0] = '\0';
        return 0;
    }
    err_sys(err, "%s: sync its directory", w->path);
    if (rename_to(w, name_of(w), w->temporary) != 0) /* then it stays, whole but not safe */
        w->temporary[0] = '\0';
    return -1;
}

int snapshot_writer_commit(struct snapshot_writer *w, bool sync, struct err *err)
{
    struct snapshot_state state;

    if (complete(w, &state, err) != 0 ||
        write_file(w, "state", w->state.bytes, w->state.size, sync, err) != 0 ||
        write_manifest(w, &state, sync, err) != 0)
        return -1;
    if (sync && (sync_fd(w, w->memory, "memory", err) != 0 || sync_disks(w, err) != 0 ||
                 sync_fd(w, w->dir, "", err) != 0))
        return -1;
    return give_name(w, sync, err);
}

void snapshot_writer_abort(struct snapshot_writer *w)
{
    if (w->temporary[0]) {
        for (unsigned i = 0; i < FILES && w->dir >= 0; i++)
            unlinkat(w->dir, files[i], 0);
        unlinkat(w->parent, w->temporary, AT_REMOVEDIR);
    }
    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST; i++)
        disk_writer_close(&w->disks[i]);
    fd_close(&w->memory);
    fd_close(&w->dir);
    fd_close(&w->parent);
    free(w->present);
    free(w->known);
    snapshot_builder_free(&w->state);
    *w = (struct snapshot_writer)SNAPSHOT_WRITER_CLOSED;
}
