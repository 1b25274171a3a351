/*
 * The file `working-set` beside a snapshot's `state` (docs/snapshot-format.md): which pages a clone
 * needs from when it goes on until it first says something, so that the next has them before it
 * starts. A stranger's like the rest. A wrong one costs time and memory, up to the limits below;
 * what the guest sees is the same with any, and with none.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_WORKING_SET_H
#define SAMARA_MONITOR_SNAPSHOT_WORKING_SET_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/err.h"
#include "monitor/snapshot/state_file.h"

enum { WORKING_SET_VERSION = 1 };
enum working_kind {
    WORKING_WRITTEN = 1, /* a clone gets pages of its own */
    WORKING_READ = 2,    /* those of the files, which it shares with others */
};

/* What a pipe takes at once is room for all of it. */
enum { WORKING_EXTENTS_MOST = 2048 };
#define WORKING_PAGES_MOST (UINT32_C(64) << 20 >> 12) /* of all extents */

struct working_head {
    char magic[8]; /* samaraws */
    uint32_t version;
    uint32_t count;          /* of the extents that follow */
    uint8_t id[SNAPSHOT_ID]; /* of the snapshot */
    uint64_t checksum;       /* XXH3-64 of all, with this field zero */
};
_Static_assert(sizeof(struct working_head) == 40, "as it is in the file");

struct working_extent {
    uint64_t offset; /* in RAM, without the device hole; a multiple of 4096 */
    uint32_t pages;  /* not zero */
    uint32_t kind;   /* enum working_kind */
};
_Static_assert(sizeof(struct working_extent) == 16, "as it is in the file");

/* As it is in the file. */
struct working_set {
    struct working_head head;
    struct working_extent extents[WORKING_EXTENTS_MOST];
};

/* Bytes of the file. */
size_t working_set_size(const struct working_set *set);

/* Empties it. */
void working_set_clear(struct working_set *set);

/* Adds a page behind all others. What is too much is left out. */
void working_set_add(struct working_set *set, uint64_t page, enum working_kind kind);

/* Cuts off what is beyond the limits and makes the head right: it is that snapshot's. */
void working_set_seal(struct working_set *set, const uint8_t id[SNAPSHOT_ID]);

/* Is what was read into `set`, `size` bytes, one of that snapshot's, which has so much memory? -1
 * with err. */
int working_set_check(const struct working_set *set, size_t size,
                      const struct snapshot_header *snapshot, struct err *err);

/* Reads the file and checks it. -1 with err, and it is empty. */
int working_set_read(struct working_set *set, int fd, const struct snapshot_header *snapshot,
                     struct err *err);

#endif
