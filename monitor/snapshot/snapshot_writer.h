/*
 * A snapshot on its way to a directory: written under a temporary name beside the final one, synced
 * and renamed. Runs in the `samara snapshot` command, with the caller's rights; what it is given
 * comes from a monitor that may be broken, and is checked: what readers would refuse is not
 * written. The caller ignores SIGXFSZ, so that a limit is an error like a full disk.
 *
 *     open ── pages, disks, blocks, records ──┬── commit: OUT exists, whole
 *                                             └── abort:  nothing is left
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_WRITER_H
#define SAMARA_MONITOR_SNAPSHOT_WRITER_H

#include "monitor/snapshot/disk_writer.h"
#include "monitor/snapshot/records_check.h"

struct snapshot_writer {
    char path[4096];         /* OUT */
    size_t name;             /* where its last component begins */
    char temporary[256];     /* beside it; "" while there is none */
    int parent, dir, memory; /* descriptors */
    uint64_t ram;            /* bytes */
    uint8_t *present;        /* bits: the page is in `memory` and not zero */
    uint8_t *known;          /* bits: it was given, zero or not */
    bool diff;
    struct disk_writer disks[SNAPSHOT_DISKS_MOST];
    struct snapshot_builder state;
    struct snapshot_header header;
};

#define SNAPSHOT_WRITER_CLOSED                                                                     \
    {                                                                                              \
        .parent = -1, .dir = -1, .memory = -1, .disks = {                                          \
            DISK_WRITER_CLOSED,                                                                    \
            DISK_WRITER_CLOSED,                                                                    \
            DISK_WRITER_CLOSED,                                                                    \
            DISK_WRITER_CLOSED,                                                                    \
            DISK_WRITER_CLOSED,                                                                    \
            DISK_WRITER_CLOSED,                                                                    \
            DISK_WRITER_CLOSED,                                                                    \
            DISK_WRITER_CLOSED                                                                     \
        }                                                                                          \
    }

/* `out` must not exist. header: flags, id, parent and created_ns are the caller's; memory is the
 * bytes of RAM. Pages that are never given are zero; in a diff, its parent's. -1 with err: nothing
 * was made. */
int snapshot_writer_open(struct snapshot_writer *w, const char *out,
                         const struct snapshot_header *header, struct err *err);

/* Contents of RAM at `offset` (both multiples of 4096, within RAM): pages of zeroes become holes.
 * May be given again: the last counts. -1 with err (a full disk, say): abort is to follow. */
int snapshot_writer_pages(struct snapshot_writer *w, uint64_t offset, const void *bytes,
                          uint64_t size, struct err *err);

/* Bytes of RAM that are not zero, as far as they were given; and in blocks of disks. */
uint64_t snapshot_writer_bytes(const struct snapshot_writer *w);
uint64_t snapshot_writer_disk_bytes(const struct snapshot_writer *w);

/* There is a disk of this number, upon this base; none of its blocks is known yet. Then blocks, as
 * disk_writer_blocks takes them. -1 with err. */
int snapshot_writer_disk(struct snapshot_writer *w, unsigned number,
                         const struct overlay_base *base, struct err *err);
int snapshot_writer_blocks(struct snapshot_writer *w, unsigned number, uint64_t offset,
                           const void *bytes, uint64_t size, struct err *err);

/* A record for the state; RECORD_MEMORY, RECORD_DIGESTS and RECORD_DISK are the writer's own. */
int snapshot_writer_record(struct snapshot_writer *w, uint32_t kind, uint32_t version,
                           const void *payload, size_t size, struct err *err);

/* Writes state and manifest.json, syncs all of it if `sync`, and gives it its name, which fails if
 * somebody else has taken that meanwhile. -1 with err: there is no OUT of ours, and abort is to
 * follow. */
int snapshot_writer_commit(struct snapshot_writer *w, bool sync, struct err *err);

/* Removes what there is; after a commit: only closes. */
void snapshot_writer_abort(struct snapshot_writer *w);

#endif
