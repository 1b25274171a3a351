/* See overlay.h: the file, and how it comes to be used. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/disk_file.h"
#include "devices/overlay_state.h"

/* The file's first bytes; the rest of its first block is zero. Little-endian. */
struct overlay_header {
    char magic[8];
    uint32_t version;
    uint32_t block; /* bytes */
    struct overlay_base base;
};
_Static_assert(sizeof(struct overlay_header) == 32, "docs/overlay-format.md");

enum { RESERVED_MOST = 32 << 20 };

/* --- where things are --- */

size_t overlay_bitmap_pages(uint64_t size)
{
    return (size_t)((size + PAGE_BYTES - 1) / PAGE_BYTES);
}

uint64_t overlay_bitmap_size(uint64_t size)
{
    return (uint64_t)overlay_bitmap_pages(size) * OVERLAY_PAGE;
}

uint64_t overlay_data_offset(uint64_t size)
{
    return OVERLAY_BITMAP + overlay_bitmap_size(size);
}

/* --- making one --- */

static struct overlay_header header_of(const struct overlay_base *base)
{
    struct overlay_header h = {.version = OVERLAY_VERSION, .block = OVERLAY_BLOCK, .base = *base};

    memcpy(h.magic, OVERLAY_MAGIC, sizeof(h.magic));
    return h;
}

/* That there is room for a block and none for its bit would be found out at the flush only. Of very
 * large disks' bitmaps, which are mostly empty, nothing is reserved. */
static int reserve_bitmap(int fd, uint64_t size)
{
    const size_t bytes = OVERLAY_BITMAP + overlay_bitmap_size(size);

    if (bytes > RESERVED_MOST || fallocate(fd, 0, 0, (off_t)bytes) == 0)
        return 0;
    return errno == EOPNOTSUPP ? 0 : -1;
}

/* The header comes last: without, the file is none. */
int overlay_create(int fd, const struct overlay_base *base, unsigned flags, struct err *err)
{
    const bool sync = flags & OVERLAY_LASTS;
    const struct overlay_header header = header_of(base);
    uint64_t blocks = (base->size + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;

    if (ftruncate(fd, (off_t)(overlay_data_offset(base->size) + blocks * OVERLAY_BLOCK)) == 0 &&
        (!(flags & OVERLAY_RESERVES) || reserve_bitmap(fd, base->size) == 0) &&
        (!sync || fsync(fd) == 0) && pwrite(fd, &header, sizeof(header), 0) == sizeof(header) &&
        (!sync || fsync(fd) == 0))
        return 0;
    err_sys(err, "make an overlay");
    (void)!ftruncate(fd, 0); /* half a one is none */
    return -1;
}

/* --- finding one --- */

/* The header's block but for the header itself. */
static int check_reserved(int fd, struct err *err)
{
    uint8_t reserved[OVERLAY_BITMAP - sizeof(struct overlay_header)];

    if (file_get(fd, reserved, sizeof(struct overlay_header), sizeof(reserved)) != 0)
        return err_sys(err, "read the header");
    for (size_t i = 0; i < sizeof(reserved); i++) {
        if (reserved[i] != 0)
            return err_set(err,
                           "an overlay that has something at %zu, where version %u has zeroes: "
                           "damaged, or a newer samara's",
                           sizeof(struct overlay_header) + i, OVERLAY_VERSION);
    }
    return 0;
}

static int check_header(int fd, const struct overlay_base *base, struct err *err)
{
    const struct overlay_header want = header_of(base);
    struct overlay_header h;
    struct stat st;

    if (file_get(fd, &h, 0, sizeof(h)) != 0 || memcmp(h.magic, want.magic, sizeof(h.magic)) != 0)
        return err_set(err, "no overlay of samara's");
    if (h.version != want.version || h.block != want.block)
        return err_set(err, "an overlay of version %u with blocks of %u bytes; this is version %u",
                       h.version, h.block, OVERLAY_VERSION);
    if (h.base.size != base->size)
        return err_set(err, "an overlay of another base: that has %llu bytes, this one %llu",
                       (unsigned long long)h.base.size, (unsigned long long)base->size);
    if (h.base.changed_ns != base->changed_ns)
        return err_set(err, "an overlay of another base, or its base was changed since (the time "
                            "of its last change is another)");
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < overlay_data_offset(base->size) + base->size)
        return err_set(err, "shorter than an overlay of this base is: a part is missing");
    return check_reserved(fd, err);
}

/* Bits beyond the end are nobody's. What is a hole in the file stays untouched memory. */
static int read_bitmap(struct overlay *o)
{
    const off_t end = OVERLAY_BITMAP + (off_t)(o->pages * OVERLAY_PAGE);
    off_t from = OVERLAY_BITMAP, to;

    while (from < end) {
        int result;

        from = lseek(o->fd, from, SEEK_DATA);
        if (from < 0)
            return errno == ENXIO ? 0 : -errno; /* there are no data any more */
        if (from >= end)
            break;

        from = from / OVERLAY_PAGE * OVERLAY_PAGE;
        to = lseek(o->fd, from, SEEK_HOLE);
        to = to < 0 || to > end ? end : (to + OVERLAY_PAGE - 1) / OVERLAY_PAGE * OVERLAY_PAGE;
        result = file_get(o->fd, (char *)(uintptr_t)o->bitmap + (from - OVERLAY_BITMAP),
                          (uint64_t)from, (size_t)(to - from));
        if (result != 0)
            return result;
        memset(o->changed + (from - OVERLAY_BITMAP) / OVERLAY_PAGE, SAME,
               (size_t)(to - from) / OVERLAY_PAGE);
        from = to;
    }
    return 0;
}

static void *untouched(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

struct overlay *overlay_load(int fd, int base_fd, const struct overlay_base *base, struct err *err)
{
    struct overlay *o = calloc(1, sizeof(*o));
    int result;

    if (o == NULL || check_header(fd, base, err) != 0) {
        if (o == NULL)
            err_sys(err, "overlay");
        free(o);
        return NULL;
    }
    *o = (struct overlay){.fd = fd, .base_fd = base_fd, .base = *base};
    o->data = overlay_data_offset(base->size);
    o->pages = overlay_bitmap_pages(base->size);
    o->bitmap = untouched(o->pages * OVERLAY_PAGE);
    o->written = untouched(o->pages * OVERLAY_PAGE);
    o->changed = calloc(1, o->pages);
    o->noted = calloc(1, o->pages);
    errno = ENOMEM;
    if (o->bitmap && o->written && o->changed && o->noted) {
        result = read_bitmap(o);
        if (result == 0)
            return o;
        errno = -result;
    }
    err_sys(err, "read the bitmap");
    overlay_free(o);
    return NULL;
}

void overlay_put_upon(struct overlay *o, struct overlay *lower)
{
    o->lower = lower;
}

static void unmap(const struct overlay *o, _Atomic uint64_t *bitmap)
{
    if (bitmap)
        munmap((void *)(uintptr_t)bitmap, o->pages * OVERLAY_PAGE);
}

void overlay_free(struct overlay *o)
{
    while (o) {
        struct overlay *lower = o->lower;

        unmap(o, o->bitmap);
        unmap(o, o->written);
        free(o->changed);
        free((void *)(uintptr_t)o->noted);
        free(o);
        o = lower;
        if (o)
            close(o->fd);
    }
}
