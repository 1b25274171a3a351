/*
 * A snapshot's `state` file: a header that every version of samara can read, then records, each
 * with a kind, a version, a size and a checksum of its own (docs/snapshot-format.md).
 * Little-endian.
 *
 *     header │ record header, payload, padding to 8 │ record header, ...
 *
 * No record is known here: records.h says what their payloads are. The file is a stranger's: it is
 * read whole, once, into memory that nobody else writes, and checked before anything of it is used.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_STATE_FILE_H
#define SAMARA_MONITOR_SNAPSHOT_STATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/err.h"

#define SNAPSHOT_MAGIC "samarasn" /* 8 bytes, no NUL */
#define SNAPSHOT_ID    16

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_RECORDS_MOST = 256,
    SNAPSHOT_STATE_MOST = 64 << 20, /* bytes of the file */
};
#define SNAPSHOT_MEMORY_MOST (UINT64_C(1) << 40) /* bytes of RAM */

enum {
    SNAPSHOT_DIFF = 1 << 0,       /* memory holds only what has changed since the parent */
    SNAPSHOT_SINGLE_USE = 1 << 1, /* a second restore is refused */
    SNAPSHOT_FLAGS = SNAPSHOT_DIFF | SNAPSHOT_SINGLE_USE,
};

/* Fields are only ever added at the end, in every version: header_size says how many there are. */
struct snapshot_header {
    char magic[8];
    uint32_t version;     /* of everything behind this header */
    uint32_t header_size; /* bytes, a multiple of 8: where records begin */
    uint64_t file_size;
    uint32_t records;
    uint32_t flags;              /* SNAPSHOT_* */
    uint8_t id[SNAPSHOT_ID];     /* random, not zero */
    uint8_t parent[SNAPSHOT_ID]; /* zero: none; a diff has one */
    uint64_t memory;             /* bytes of guest RAM, a multiple of 4096 */
    uint64_t created_ns;         /* CLOCK_REALTIME */
    uint64_t checksum;           /* XXH3-64 of all header_size bytes, with this field zero */
};
_Static_assert(sizeof(struct snapshot_header) == 88, "saved layout");

struct snapshot_record_header {
    uint32_t kind;
    uint32_t version;
    uint64_t size;     /* bytes of the payload, without padding */
    uint64_t checksum; /* XXH3-64 of the fields before it and the payload */
};
_Static_assert(sizeof(struct snapshot_record_header) == 24, "saved layout");

/* --- reading --- */

struct snapshot_record {
    uint32_t kind, version;
    size_t at; /* of its header in the file, for errors */
    size_t size;
    const uint8_t *payload; /* 8-aligned, within the bytes that were parsed */
};

struct snapshot_state {
    struct snapshot_header header;
    unsigned count;
    struct snapshot_record records[SNAPSHOT_RECORDS_MOST];
};

/* The first bytes of any version's file; -1 with err if it is none, is damaged, or (naming both
 * versions) is of another one. *header is filled in for another version, too, as far as it goes.
 * Errors here and below begin with "state: ". */
int snapshot_header_parse(const uint8_t *bytes, size_t size, struct snapshot_header *header,
                          struct err *err);

/* The whole file; bytes are 8-aligned and have to outlive state. -1 with err, which says where (the
 * offset in the file) and what. What parses is exactly what the builder makes of the same header
 * and records. */
int snapshot_state_parse(const uint8_t *bytes, size_t size, struct snapshot_state *state,
                         struct err *err);

/* The record of a kind, by its number among those; NULL if there are not so many. */
const struct snapshot_record *snapshot_find(const struct snapshot_state *state, uint32_t kind,
                                            unsigned number);

/* --- writing --- */

/* Grows by itself; starts zero. */
struct snapshot_builder {
    uint8_t *bytes;
    size_t size, room;
    uint32_t records;
};

/* -1 with err: no memory, or more than a reader takes. */
int snapshot_put(struct snapshot_builder *b, uint32_t kind, uint32_t version, const void *payload,
                 size_t size, struct err *err);

/* Completes the header (its magic, version, sizes, records and checksum; the caller has set the
 * rest): b's bytes are the file. */
int snapshot_finish(struct snapshot_builder *b, const struct snapshot_header *header,
                    struct err *err);

void snapshot_builder_free(struct snapshot_builder *b);

#endif
