/*
 * The boot timeline: host steps as they happen, guest marks from the platform page at the end, on
 * one clock, written as Chrome trace events (JSON).
 */
#ifndef SAMARA_MONITOR_TRACE_H
#define SAMARA_MONITOR_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/platform.h"
#include "monitor/err.h"

#define TRACE_STEPS 16

/* What is done at once (vm_create.c); each is written by one thread at a time. */
enum trace_track { TRACE_MACHINE, TRACE_ROOM, TRACE_KEEPER, TRACE_TRACKS };

struct trace_steps {
    unsigned count;
    struct {
        const char *name; /* of the step that ends here; the first only starts the track */
        uint64_t ns;      /* CLOCK_MONOTONIC */
    } steps[TRACE_STEPS];
};

struct trace {
    bool wanted; /* nobody wants one: marking costs a test */
    struct trace_steps tracks[TRACE_TRACKS];
};

void trace_init(struct trace *trace, bool wanted);

/* Opens the file, before the VM exists: a bad path must not cost a run. A descriptor, or -1 with
 * err. */
int trace_open(const char *path, struct err *err);

/* Notes that the step called name (a constant) ends now. */
void trace_step(struct trace *trace, enum trace_track track, const char *name);

/* Writes and closes the file fd. guest_offset is what to add to a guest mark's time
 * to get CLOCK_MONOTONIC. The page is a copy of the guest's and not trusted. */
int trace_write(struct trace *trace, int fd, const struct samara_platform *page,
                int64_t guest_offset, struct err *err);

#endif
