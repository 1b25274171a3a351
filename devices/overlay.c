/* See overlay.h. */
#include "devices/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/disk_file.h"

/* The file's first bytes; the rest of its first block is zero. Little-endian. */
struct overlay_header {
    char magic[8];
    uint32_t version;
    uint32_t block; /* bytes */
    struct overlay_base base;
};
_Static_assert(sizeof(struct overlay_header) == 32, "docs/overlay-format.md");

enum { RESERVED_MOST = 32 << 20 };
enum { PAGE = 4096, PAGE_WORDS = PAGE / 8, WORD_BLOCKS = 64 };

enum change { SAME, CHANGED, WRITTEN /* but not known to be durable */ };

struct overlay {
    int fd, base_fd;
    struct overlay_base base;
    uint64_t data;            /* where in the file */
    size_t pages;             /* of the bitmap */
    _Atomic uint64_t *bitmap; /* a bit for each block, the lowest first */
    uint8_t *changed;         /* enum change, by page of the bitmap */
    int lost; /* -errno of a flush that failed: the kernel tells it once, and has given up by then
               */
    uint8_t block[OVERLAY_BLOCK]; /* of the disk's thread */
};

/* --- where things are --- */

static size_t bitmap_pages(uint64_t size)
{
    const uint64_t of_a_page = (uint64_t)PAGE * 8 * OVERLAY_BLOCK;

    return (size_t)((size + of_a_page - 1) / of_a_page);
}

static uint64_t data_offset(uint64_t size)
{
    return OVERLAY_BITMAP + (uint64_t)bitmap_pages(size) * PAGE;
}

/* --- the bitmap --- */

static bool has(const struct overlay *o, uint64_t block)
{
    uint64_t word = atomic_load_explicit(&o->bitmap[block / WORD_BLOCKS], memory_order_acquire);

    return word >> (block % WORD_BLOCKS) & 1;
}

/* The block has been written. */
static void set(struct overlay *o, uint64_t block)
{
    if (has(o, block))
        return;
    atomic_fetch_or_explicit(&o->bitmap[block / WORD_BLOCKS], UINT64_C(1) << (block % WORD_BLOCKS),
                             memory_order_release);
    o->changed[block / WORD_BLOCKS / PAGE_WORDS] = CHANGED;
}

/* How much of [at, at + max) lies, from its start, in blocks of the same place. */
static size_t run(const struct overlay *o, uint64_t at, size_t max, bool *ours)
{
    uint64_t block = at / OVERLAY_BLOCK;
    size_t len = OVERLAY_BLOCK - (size_t)(at % OVERLAY_BLOCK);

    *ours = has(o, block);
    while (len < max && has(o, ++block) == *ours)
        len += OVERLAY_BLOCK;
    return len < max ? len : max;
}

/* --- reading --- */

ssize_t overlay_read(struct overlay *o, struct vq_request *to, uint64_t at, size_t max,
                     unsigned flags)
{
    size_t done = 0;

    while (done < max) {
        bool ours;
        size_t len = run(o, at + done, max - done, &ours);
        ssize_t n = ours ? file_read(o->fd, to, o->data + at + done, len, flags)
                         : file_read(o->base_fd, to, at + done, len, flags);

        if (n < 0)
            return done > 0 && flags & DISK_NOWAIT ? (ssize_t)done : n;
        done += (size_t)n;
        if ((size_t)n < len)
            break;
    }
    return (ssize_t)done;
}

/* --- writing --- */

/* The block as it is now. */
static int get_block(struct overlay *o, uint64_t block)
{
    uint64_t at = block * OVERLAY_BLOCK, left = o->base.size - at;
    size_t len = left < OVERLAY_BLOCK ? (size_t)left : OVERLAY_BLOCK;

    memset(o->block, 0, sizeof(o->block));
    return has(o, block) ? file_get(o->fd, o->block, o->data + at, len)
                         : file_get(o->base_fd, o->block, at, len);
}

static int put_block(struct overlay *o, uint64_t block)
{
    int result = file_put(o->fd, o->block, o->data + block * OVERLAY_BLOCK, OVERLAY_BLOCK);

    if (result == 0)
        set(o, block);
    return result;
}

