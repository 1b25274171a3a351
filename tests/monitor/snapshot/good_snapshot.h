/* A folder with a small snapshot in it, for tests that read one. */
#ifndef SAMARA_TESTS_MONITOR_SNAPSHOT_GOOD_SNAPSHOT_H
#define SAMARA_TESTS_MONITOR_SNAPSHOT_GOOD_SNAPSHOT_H

#include "tests/monitor/snapshot/good_state.h"

extern char snapshot_folder[]; /* below /tmp, made and removed by these: */
extern char snapshot_path[64]; /* FOLDER/snap */
void snapshot_folder_make(void);
void snapshot_folder_remove(void);

/* Writes the good records and pages 1 and 2 of 'a', 4 of 'b' to snapshot_path. */
void good_snapshot(const struct snapshot_header *header);

/* The same, and of disk 0, which ends with a part of a block, blocks 1 and 2 of 'c', the last of
 * 'd' and block 9, which became zero. */
enum { GOOD_DISK = 20 * 4096 - 512 };
void good_snapshot_with_disk(const struct snapshot_header *header);

/* sh -c, formatted, in the snapshot's directory; it has to succeed. */
void in_snapshot(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
