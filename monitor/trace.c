/*
 * Chrome's trace event format, in microseconds. See trace.h. A step is a pair of events, begin and
 * end, not one with a duration: speedscope adds start and duration in floating point, and a step
 * that seems to end behind the start of the next is drawn around all that follow.
 */
#include "monitor/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "monitor/clock.h"

enum { GUEST = TRACE_TRACKS }; /* the track after the host's */

/* The text as it grows: two events for every step and mark, 128 characters at most each. Not stdio,
 * which allocates and frees: confined as we are by then, we cannot. */
struct text {
    size_t length;
    char room[2 * (TRACE_TRACKS * TRACE_STEPS + SAMARA_MARKS + 8) * 128];
};

static const char *const track_names[] = {"host: machine", "host: room", "host: keeper", "guest"};

void trace_step(struct trace *trace, enum trace_track track, const char *name)
{
    struct trace_steps *to = &trace->tracks[track];

    if (!trace->wanted || to->count == TRACE_STEPS)
        return;
    to->steps[to->count].name = name;
    to->steps[to->count++].ns = (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

/* Zero of the file's clock. */
static int64_t start_of(const struct trace *trace)
{
    return (int64_t)trace->tracks[TRACE_MACHINE].steps[0].ns;
}

static void put(struct text *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *f, const char *format, ...)
{
    size_t left = sizeof(f->room) - f->length;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(f->room + f->length, left, format, args);
    va_end(args);
    if (n > 0)
        f->length += (size_t)n < left ? (size_t)n : left - 1;
}

static void put_event(struct text *f, const char *name, char phase, unsigned track, int64_t at)
{
    put(f, ",\n{\"name\":\"%s\",\"ph\":\"%c\",\"pid\":1,\"tid\":%u,\"ts\":%.3f%s}", name, phase,
        track + 1, (double)at / 1000, phase == 'i' ? ",\"s\":\"t\"" : "");
}

static void put_step(struct text *f, const char *name, unsigned track, int64_t from, int64_t to)
{
    put_event(f, name, 'B', track, from);
    put_event(f, name, 'E', track, to);
}

static void put_name(struct text *f, const char *what, unsigned track, const char *name)
{
    put(f, "{\"name\":\"%s\",\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"args\":{\"name\":\"%s\"}}", what,
        track + 1, name);
}

static void put_names(struct text *f)
{
    put_name(f, "process_name", 0, "samara");
    for (unsigned i = 0; i <= GUEST; i++) {
        put(f, ",\n");
        put_name(f, "thread_name", i, track_names[i]);
    }
}

static void put_host(struct text *f, const struct trace *trace, enum trace_track track)
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
static void put_guest(struct text *f, const struct trace *trace, const struct samara_platform *page,
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

void trace_init(struct trace *trace, bool wanted)
{
    trace->wanted = wanted;
}

int trace_open(const char *path, struct err *err)
{
    /* A FIFO that nobody reads would block, and so would signals that are to end us. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

    if (fd < 0 && errno == ENXIO)
        return err_set(err, "trace: open %s: nobody reads it", path);
    if (fd < 0 || fcntl(fd, F_SETFL, O_WRONLY) != 0)
        return err_sys(err, "trace: open %s", path);
    return fd;
}

static int write_all(int fd, const struct text *text)
{
    size_t done = 0;

    while (done < text->length) {
        struct iovec rest = {(void *)(uintptr_t)(text->room + done), text->length - done};
        ssize_t n = writev(fd, &rest, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

int trace_write(struct trace *trace, int fd, const struct samara_platform *page,
                int64_t guest_offset, struct err *err)
{
    static struct text text;

    text.length = 0;
    put(&text, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
    put_names(&text);
    for (unsigned i = 0; i < TRACE_TRACKS; i++)
        put_host(&text, trace, i);
    put_guest(&text, trace, page, guest_offset);
    put(&text, "\n]}\n");
    trace->wanted = false;
    if (write_all(fd, &text) != 0) {
        err_sys(err, "write");
        close(fd);
        return -1;
    }
    return close(fd) != 0 ? err_sys(err, "write") : 0;
}
