/*
 * The other end of sender.h: a VM's snapshot, frame by frame from its control socket into a
 * writer's directory. The VM may be broken: nothing is believed.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_RECEIVE_H
#define SAMARA_MONITOR_SNAPSHOT_RECEIVE_H

#include "monitor/control_proto.h"
#include "monitor/snapshot/snapshot_writer.h"

struct receive_wish {
    const char *out;
    uint32_t flags; /* SNAPSHOT_STOP, SNAPSHOT_LAYER */
    bool sync;
    bool single_use; /* it may be restored once */
};

struct receive_result {
    uint64_t memory, bytes; /* of RAM, and of it what is not zero */
    uint64_t disk_bytes;    /* of blocks of disks */
    uint64_t rounds;        /* in which it was copied */
    uint64_t pause_ns;
};

/* fd is a connection to the VM, which does not block and stays the caller's. -1 with err; errno is
 * EINTR if a signal ended it. Nothing is left at out then. */
int snapshot_receive(int fd, const struct receive_wish *wish, struct receive_result *result,
                     struct err *err);

#endif
