/* See snapshot_run.h. */
#include "tests/vm/snapshot_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const snap_no_words[] = {NULL};

void snap_begin(void)
{
    const char *dir = scratch("run");

    CHECK(mkdir(dir, 0700) == 0 || errno == EEXIST);
    setenv("XDG_RUNTIME_DIR", dir, 1);
}

static void add(struct job *job, unsigned *n, const char *const words[])
{
    for (unsigned i = 0; words[i]; i++) {
        CHECK(*n < SNAP_WORDS + 6);
        job->argv[(*n)++] = words[i];
    }
}

void snap_run(struct running *r, const char *name, const char *const words[])
{
    struct job job = {.argv = {samara(), "run", "--name", name}, .keep_input_open = true};
    unsigned n = 4;

    add(&job, &n, words);
    job_start(&job, r);
}

void snap_restore(struct running *r, const char *name, const char *path,
                  const char *const options[])
{
    struct job job = {.argv = {samara(), "restore", "--name", name}, .keep_input_open = true};
    unsigned n = 4;

    add(&job, &n, options);
    job.argv[n] = path;
    job_start(&job, r);
}

void snap_command(struct outcome *o, const char *const words[])
{
    struct job job = {.argv = {samara()}};
    unsigned n = 1;

    add(&job, &n, words);
    job_run(&job, o);
}

void snap_succeed(const char *const words[])
{
    struct outcome o;

    snap_command(&o, words);
    STATUS(&o, 0);
    CHECK(o.err_len == 0);
    outcome_free(&o);
}

const char *snap_take(const char *name, const char *out)
{
    static char path[256];
    struct outcome o;

    snprintf(path, sizeof(path), "%s", scratch(out));
    snap_command(&o, (const char *[]){"snapshot", "--no-sync", name, path, NULL});
    STATUS(&o, 0);
    CHECK(o.out_len == 0 && o.err_len == 0);
    outcome_free(&o);
    return path;
}

void snap_say(const struct running *r, const char *line)
{
    CHECK(write(r->in, line, strlen(line)) == (ssize_t)strlen(line));
}

void snap_read_line(const struct running *r, char to[SNAP_LINE])
{
    size_t n = 0;

    while (n < SNAP_LINE - 1 && read(r->out, to + n, 1) == 1 && to[n] != '\n')
        n++;
    to[n] = '\0';
}

void snap_hear(const struct running *r, const char *want)
{
    char line[SNAP_LINE];

    snap_read_line(r, line);
    if (strcmp(line, want) != 0)
        fail_at(__FILE__, __LINE__, "it said '%s', not '%s'", line, want);
}

void snap_ends(struct running *r, int status)
{
    struct outcome o;

    job_finish(r, &o);
    STATUS(&o, status);
    CHECK(o.err_len == 0 && o.out_len == 0);
    outcome_free(&o);
}

/* The keeper's only child. */
static pid_t monitor_of(pid_t keeper)
{
    char path[64], text[32] = "";
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return atoi(text);
}

/* How often it lies in what a range of the process's memory has in it. */
static unsigned count_in(int memory, unsigned long from, unsigned long end, const char *text)
{
    enum { PIECE = 1 << 16 };
    static char piece[PIECE + SNAP_LINE];
    size_t len = strlen(text), kept = 0;
    unsigned count = 0;

    for (; from < end; from += PIECE) {
        ssize_t n = pread(memory, piece + kept, PIECE, (off_t)from);
        const char *at = piece;

        if (n <= 0)
            return count; /* [vvar] and the like */
        while ((at = memmem(at, kept + (size_t)n - (size_t)(at - piece), text, len)) != NULL) {
            count++;
            at += len;
        }
        kept = len - 1;
        memmove(piece, piece + n, kept);
    }
    return count;
}

/* What a sanitizer keeps of all addresses is too large to be looked at, and has no text in it. */
#define SHADOW (4ul << 30)

unsigned snap_count_in_monitor(pid_t keeper, const char *text)
{
    char path[64], line[512];
    unsigned long from, end;
    unsigned count = 0;
    FILE *maps;
    int memory;

    snprintf(path, sizeof(path), "/proc/%d/mem", (int)monitor_of(keeper));
    memory = open(path, O_RDONLY);
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)monitor_of(keeper));
    maps = fopen(path, "r");
    CHECK(memory >= 0 && maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx r", &from, &end) == 2 && !strstr(line, "[v") &&
            end - from < SHADOW)
            count += count_in(memory, from, end, text);
    }
    fclose(maps);
    close(memory);
    return count;
}
