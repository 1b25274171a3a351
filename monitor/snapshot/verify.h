/* Is a snapshot what it was when it was made? Reads all of it. */
#ifndef SAMARA_MONITOR_SNAPSHOT_VERIFY_H
#define SAMARA_MONITOR_SNAPSHOT_VERIFY_H

#include "monitor/snapshot/facts.h"
#include "monitor/snapshot/snapshot_dir.h"

/* Of one that was opened, and so has a good state: manifest.json, the digest of each chunk, and
 * that `memory` has nothing but zeroes elsewhere. -1 with err, which names file and offset. */
int snapshot_verify(const struct snapshot_dir *d, const struct snapshot_facts *facts,
                    struct err *err);

#endif
