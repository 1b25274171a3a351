/*
 * The virtio-block device (Virtio 1.2, 5.2): one queue of requests upon a disk.
 *
 * What is in memory already is read within the notification, so that the guest finds the answer
 * when it comes back; everything else is done by a worker, one request after the other.
 */
#ifndef SAMARA_DEVICES_BLOCK_H
#define SAMARA_DEVICES_BLOCK_H

#include "devices/disk.h"
#include "devices/rate.h"
#include "devices/virtio_mmio.h"
#include "monitor/err.h"
#include "monitor/event_loop.h"
#include "monitor/worker.h"

struct block;

struct block_config {
    unsigned number;  /* "disk 0" in reports */
    const char *id;   /* for GET_ID, at most 20 characters; "" */
    struct disk disk; /* handed over */
    struct rate_config rate;
};

/* The worker is the device's alone and outlives it. NULL with err, the disk still the caller's. */
struct block *block_new(const struct block_config *config, const struct virtio_host *host,
                        struct worker *worker, struct event_loop *loop, struct err *err);

/* For a snapshot: takes no more requests; and waits, with the device lock released, until none is
 * under way. Either is undone by block_go_on. */
void block_hold(struct block *block);
void block_stand(struct block *block);
void block_go_on(struct block *block);

/* What it keeps its data in: the overlay's functions may be called as overlay.h allows. */
const struct disk *block_disk(const struct block *block);

/* For a reset, while the guest and its disk stand: nothing that was written stays in the overlay.
 * With the device lock, which is released while it waits. 0 or -errno. */
int block_empty(struct block *block);

/* The guest is gone: what it has written to an overlay is kept, flushed or not, as it would be in a
 * file. With the device lock, which is released while it waits. 0 or -errno. */
int block_finish(struct block *block);

/* Closes the disk; no job of the worker's is under way. */
void block_free(struct block *block);

struct virtio_device *block_device(struct block *block);

#endif
