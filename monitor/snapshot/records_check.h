/*
 * Are the records of a state what records.h says? Sizes, versions, how many there are of each kind,
 * and what can be said of their contents without a machine. KVM's structures are KVM's to judge.
 *
 * Afterwards whoever wants a record takes its payload as an array of the struct that records.h
 * names, and has to check only what concerns the machine at hand.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_RECORDS_CHECK_H
#define SAMARA_MONITOR_SNAPSHOT_RECORDS_CHECK_H

#include "abi/memory_map.h"
#include "monitor/snapshot/records.h"
#include "monitor/snapshot/state_file.h"

enum {
    SNAPSHOT_EXTENTS_MOST = 65536, /* a mapping each, of which Linux allows a process 65530 */
    SNAPSHOT_CHUNK = 2 << 20,      /* what we write; readers take others */
    SNAPSHOT_DEVICES_MOST = SAMARA_VIRTIO_SLOTS,
    SNAPSHOT_DISKS_MOST = 8,
    SNAPSHOT_DISK_SLOT = 1,              /* of disk 0 */
    SNAPSHOT_DISK_CHUNKS_MOST = 1 << 16, /* of one disk */
};

/* Of a parsed state. -1 with err, which begins with "state: " and names the record. */
int snapshot_records_check(const struct snapshot_state *state, struct err *err);

/* "CONFIG"; NULL for a kind that is not known. */
const char *snapshot_record_name(uint32_t kind);

/* How many structs of `element` bytes a record holds, behind `fixed` other bytes. */
static inline size_t snapshot_elements(const struct snapshot_record *record, size_t fixed,
                                       size_t element)
{
    return (record->size - fixed) / element;
}

/* RECORD_MEMORY and RECORD_DIGESTS of a state that was checked. */
const struct saved_extent *snapshot_extents(const struct snapshot_state *state, size_t *count);
const uint8_t *snapshot_digests(const struct snapshot_state *state, struct saved_digests *digests);

/* RECORD_DISK of the disk of this number, its digests behind it; NULL: there is none. */
const struct saved_disk *snapshot_disk(const struct snapshot_state *state, unsigned number);

/* Bytes in EXTENT_DATA. */
uint64_t snapshot_data_size(const struct saved_extent *extents, size_t count);

/* The next chunk that has data, from *chunk on, which becomes its number; *extent is where to look,
 * and becomes the first extent that has some of it. Both start 0; after each chunk the caller adds
 * 1 to *chunk. False: there is none. */
bool snapshot_next_chunk(const struct saved_extent *extents, size_t count, uint64_t chunk_size,
                         size_t *extent, uint64_t *chunk);

#endif
