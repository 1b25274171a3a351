/*
 * A snapshot on its way into a new VM. Whoever has the caller's rights opens its files; they are
 * read in the monitor, where a mistake in a parser opens no door, but for the first few bytes, and
 * for a diff's path to its parent.
 *
 *     before the split   chain_open: descriptors, and how much memory it wants
 *     monitor            restored_read ── CPUID ── restored_map ── restored_load
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_RESTORED_H
#define SAMARA_MONITOR_SNAPSHOT_RESTORED_H

#include "devices/disk.h"
#include "monitor/control_proto.h"
#include "monitor/cpuid.h"
#include "monitor/snapshot/chain.h"
#include "monitor/snapshot/records_check.h"
#include "monitor/snapshot/working_set.h"
#include "monitor/vcpu_saved.h"

struct vm;

struct restored {
    struct chain chain;
    struct snapshot_state states[CHAIN_MOST]; /* as in the chain: the first is what it grows from */
    unsigned count;                           /* of states; the chain is closed once it is mapped */
    struct vcpu_saved vcpu;
    struct working_set working; /* as it was recorded; empty if it was not */
    int record_fd; /* a pipe: the working set is to be recorded; -1: it is not, or has been */
};

/* Reads and checks the state of each of its layers. -1 with err. */
int restored_read_states(struct restored *r, struct err *err);

/* That, and all that a VM needs of it. The guest's CPUID becomes what it was: *cpuid is what this
 * host can give it, and is replaced. -1 with err. */
int restored_read(struct restored *r, struct cpuid_table *cpuid, struct err *err);

/* What its layers have of disk `number` comes to lie beneath the disk's own overlay, which is
 * empty; of a disk that is only read they have nothing. After disk_start, before chain_close. -1
 * with err. */
int restored_put_disk(struct restored *r, unsigned number, struct disk *disk, struct err *err);

/* The same for readers without a base, *overlay: NULL, if there is nothing of such a disk. */
int restored_open_disk(struct restored *r, unsigned number, struct overlay **overlay,
                       struct err *err);

/* Maps what the snapshot has of memory over ram, of as many bytes, the lowest layer first. -1 with
 * err. */
int restored_map(const struct restored *r, uint8_t *ram, struct err *err);

/* Gives what the clone is going to write, or read, its memory, as far as that was recorded; only
 * for speed. In any thread, once it is mapped. */
void restored_populate(const struct restored *r, enum working_kind kind, uint8_t *ram);

/* What will be written, in turns: *at begins as zero. False: that was all. */
struct working_cursor {
    uint32_t extent, page;
};
bool restored_populate_some(const struct restored *r, struct working_cursor *at, uint8_t *ram);

/* All of it, what is read too, and KVM maps it: for a clone that is parked. In the vCPU thread; the
 * vCPU is afterwards as it was loaded. -1 with err: it is not. */
int restored_touch(const struct restored *r, struct vm *vm, struct err *err);

/* Which parts of RAM are mapped from files: of layer `layer`, from 0; NULL: there is none. */
const struct saved_extent *restored_extents(const struct restored *r, unsigned layer,
                                            size_t *count);

/* The vCPU, the clock, the devices, and the platform page of a new individual. Takes the device
 * lock; devices go on at once. -1 with err. */
int restored_load(const struct restored *r, struct vm *vm, struct err *err);

/* Once more, for a VM that has run and whose memory is as it was mapped; it becomes who `who` says.
 * In the vCPU thread, with the device lock. -1 with err. */
int restored_reload(const struct restored *r, struct vm *vm, const struct control_reset *who,
                    struct err *err);

/* Of one that has not run since it was loaded: it has not slept. Likewise. */
int restored_wake(const struct restored *r, struct vm *vm, struct err *err);

/* The path of the program that runs in it. */
void restored_program(const struct restored *r, char *to, size_t size);

#endif
