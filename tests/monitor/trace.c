/* The boot timeline: one clock, and JSON whatever the guest called its marks. */
#include "monitor/trace.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/samara-trace-test.XXXXXX";
static char text[1 << 16];

static void make_file(void)
{
    close(mkstemp(path));
}

static void remove_file(void)
{
    unlink(path);
}

static const char *written(struct trace *trace, const struct samara_platform *page, int64_t offset)
{
    struct err err = {0};
    FILE *f;
    int fd = trace_open(path, &err);

    cr_assert_geq(fd, 0, "%s", err.text);
    cr_assert_eq(trace_write(trace, fd, page, offset, &err), 0, "%s", err.text);
    f = fopen(path, "r");
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return text;
}

Test(trace, marks_cost_nothing_if_nobody_wants_one)
{
    struct trace trace = {0};

    trace_step(&trace, TRACE_ROOM, "step");
    cr_assert_eq(trace.tracks[TRACE_ROOM].count, 0);
}

Test(trace, too_many_steps_are_dropped)
{
    struct trace trace = {.wanted = true};

    for (int i = 0; i < TRACE_STEPS + 5; i++)
        trace_step(&trace, TRACE_ROOM, "step");
    cr_assert_eq(trace.tracks[TRACE_ROOM].count, TRACE_STEPS);
}

#define EVENT(name, phase, track, at)                                                              \
    "{\"name\":\"" name "\",\"ph\":\"" phase "\",\"pid\":1,\"tid\":" track ",\"ts\":" at "}"
#define BEGIN(name, track, at) EVENT(name, "B", track, at)
#define END(name, track, at)   EVENT(name, "E", track, at)

/* A step ends with the very digits with which the next one begins: trace.c says why. */
Test(trace, guest_marks_are_put_on_the_hosts_clock, .init = make_file, .fini = remove_file)
{
    static struct samara_platform page = {.mark_count = 3,
                                          .marks = {{2000, "up"}, {3000, "on"}, {1000, "back"}}};
    struct trace trace = {.tracks = {{.count = 2, .steps = {{"start", 10000}, {"made", 11500}}},
                                     {.count = 2, .steps = {{"start", 10500}, {"filled", 11000}}}}};
    const char *json = written(&trace, &page, 11000);

    cr_assert(strstr(json, BEGIN("made", "1", "0.000") ",\n" END("made", "1", "1.500")), "%s",
              json);
    cr_assert(strstr(json, BEGIN("filled", "2", "0.500") ",\n" END("filled", "2", "1.000")), "%s",
              json);
    cr_assert(strstr(json, "\"name\":\"up\",\"ph\":\"i\",\"pid\":1,\"tid\":4,\"ts\":3.000"), "%s",
              json);
    cr_assert(strstr(json, BEGIN("on", "4", "3.000") ",\n" END("on", "4", "4.000")), "%s", json);
    cr_assert(strstr(json, BEGIN("back", "4", "4.000") ",\n" END("back", "4", "4.000")), "%s",
              json);
}

Test(trace, a_hostile_name_stays_within_its_quotes, .init = make_file, .fini = remove_file)
{
    static struct samara_platform page = {.mark_count = UINT32_MAX};
    struct trace trace = {.tracks = {{.count = 1, .steps = {{"start", 1}}}}};
    const char *json;

    for (unsigned i = 0; i < SAMARA_MARKS; i++)
        memset(page.marks[i].name, '"', SAMARA_MARK_NAME);
    memcpy(page.marks[0].name, "a\",\"ph\\\n\033\377", 10);
    json = written(&trace, &page, 0);
    cr_assert(strstr(json, "\"name\":\"a?,?ph????"), "%s", json);
    cr_assert_null(strchr(json, '\033'));
    cr_assert_null(strchr(json, '\\'));
}

Test(trace, a_bad_path_is_refused_before_anything_runs)
{
    struct err err = {0};

    cr_assert_eq(trace_open("/no/such/place", &err), -1);
    cr_assert(strstr(err.text, "/no/such/place"), "%s", err.text);
}

Test(trace, a_full_disk_is_an_error)
{
    static struct samara_platform page;
    struct trace trace = {.tracks = {{.count = 1, .steps = {{"start", 1}}}}};
    struct err err = {0};

    cr_assert_eq(trace_write(&trace, trace_open("/dev/full", &err), &page, 0, &err), -1);
    cr_assert(strstr(err.text, "No space"), "%s", err.text);
}
