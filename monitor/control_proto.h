/*
 * The control protocol: what a client asks a running VM, over the VM's UNIX socket. Frames both
 * ways, little-endian:
 *
 *     u32 length of the payload, at most CONTROL_PAYLOAD
 *     u16 version, CONTROL_VERSION
 *     u16 kind: enum control_kind; in an answer with CONTROL_ANSWER added
 *     payload: in a request none, but for SNAPSHOT and RESET; in an answer one JSON object with
 * "ok", and "error" if that is false
 *
 * One request after the other: the next is read when the answer has gone. docs/control.md is for
 * users.
 *
 * SNAPSHOT is answered, if it is not refused, with frames of enum snapshot_frame: BEGIN, then
 * PAGES, RECORDs and DISKs with their BLOCKS behind them, in any order, END or FAILED. Who has made
 * it last says SNAPSHOT_DONE; whoever goes before has asked for nothing.
 */
#ifndef SAMARA_MONITOR_CONTROL_PROTO_H
#define SAMARA_MONITOR_CONTROL_PROTO_H

#include <stddef.h>
#include <stdint.h>

enum { CONTROL_VERSION = 1, CONTROL_HEADER = 8, CONTROL_PAYLOAD = 4096, CONTROL_ANSWER = 0x8000 };

enum control_kind {
    CONTROL_STATUS = 1,
    CONTROL_PAUSE,    /* answered when the guest stands */
    CONTROL_RESUME,   /* ... goes on */
    CONTROL_SHUTDOWN, /* SIGTERM to the program */
    CONTROL_KILL,     /* the VM ends, as if by SIGKILL */
    CONTROL_LIST,     /* answered with a line of text for `samara ps`, not JSON */
    CONTROL_SNAPSHOT, /* struct control_snapshot */
    CONTROL_SNAPSHOT_DONE,
    CONTROL_RESET,  /* struct control_reset; answered when the guest is about to go on */
    CONTROL_RECORD, /* what it has used by now is its working set */
    CONTROL_KINDS,
};

enum {
    SNAPSHOT_STOP = 1 << 0,  /* the VM ends once the snapshot lasts */
    SNAPSHOT_LAYER = 1 << 1, /* a diff to the snapshot that the VM grew from */
    SNAPSHOT_WISHES = 3,     /* all of them */
};

struct control_snapshot {
    uint32_t flags;
    uint32_t reserved; /* 0 */
};

/* Who a clone becomes: random bytes, which a confined monitor has none of. */
struct control_reset {
    uint8_t seed[32];
    uint64_t generation[2];
};

enum { CONTROL_REQUEST = sizeof(struct control_reset) }; /* the longest payload of a request */
_Static_assert(sizeof(struct control_snapshot) == 8 && CONTROL_REQUEST == 48, "as they are sent");

/* What a snapshot is sent as; each but FAILED begins with its struct. */
enum snapshot_frame {
    STREAM_BEGIN = 0x4001, /* struct stream_begin */
    STREAM_PAGES,          /* struct stream_pages, then pages of RAM */
    STREAM_RECORD,         /* struct stream_record, then its payload */
    STREAM_END,            /* struct stream_end */
    STREAM_FAILED,         /* a line of text: why there is none */
    STREAM_DISK,           /* struct stream_disk: there is one */
    STREAM_BLOCKS,         /* struct stream_blocks, then blocks of that disk */
    STREAM_KINDS_END,
};
enum { STREAM_PAYLOAD = 1 << 20 };

struct stream_begin {
    uint64_t memory; /* bytes of RAM */
    uint32_t flags;  /* SNAPSHOT_LAYER */
    uint32_t reserved;
    uint8_t parent[16]; /* its id; zero: none */
};

struct stream_pages {
    uint64_t offset; /* in RAM, without the device hole */
};

/* A disk with an overlay. */
struct stream_disk {
    uint32_t number;
    uint32_t reserved; /* 0 */
    uint64_t size;     /* bytes, of its base */
    int64_t changed_ns;
};

/* What is beyond the disk's end is zero. */
struct stream_blocks {
    uint32_t number;
    uint32_t reserved; /* 0 */
    uint64_t offset;   /* bytes, a multiple of a block's 4096 */
};

struct stream_record {
    uint32_t kind, version; /* monitor/snapshot/records.h */
};

struct stream_end {
    uint64_t pause_ns; /* for which the guest did not run */
    uint64_t pages;    /* of RAM that were sent, some of them several times */
    uint64_t rounds;   /* in which that happened */
};

struct control_frame {
    uint32_t length;
    uint16_t version, kind;
};

enum control_verdict {
    CONTROL_MORE,    /* not all of it is there */
    CONTROL_GOOD,    /* a header, and what it says may be */
    CONTROL_UNKNOWN, /* another version, or no such kind: answered, then closed */
    CONTROL_BAD,     /* not this protocol, or too long: closed */
};

/* Looks at the first `size` bytes of a request. *frame has the header once that is there. */
enum control_verdict control_parse(const uint8_t *bytes, size_t size, struct control_frame *frame);

/* Of a request that begins with these `size` bytes, how many have to come before it can be parsed
 * further; 0: none. */
size_t control_missing(const uint8_t *bytes, size_t size);

/* A frame of a snapshot's stream: its header. */
enum control_verdict control_parse_stream(const uint8_t bytes[CONTROL_HEADER],
                                          struct control_frame *frame);

/* The same of an answer to `kind`. */
enum control_verdict control_parse_answer(const uint8_t *bytes, size_t size, enum control_kind kind,
                                          struct control_frame *frame);

void control_put_header(uint8_t to[CONTROL_HEADER], const struct control_frame *frame);

#endif
