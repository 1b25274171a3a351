/* What a state tells people: manifest.json and `samara inspect` are made of it. */
#ifndef SAMARA_MONITOR_SNAPSHOT_FACTS_H
#define SAMARA_MONITOR_SNAPSHOT_FACTS_H

#include "monitor/snapshot/checksum.h"
#include "monitor/snapshot/records_check.h"

#define DIGEST_TEXT (2 * DIGEST_SIZE + 1) /* hexadecimal */

struct snapshot_device {
    uint32_t slot, id, queues;
    uint64_t features; /* that the guest's driver has taken */
    const char *name;  /* "vsock"; NULL if it has none */
};

struct snapshot_disk_facts {
    uint32_t number;
    struct overlay_base base;
    uint64_t blocks;
    struct saved_digests digests;
    char digest[DIGEST_TEXT]; /* of its bitmap's and all chunks' digests, one after the other */
};

struct snapshot_facts {
    char id[2 * SNAPSHOT_ID + 1], parent[2 * SNAPSHOT_ID + 1]; /* hexadecimal; "" for no parent */
    bool diff, single_use;
    char created[40];                            /* RFC 3339, UTC */
    char program[4096 + 1];                      /* strangers' text, as are these: */
    char samara[33], kernel[65], cpu_vendor[13]; /* "" if CPUID has no leaf 0 */
    bool has_cpu_model;                          /* CPUID has leaf 1 */
    unsigned cpu_family, cpu_model, cpu_stepping;
    uint64_t memory, data, zeroed; /* bytes: of RAM, in `memory`, of EXTENT_ZERO */
    size_t extents;
    struct saved_digests digests;
    char memory_digest[DIGEST_TEXT]; /* of all chunks' digests, one after the other */
    size_t state_size;
    unsigned records;
    char state_digest[DIGEST_TEXT]; /* of the whole file */
    unsigned devices;
    struct snapshot_device device[SNAPSHOT_DEVICES_MOST];
    size_t connections;
    unsigned disks; /* those that were written to */
    struct snapshot_disk_facts disk[SNAPSHOT_DISKS_MOST];
};

/* Of a state that was checked, and the bytes it was parsed from. */
void snapshot_facts(struct snapshot_facts *facts, const struct snapshot_state *state,
                    const uint8_t *bytes, size_t size);

#endif
