/*
 * Recording a working set, in the keeper: what the monitor has found goes into the snapshot's
 * directory, which is the one thing that is ever added to a finished snapshot. The monitor is a
 * stranger: what it sends is checked as any such file is.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_WORKING_KEEP_H
#define SAMARA_MONITOR_SNAPSHOT_WORKING_KEEP_H

#include <stdbool.h>

#include "monitor/snapshot/chain.h"
#include "monitor/snapshot/working_set.h"

struct working_keep {
    int fd;                    /* from the monitor; -1: nothing is to be recorded, or all is done */
    bool asked;                /* for: a failure is worth a line, and an older one is replaced */
    const struct chain *chain; /* the first layer's header and the path are used */
    struct working_set set;
    size_t got;
};

/* Is there to be a recording of this chain? asked: in any case. Else if it has none yet, is for
 * more than one use, and may be written to. *end becomes the monitor's end of the pipe, or -1. -1
 * with err if it was asked for and cannot be. */
int working_keep_open(struct working_keep *k, const struct chain *chain, bool asked, int *end,
                      struct err *err);

/* Something is there to be read, or the monitor has closed its end. */
void working_keep_turn(struct working_keep *k);

/* The monitor has ended: what is still there counts. */
void working_keep_close(struct working_keep *k);

#endif
