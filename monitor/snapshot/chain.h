/*
 * A snapshot and, if it is a diff, all those beneath it: layers[0] is the one that was asked for,
 * the last one is whole. A parent is looked for where the diff says that it was, and beside the
 * diff under the same name, and is known by its id.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_CHAIN_H
#define SAMARA_MONITOR_SNAPSHOT_CHAIN_H

#include "monitor/snapshot/records_check.h"

enum { CHAIN_MOST = 64, CHAIN_PATH = 4096 };

struct chain_layer {
    int state_fd, memory_fd;
    int disks[SNAPSHOT_DISKS_MOST]; /* -1: it has no such file */
    struct snapshot_header header;
};

struct chain {
    char path[CHAIN_PATH]; /* of the one that was asked for, absolute */
    unsigned disks;        /* whose files are looked for */
    int working_fd;        /* that one's working set; -1: it has none. Open while count is not 0 */
    unsigned count;
    struct chain_layer layers[CHAIN_MOST];
};

/* With the caller's rights; files of the first `disks` disks, too. Only of diffs more than the
 * header is read here. Descriptors of many layers have high numbers, those of disks the ones by
 * which the seccomp policy knows them. -1 with err; it is closed then. */
int chain_open(struct chain *c, const char *path, unsigned disks, struct err *err);
void chain_close(struct chain *c);

/* Who grows a VM from it says so first: a snapshot for a single use is marked by a file `used` in
 * its directory, and refused from then on. -1 with err. */
int chain_use(const struct chain *c, struct err *err);

/* The whole of a layer's state, checked, in memory that lasts; its memory file is as long as it has
 * to be. -1 with err. */
int chain_read(const struct chain_layer *layer, struct snapshot_state *state, struct err *err);

#endif
