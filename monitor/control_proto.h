/*
 * The control protocol: what a client asks a running VM, over the VM's UNIX socket. Frames both
 * ways, little-endian:
 *
 *     u32 length of the payload, at most CONTROL_PAYLOAD
 *     u16 version, CONTROL_VERSION
 *     u16 kind: enum control_kind; in an answer with CONTROL_ANSWER added
 *     payload: none in a request; in an answer one JSON object with "ok", and "error" if that is
 * false
 *
 * One request after the other: the next is read when the answer has gone. docs/control.md is for
 * users.
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
    CONTROL_KINDS,
};

struct control_frame {
    uint32_t length;
    uint16_t version, kind;
};

enum control_verdict {
    CONTROL_MORE,    /* not all of the header is there */
    CONTROL_GOOD,    /* a header, and what it says may be */
    CONTROL_UNKNOWN, /* another version, or no such kind: answered, then closed */
    CONTROL_BAD,     /* not this protocol, or too long: closed */
};

/* Looks at the first `size` bytes of a request. */
enum control_verdict control_parse(const uint8_t *bytes, size_t size, struct control_frame *frame);

/* The same of an answer to `kind`. */
enum control_verdict control_parse_answer(const uint8_t *bytes, size_t size, enum control_kind kind,
                                          struct control_frame *frame);

void control_put_header(uint8_t to[CONTROL_HEADER], const struct control_frame *frame);

#endif
