/* Records of a small VM that reader and writer take: what tests and the fuzzer begin with. */
#ifndef SAMARA_TESTS_MONITOR_SNAPSHOT_GOOD_STATE_H
#define SAMARA_TESTS_MONITOR_SNAPSHOT_GOOD_STATE_H

#include "monitor/snapshot/records.h"
#include "monitor/snapshot/state_file.h"

enum { GOOD_PAGES = 16, GOOD_MEMORY = GOOD_PAGES * 4096 };

extern const struct snapshot_header good_header; /* a full one, of GOOD_MEMORY */

/* Calls `put` for each record but those of memory, with bytes that do not change from call to call;
 * ends where one call fails, with what it returned. */
#define GOOD_PARENT "/srv/base.snap" /* of a diff */

int good_records(int (*put)(void *to, uint32_t kind, const void *payload, size_t size), void *to);

/* The same, into a builder. */
void good_build(struct snapshot_builder *b);

/* And with pages 1, 2 and 4 as data, whose contents are nobody's; b is complete. */
void good_state(struct snapshot_builder *b, const struct snapshot_header *header);

#endif
