/* See flatten.h. */
#include "monitor/snapshot/flatten.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "monitor/clock.h"
#include "monitor/snapshot/chain.h"
#include "monitor/snapshot/disk_record.h"
#include "monitor/snapshot/records_check.h"
#include "monitor/snapshot/snapshot_writer.h"

enum { SAID_NO = 1, PIECE = 1 << 20 };

static const char usage[] = "usage: samara flatten SNAPSHOT OUT [--no-sync]";

struct flatten {
    struct chain chain;
    struct snapshot_state state; /* of the layer at hand */
    struct snapshot_writer writer;
    uint8_t piece[PIECE];
};

/* --- memory: the lowest layer first, what is given later counts --- */

static int read_piece(struct flatten *f, int memory, uint64_t at, size_t size, struct err *err)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = pread(memory, f->piece + done, size - done, (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_sys(err, "memory: read at byte %llu", (unsigned long long)at)
                         : err_set(err, "memory: it became shorter");
        done += (size_t)n;
    }
    return 0;
}

static int copy_extent(struct flatten *f, int memory, const struct saved_extent *e, struct err *err)
{
    for (uint64_t done = 0; done < e->size;) {
        size_t n = e->size - done < PIECE ? (size_t)(e->size - done) : (size_t)PIECE;

        if (e->kind == EXTENT_ZERO)
            memset(f->piece, 0, n);
        else if (read_piece(f, memory, e->offset + done, n, err) != 0)
            return -1;
        if (snapshot_writer_pages(&f->writer, e->offset + done, f->piece, n, err) != 0)
            return -1;
        done += n;
    }
    return 0;
}

/* --- disks, likewise --- */

static int copy_blocks(struct flatten *f, const struct overlay *o, unsigned number, struct err *err)
{
    const uint64_t blocks = overlay_blocks(o);
    uint64_t n;

    for (uint64_t first = 0;
         (n = overlay_next(o, OVERLAY_OWN, &first, blocks, PIECE / OVERLAY_BLOCK)) > 0;
         first += n) {
        int result = overlay_get(o, first, n, f->piece);

        if (result != 0) {
            errno = -result;
            return err_sys(err, "disk-%u: read block %llu", number, (unsigned long long)first);
        }
        if (snapshot_writer_blocks(&f->writer, number, first * OVERLAY_BLOCK, f->piece,
                                   n * OVERLAY_BLOCK, err) != 0)
            return -1;
    }
    return 0;
}

/* All layers have the same disks, each upon one base. */
static int begin_disk(struct flatten *f, unsigned layer, const struct saved_disk *d,
                      struct err *err)
{
    const struct disk_writer *w = &f->writer.disks[d->number];

    if (layer + 1 == f->chain.count)
        return snapshot_writer_disk(&f->writer, d->number, &d->base, err);
    if (w->fd < 0 || memcmp(&w->base, &d->base, sizeof(d->base)) != 0)
        return err_set(err, "disk-%u: the layer beneath it has no such disk", d->number);
    return 0;
}

static int copy_disk(struct flatten *f, unsigned layer, const struct saved_disk *d, struct err *err)
{
    int fd = f->chain.layers[layer].disks[d->number], result;
    struct overlay *overlay;

    if (begin_disk(f, layer, d, err) != 0)
        return -1;
    if (fd < 0)
        return err_set(err, "disk-%u: No such file", d->number);
    overlay = overlay_load(fd, -1, &d->base, err);
    if (!overlay)
        return err_in(err, "disk-%u", d->number);
    result = disk_record_check(d, overlay, err);
    if (result == 0)
        result = copy_blocks(f, overlay, d->number, err);
    overlay_free(overlay);
    return result;
}

static int copy_disks(struct flatten *f, unsigned layer, struct err *err)
{
    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST; i++) {
        const struct saved_disk *d = snapshot_disk(&f->state, i);

        if (!d && f->writer.disks[i].fd >= 0)
            return err_set(err, "it has nothing of disk %u, which the layer beneath it has", i);
        if (d && copy_disk(f, layer, d, err) != 0)
            return -1;
    }
    return 0;
}

static int copy_layer(struct flatten *f, unsigned layer, struct err *err)
{
    const struct saved_extent *extents;
    size_t count;

    if (chain_read(&f->chain.layers[layer], &f->state, err) != 0)
        return -1;
    extents = snapshot_extents(&f->state, &count);
    for (size_t i = 0; i < count; i++) {
        if (copy_extent(f, f->chain.layers[layer].memory_fd, &extents[i], err) != 0)
            return -1;
    }
    return copy_disks(f, layer, err);
}

/* --- all else is the uppermost's, which was read last --- */

static bool is_writers(uint32_t kind)
{
    return kind == RECORD_MEMORY || kind == RECORD_DIGESTS || kind == RECORD_DISK ||
           kind == RECORD_PARENT;
}

static int copy_records(struct flatten *f, struct err *err)
{
    for (unsigned i = 0; i < f->state.count; i++) {
        const struct snapshot_record *r = &f->state.records[i];

        if (!is_writers(r->kind) &&
            snapshot_writer_record(&f->writer, r->kind, r->version, r->payload, r->size, err) != 0)
            return -1;
    }
    return 0;
}

static int begin(struct flatten *f, const char *out, struct err *err)
{
    const struct snapshot_header *top = &f->chain.layers[0].header;
    struct snapshot_header header = {.memory = top->memory,
                                     .flags = top->flags & ~(uint32_t)SNAPSHOT_DIFF,
                                     .created_ns = (uint64_t)clock_ns(CLOCK_REALTIME)};

    if (getrandom(header.id, sizeof(header.id), 0) != sizeof(header.id))
        return err_sys(err, "getrandom");
    return snapshot_writer_open(&f->writer, out, &header, err);
}

static int flatten(struct flatten *f, const char *out, bool sync, struct err *err)
{
    if (begin(f, out, err) != 0)
        return -1;
    for (unsigned layer = f->chain.count; layer-- > 0;) {
        if (copy_layer(f, layer, err) != 0)
            return err_in(err, "%s, layer %u", f->chain.path, layer);
    }
    return copy_records(f, err) != 0 ? -1 : snapshot_writer_commit(&f->writer, sync, err);
}

int flatten_command(int argc, char **argv, struct report *report)
{
    static struct flatten f;
    bool sync = !(argc == 3 && strcmp(argv[2], "--no-sync") == 0);
    int status;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        printf(
            "%s\n\nMakes of a diff, and of all beneath it, the new snapshot OUT, which is whole.\n",
            usage);
        return 0;
    }
    if (argc < 2 || argc > 3 || (argc == 3 && sync) || argv[0][0] == '-' || argv[1][0] == '-') {
        err_set(&report->err, "%s", usage);
        return EXIT_SAMARA;
    }
    signal(SIGXFSZ, SIG_IGN);
    f.writer = (struct snapshot_writer)SNAPSHOT_WRITER_CLOSED;
    status = chain_open(&f.chain, argv[0], SNAPSHOT_DISKS_MOST, &report->err);
    if (status == 0)
        status = flatten(&f, argv[1], sync, &report->err);
    snapshot_writer_abort(&f.writer);
    chain_close(&f.chain);
    return status == 0 ? 0 : SAID_NO;
}
