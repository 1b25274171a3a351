/*
 * Taking a snapshot, in the monitor: sends the VM as it is at one moment over a control client's
 * connection, which `samara snapshot` makes a directory of (control_proto.h has the frames).
 *
 *     start ── rounds of blocks and pages ── disks stand ── freeze ──(guest stands)── last pages,
 *              loop thread                                             vCPU thread      records
 *
 *     ── thaw ── last blocks ── disks go on ── send
 *                disks' threads                loop thread
 *
 * The guest waits only while what it has changed last is copied within this process, its disks only
 * while their own threads do what was asked before and read what was written last; how fast the
 * client is makes no difference to them. A client that goes, or takes nothing for
 * SENDER_PATIENCE_MS, has asked for nothing.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_SENDER_H
#define SAMARA_MONITOR_SNAPSHOT_SENDER_H

#include "monitor/control_proto.h"
#include "monitor/snapshot/disk_rounds.h"
#include "monitor/snapshot/gather.h"
#include "monitor/snapshot/rounds.h"
#include "monitor/vm.h"

enum { SENDER_PATIENCE_MS = 30000 };

enum sender_phase {
    SENDER_IDLE,
    SENDER_COPYING,  /* the guest runs */
    SENDER_SETTLING, /* disks have been asked to stand */
    SENDER_STOPPING, /* the guest has, too */
    SENDER_SENDING,
    SENDER_AWAITING, /* all is sent: the client makes it last */
    SENDER_ENDING,   /* a disk's thread is still at it */
};

enum { SENDER_HEAD = sizeof(struct stream_begin) };
_Static_assert(sizeof(struct stream_end) <= SENDER_HEAD &&
                   sizeof(struct stream_pages) <= SENDER_HEAD &&
                   sizeof(struct stream_disk) <= SENDER_HEAD &&
                   sizeof(struct stream_blocks) <= SENDER_HEAD &&
                   sizeof(struct stream_record) <= SENDER_HEAD,
               "the longest that a frame begins with");

/* A frame under way: head, then body. */
struct sender_frame {
    uint8_t head[CONTROL_HEADER + SENDER_HEAD];
    size_t head_size, size, sent; /* size and sent count both */
    const uint8_t *body;
};

struct snapshot_sender {
    struct vm *vm;
    void (*stopped)(void *arg); /* the client has it, and wanted the VM to end; loop thread */
    void *arg;
    enum sender_phase phase;
    bool stop; /* the guest is not to go on */
    bool diff;
    int fd, watch;
    uint64_t asked_ns, pause_ns;
    struct err err;
    struct sender_frame frame;
    struct rounds rounds;
    struct disk_rounds disks;
    bool disks_round; /* one of disks is under way, not of pages */
    bool waits;       /* for a disk's thread */
    uint64_t pages;   /* that were sent */
    unsigned next_disk;
    size_t next_copy, next_record;
    bool begun, ended;
    uint8_t in[CONTROL_HEADER];
    size_t got;
    struct loop_task turn;
    struct loop_timer patience;
    struct record_buffer records;
};

/* vm, stopped and arg are set; before the guest runs. */
void sender_init(struct snapshot_sender *s);

/* Begins, and takes over the client's descriptor. -1 with err: not now. In the loop thread. */
int sender_start(struct snapshot_sender *s, int fd, uint32_t flags, struct err *err);

/* The guest stands, as sender_start has asked for: the moment. In the vCPU thread. */
void sender_frozen(struct snapshot_sender *s);

#endif
