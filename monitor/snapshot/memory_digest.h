/* Digests of what the file `memory` has, as RECORD_DIGESTS keeps them. */
#ifndef SAMARA_MONITOR_SNAPSHOT_MEMORY_DIGEST_H
#define SAMARA_MONITOR_SNAPSHOT_MEMORY_DIGEST_H

#include "monitor/err.h"
#include "monitor/snapshot/checksum.h"
#include "monitor/snapshot/records_check.h"

/* Of the bytes of one chunk that are in EXTENT_DATA; `extent` is the first that has some, as
 * snapshot_next_chunk has it. -1 with err: the file cannot be read. */
int memory_digest(int memory, const struct saved_extent *extents, size_t count, uint64_t chunk_size,
                  size_t extent, uint64_t chunk, uint8_t digest[DIGEST_SIZE], struct err *err);

#endif
