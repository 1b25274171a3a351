/*
 * Chrome's trace event format, in microseconds. See trace.h. A step is a pair of events, begin and
 * end, not one with a duration: speedscope adds start and duration in floating point, and a step
 * that seems to end behind the start of the next is drawn around all that follow.
 */
#include "monitor/trace.h"

#include <stdio.h>
#include <string.h>

#include "monitor/clock.h"

enum { GUEST = TRACE_TRACKS }; /* the track after the host's */

static const char *const track_names[] = {"host: machine", "host: contents", "guest"};

void trace_step(struct trace *trace, enum trace_track track, const char *name)
{
    struct trace_steps *to = &trace->tracks[track];

    if (!trace->file || to->count == TRACE_STEPS)
        return;
    to->steps[to->count].name = name;
    to->steps[to->count++].ns = (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

/* Zero of the file's clock. */
static int64_t start_of(const struct trace *trace)
{
    return (int64_t)trace->tracks[TRACE_MACHINE].steps[0].ns;
}

static void put_event(FILE *f, const char *name, char phase, unsigned track, int64_t at)
{
    fprintf(f, ",\n{\"name\":\"%s\",\"ph\":\"%c\",\"pid\":1,\"tid\":%u,\"ts\":%.3f%s}", name, phase,
            track + 1, (double)at / 1000, phase == 'i' ? ",\"s\":\"t\"" : "");
}

static void put_step(FILE *f, const char *name, unsigned track, int64_t from, int64_t to)
{
    put_event(f, name, 'B', track, from);
    put_event(f, name, 'E', track, to);
}

static void put_name(FILE *f, const char *what, unsigned track, const char *name)
{
    fprintf(f, "{\"name\":\"%s\",\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"args\":{\"name\":\"%s\"}}",
            what, track + 1, name);
}

static void put_names(FILE *f)
{
    put_name(f, "process_name", 0, "samara");
    for (unsigned i = 0; i <= GUEST; i++) {
        fputs(",\n", f);
        put_name(f, "thread_name", i, track_names[i]);
    }
}

static void put_host(FILE *f, const struct trace *trace, enum trace_track track)
{
    const struct trace_steps *from = &trace->tracks[track];

    for (unsigned i = 1; i < from->count; i++)
        put_step(f, from->steps[i].name, track, (int64_t)from->steps[i - 1].ns - start_of(trace),
                 (int64_t)from->steps[i].ns - start_of(trace));
}

/* A name from the guest, with nothing in it that JSON would mind. */
static void clean_name(char to[SAMARA_MARK_NAME + 1], const char from[SAMARA_MARK_NAME])
{
    unsigned n = 0;

    for (; n < SAMARA_MARK_NAME && from[n]; n++) {
        char c = from[n];

        to[n] = c >= ' ' && c < 127 && c != '"' && c != '\\' ? c : '?';
    }
    to[n] = '\0';
}

/* The first mark is a moment, each of the others ends a step. A guest's time that goes back stands
 * still. */
static void put_guest(FILE *f, const struct trace *trace, const struct samara_platform *page,
                      int64_t offset)
{
    unsigned count = page->mark_count < SAMARA_MARKS ? page->mark_count : SAMARA_MARKS;
    int64_t before = 0;

    for (unsigned i = 0; i < count; i++) {
        int64_t at = (int64_t)(page->marks[i].ns + (uint64_t)offset - (uint64_t)start_of(trace));
        char name[SAMARA_MARK_NAME + 1];

        clean_name(name, page->marks[i].name);
        if (i == 0) {
            put_event(f, name, 'i', GUEST, at);
        } else {
            at = at > before ? at : before;
            put_step(f, name, GUEST, before, at);
        }
        before = at;
    }
}

int trace_open(struct trace *trace, const char *path, struct err *err)
{
    trace->file = path ? fopen(path, "we") : NULL;
    return path && !trace->file ? err_sys(err, "trace: open %s", path) : 0;
}

int trace_write(struct trace *trace, const struct samara_platform *page, int64_t guest_offset,
                struct err *err)
{
    FILE *f = trace->file;
    int failed;

    trace->file = NULL;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", f);
    put_names(f);
    for (unsigned i = 0; i < TRACE_TRACKS; i++)
        put_host(f, trace, i);
    put_guest(f, trace, page, guest_offset);
    fputs("\n]}\n", f);
    failed = ferror(f);
    if (fclose(f) != 0 || failed)
        return err_sys(err, "trace: write");
    return 0;
}