static bool is_part(uint64_t at, size_t len)
{
    return at % OVERLAY_BLOCK != 0 || len < OVERLAY_BLOCK;
}

/* A part of a block that is not in the overlay takes the rest of the block with it. Returns what
 * was moved. */
static ssize_t write_part(struct overlay *o, struct vq_request *from, uint64_t at, size_t max)
{
    uint64_t block = at / OVERLAY_BLOCK;
    size_t skip = at % OVERLAY_BLOCK;
    size_t len = max < OVERLAY_BLOCK - skip ? max : OVERLAY_BLOCK - skip;
    int result = get_block(o, block);

    if (result == 0 && !vq_read(from, o->block + skip, len))
        result = -EIO;
    if (result == 0)
        result = put_block(o, block);
    return result == 0 ? (ssize_t)len : result;
}

static ssize_t write_whole(struct overlay *o, struct vq_request *from, uint64_t at, size_t len)
{
    ssize_t n = file_write(o->fd, from, o->data + at, len, 0);

    for (size_t done = 0; n > 0 && done < (size_t)n; done += OVERLAY_BLOCK)
        set(o, (at + done) / OVERLAY_BLOCK);
    return n;
}

static ssize_t write_some(struct overlay *o, struct vq_request *from, uint64_t at, size_t max,
                          unsigned flags)
{
    bool ours;
    size_t len = run(o, at, max, &ours);

    if (ours)
        return file_write(o->fd, from, o->data + at, len, flags);
    if (flags & DISK_NOWAIT)
        return -EAGAIN;
    if (is_part(at, len))
        return write_part(o, from, at, len);
    return write_whole(o, from, at, len / OVERLAY_BLOCK * OVERLAY_BLOCK);
}

