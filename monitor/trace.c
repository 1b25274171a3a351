/* Chrome's trace event format: complete events ("X") with microseconds. See trace.h. */
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

static void put_event(FILE *f, const char *name, unsigned track, int64_t from, int64_t to)
{
    fprintf(f, ",\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f}",
            name, track + 1, (double)from / 1000, ((double)to - (double)from) / 1000);
}

static void put_track_names(FILE *f)
{
    for (unsigned i = 0; i <= GUEST; i++)
        fprintf(f,
                "%s{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%u,"
                "\"args\":{\"name\":\"%s\"}}",
                i ? ",\n" : "", i + 1, track_names[i]);
}

static void put_host(FILE *f, const struct trace *trace, enum trace_track track)
{
    const struct trace_steps *from = &trace->tracks[track];

    for (unsigned i = 1; i < from->count; i++)
        put_event(f, from->steps[i].name, track, (int64_t)from->steps[i - 1].ns - start_of(trace),
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

static void put_guest(FILE *f, const struct trace *trace, const struct samara_platform *page,
                      int64_t offset)
{
    unsigned count = page->mark_count < SAMARA_MARKS ? page->mark_count : SAMARA_MARKS;
    int64_t before = 0;

    for (unsigned i = 0; i < count; i++) {
        int64_t at = (int64_t)(page->marks[i].ns + (uint64_t)offset - (uint64_t)start_of(trace));
        char name[SAMARA_MARK_NAME + 1];

        clean_name(name, page->marks[i].name);
        put_event(f, name, GUEST, i ? before : at, at);
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
    put_track_names(f);
    for (unsigned i = 0; i < TRACE_TRACKS; i++)
        put_host(f, trace, i);
    put_guest(f, trace, page, guest_offset);
    fputs("\n]}\n", f);
    failed = ferror(f);
    if (fclose(f) != 0 || failed)
        return err_sys(err, "trace: write");
    return 0;
}
