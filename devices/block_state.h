/* The block device from inside: block.c has requests' lives and the device, block_kinds.c what each
 * kind of request means. */
#ifndef SAMARA_DEVICES_BLOCK_STATE_H
#define SAMARA_DEVICES_BLOCK_STATE_H

#include "abi/virtio_blk.h"
#include "devices/block.h"

enum {
    BLOCK_QUEUE_SIZE = 128,
    BLOCK_REQUESTS = BLOCK_QUEUE_SIZE + 1, /* what can be under way, and one to find out that no
                                              more can */
    BLOCK_RANGE_SECTORS = 128 << 11,       /* of DISCARD and WRITE_ZEROES: 128 MiB */
};

struct block_request;

/* prepare: reads and checks what the guest wants; a status. work: does it, as far as it can without
 * waiting if flags say so; 0 when all is done, or -errno. */
struct block_kind {
    uint32_t type;
    const char *name;
    bool writes, flushes;
    bool moves_data; /* counts towards a limit of bytes */
    enum virtio_blk_status (*prepare)(struct block_request *r, uint64_t sector);
    int (*work)(struct block_request *r, unsigned flags);
};

struct block_request {
    struct worker_job job;
    struct block *block;
    struct block_request *next; /* free */
    const struct block_kind *kind;
    uint64_t at;   /* bytes: where on the disk, and ... */
    uint64_t left; /* ... how many are still to be moved or cleared */
    bool may_unmap;
    int result; /* 0 or -errno */
    struct vq_request req;
};

/* A snapshot keeps nothing of it but the transport and the configuration: no request is under way
 * then. */
struct block {
    struct virtio_device device;
    struct virtio_ops ops; /* what it offers depends on the disk */
    char name[16], id[VIRTIO_BLK_ID_BYTES];
    struct disk disk;
    struct worker *worker;
    bool durable;          /* the driver does not flush: writes have to last by themselves */
    bool dirty;            /* something was written since the last flush began */
    unsigned flushes;      /* that the worker has not done yet */
    bool writes_wait;      /* the file system cannot write without waiting */
    uint32_t at_once;      /* bytes that may still be moved within this turn */
    unsigned begun;        /* in this turn */
    size_t refused;        /* bytes that were zeroed in this turn because they were not written */
    struct loop_task more; /* what was left at the end of a turn */
    bool stands;           /* block_stand: nothing begins */
    struct rate rate;
    struct event_loop *loop;
    struct loop_timer due;      /* armed while one is held */
    struct block_request *held; /* taken from the queue, but not to begin yet; NULL */
    int lost;                   /* -errno; of the worker */
    struct worker_job last;     /* of block_finish and block_empty */
    int last_result;
    struct block_request *free;
    unsigned used; /* of those below, ever: the others' memory has not been touched */
    struct block_request requests[BLOCK_REQUESTS];
};

/* NULL: nobody knows it. */
const struct block_kind *block_kind_of(uint32_t type);

#endif