ssize_t overlay_write(struct overlay *o, struct vq_request *from, uint64_t at, size_t max,
                      unsigned flags)
{
    size_t done = 0;

    while (done < max) {
        ssize_t n = write_some(o, from, at + done, max - done, flags);

        if (n <= 0)
            return done > 0 && flags & DISK_NOWAIT ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* --- clearing --- */

/* A disk's last block may be a part of one. */
static bool covers(const struct overlay *o, uint64_t at, uint64_t len)
{
    return at % OVERLAY_BLOCK == 0 &&
           (len >= OVERLAY_BLOCK || (len > 0 && at + len == o->base.size));
}

static int zero_part(struct overlay *o, uint64_t at, size_t len)
{
    int result;

    if (has(o, at / OVERLAY_BLOCK)) /* whose other sectors somebody may be writing just now */
        return file_zero(o->fd, o->data + at, len, false);
    result = get_block(o, at / OVERLAY_BLOCK);

    memset(o->block + at % OVERLAY_BLOCK, 0, len);
    return result == 0 ? put_block(o, at / OVERLAY_BLOCK) : result;
}

static uint64_t to_next_block(uint64_t at, uint64_t len)
{
    uint64_t next = OVERLAY_BLOCK - at % OVERLAY_BLOCK;

    return len < next ? len : next;
}

/* Of blocks that are not in it the file may have some of old: what was written, but not flushed. */
int overlay_zero(struct overlay *o, uint64_t at, uint64_t len)
{
    int result = 0;

    while (len > 0 && result == 0) {
        uint64_t now = to_next_block(at, len);

        if (covers(o, at, len)) {
            now = len >= OVERLAY_BLOCK ? len / OVERLAY_BLOCK * OVERLAY_BLOCK : len;
            result = file_zero(o->fd, o->data + at, now, true);
            for (uint64_t done = 0; result == 0 && done < now; done += OVERLAY_BLOCK)
                set(o, (at + done) / OVERLAY_BLOCK);
        } else {
            result = zero_part(o, at, (size_t)now);
        }
        at += now;
        len -= now;
    }
    return result;
}

/* What is in the base only stays there. */
int overlay_discard(struct overlay *o, uint64_t at, uint64_t len)
{
    int result = 0;

    while (len > 0 && result == 0) {
        const uint64_t most = UINT64_C(1) << 30;
        bool ours;
        size_t now = run(o, at, (size_t)(len < most ? len : most), &ours);

        if (ours)
            result = file_punch(o->fd, o->data + at, now);
        at += now;
        len -= now;
    }
    return result == -EOPNOTSUPP ? 0 : result;
}

/* --- durability --- */

static int put_page(struct overlay *o, size_t page)
{
    uint64_t copy[PAGE_WORDS];
    int result;

    for (size_t i = 0; i < PAGE_WORDS; i++)
        copy[i] = atomic_load_explicit(&o->bitmap[page * PAGE_WORDS + i], memory_order_relaxed);
    result = file_put(o->fd, copy, OVERLAY_BITMAP + page * PAGE, PAGE);
    if (result == 0)
        o->changed[page] = WRITTEN;
    return result;
}

static void all_is_durable(struct overlay *o)
{
    memset(o->changed, SAME, o->pages);
}

static int flush_file(struct overlay *o)
{
    if (o->lost == 0)
        o->lost = file_flush(o->fd);
    return o->lost;
}

int overlay_flush(struct overlay *o)
{
    int result = flush_file(o); /* blocks first */
    bool any = false;

    for (size_t page = 0; page < o->pages && result == 0; page++) {
        if (o->changed[page] == SAME)
            continue;
        result = put_page(o, page);
        any = true;
    }
    if (result == 0 && any)
        result = flush_file(o);
    if (result == 0 && any)
        all_is_durable(o);
    return result;
}

/* --- making and finding one --- */

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
    const size_t bytes = OVERLAY_BITMAP + bitmap_pages(size) * PAGE;

    if (bytes > RESERVED_MOST || fallocate(fd, 0, 0, (off_t)bytes) == 0)
        return 0;
    return errno == EOPNOTSUPP ? 0 : -1;
}

/* The header comes last: without, the file is none. */
int overlay_create(int fd, const struct overlay_base *base, struct err *err)
{
    const struct overlay_header header = header_of(base);
    uint64_t blocks = (base->size + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;

    if (ftruncate(fd, (off_t)(data_offset(base->size) + blocks * OVERLAY_BLOCK)) == 0 &&
        reserve_bitmap(fd, base->size) == 0 && fsync(fd) == 0 &&
        pwrite(fd, &header, sizeof(header), 0) == sizeof(header) && fsync(fd) == 0)
        return 0;
    err_sys(err, "make an overlay");
    (void)!ftruncate(fd, 0); /* half a one is none */
    return -1;
}

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
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < data_offset(base->size) + base->size)
        return err_set(err, "shorter than an overlay of this base is: a part is missing");
    return check_reserved(fd, err);
}

/* Bits beyond the end are nobody's. What is a hole in the file stays untouched memory. */
static int read_bitmap(struct overlay *o)
{
    const off_t end = OVERLAY_BITMAP + (off_t)(o->pages * PAGE);
    off_t from = OVERLAY_BITMAP, to;

    while (from < end) {
        int result;

        from = lseek(o->fd, from, SEEK_DATA);
        if (from < 0)
            return errno == ENXIO ? 0 : -errno; /* there are no data any more */
        if (from >= end)
            break;

        from = from / PAGE * PAGE;
        to = lseek(o->fd, from, SEEK_HOLE);
        to = to < 0 || to > end ? end : (to + PAGE - 1) / PAGE * PAGE;
        result = file_get(o->fd, (char *)(uintptr_t)o->bitmap + (from - OVERLAY_BITMAP),
                          (uint64_t)from, (size_t)(to - from));
        if (result != 0)
            return result;
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
    o->data = data_offset(base->size);
    o->pages = bitmap_pages(base->size);
    o->bitmap = untouched(o->pages * PAGE);
    o->changed = calloc(1, o->pages);
    errno = ENOMEM;
    if (o->bitmap && o->changed) {
        result = read_bitmap(o);
        if (result == 0)
            return o;
        errno = -result;
    }
    err_sys(err, "read the bitmap");
    overlay_free(o);
    return NULL;
}

void overlay_free(struct overlay *o)
{
    if (o == NULL)
        return;
    if (o->bitmap)
        munmap((void *)(uintptr_t)o->bitmap, o->pages * PAGE);
    free(o->changed);
    free(o);
}
