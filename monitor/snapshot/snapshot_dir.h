/*
 * A snapshot's directory, opened by whoever has the caller's rights. The directory is a stranger's:
 * its state is read once and checked before anything of it is used; its memory is only seen to be
 * as long as the state says (somebody who may write the file may also make it shorter later).
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_DIR_H
#define SAMARA_MONITOR_SNAPSHOT_DIR_H

#include "monitor/snapshot/records_check.h"

struct snapshot_dir {
    int dir, memory; /* descriptors, for reading */
    uint8_t *bytes;  /* of the file `state` */
    size_t size;
    struct snapshot_state state; /* into bytes; its records have been checked */
};

#define SNAPSHOT_DIR_CLOSED                                                                        \
    {                                                                                              \
        .dir = -1, .memory = -1                                                                    \
    }

/* -1 with err, which begins with the path; it is closed then. */
int snapshot_dir_open(struct snapshot_dir *d, const char *path, struct err *err);
void snapshot_dir_close(struct snapshot_dir *d);

/* A regular file of the directory, for reading. -1 with err. */
int snapshot_dir_file(int dir, const char *file, struct err *err);

/* A regular file of the directory, whole, in memory that the caller frees: 8-aligned, and not NULL
 * even if it is empty. NULL with err if it is no such file, or has more than `most` bytes. */
uint8_t *snapshot_dir_read(int dir, const char *file, size_t most, size_t *size, struct err *err);

#endif
