/*
 * Recording a working set, in the monitor: when the clone first says something, what there is in
 * its memory goes over a pipe to the keeper, which may write files (working_keep.h).
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_WORKING_RECORD_H
#define SAMARA_MONITOR_SNAPSHOT_WORKING_RECORD_H

struct vm;

/* Once, of a clone whose record_fd is a pipe's end. Under the device lock. */
void working_record(struct vm *vm);

#endif
