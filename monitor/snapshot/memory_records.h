/* What a state says of memory, made of what the writer knows of it. */
#ifndef SAMARA_MONITOR_SNAPSHOT_MEMORY_RECORDS_H
#define SAMARA_MONITOR_SNAPSHOT_MEMORY_RECORDS_H

#include "monitor/snapshot/extents.h"
#include "monitor/snapshot/state_file.h"

/* RECORD_MEMORY and RECORD_DIGESTS, with digests of what the file has by now. -1 with err. */
int memory_records_put(struct snapshot_builder *b, int memory, const struct page_bits *bits,
                       struct err *err);

#endif
