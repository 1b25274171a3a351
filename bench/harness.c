/*
 * Measures commands side by side. Contestants are named on the command line, so that what runs is
 * decided in one place (bench/run); this file knows only how to measure:
 *
 *   harness BENCH [options] NAME COMMAND... -- NAME COMMAND... -- ...
 *
 *   boot     exec -> first byte on stdout, exec -> reaped
 *   memory   RSS and PSS after the first byte, with -k copies at once
 *   stream   feeds -s MiB to stdin; the command must print how many bytes it counted
 *   value    the command prints one number (-m its name, -u its unit)
 *   work     the command says hello, works and prints one number; processor time from hello to the
 *            end, divided by -d, is the second metric (-c its unit)
 *
 * A round runs every contestant once, in a new random order, so that drift of the machine and what
 * one leaves behind for the next (KVM frees VMs late) fall on all alike. A contestant that fails is
 * reported on stderr with what it said, measured no further, and makes the exit status 1.
 */
#include "child.h"
#include "cpu.h"
#include "memory.h"
#include "stats.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CONTESTANTS = 16,
    METRICS = 2,
    COPIES = 64,
    TEXT = 512,
    TIMEOUT_MS = 10000,
    WORK_TIMEOUT_MS = 60000,
    SETTLE_MS = 60, /* an idle sandbox: start-up work that goes on after the first byte is over */
};

struct contestant {
    const char *name;
    char **argv;
    struct samples samples[METRICS];
    bool failed;
};

struct settings {
    const char *label, *metric, *unit; /* label: the name of the bench in the output */
    const char *cpu_unit;
    double cpu_divisor;
    unsigned rounds, copies;
    uint64_t stream_bytes;
};

struct bench {
    const char *name;
    const char *metrics[METRICS], *units[METRICS];
    /* One measurement; adds to the samples. False: failed, and said so. */
    bool (*measure)(struct contestant *c, const struct settings *set);
};

static bool failed(struct contestant *c, const struct child *child, const char *why)
{
    fprintf(stderr, "bench: FAILED: %s: %s\n", c->name, why);
    child_show_stderr(child, "bench:     ");
    c->failed = true;
    return false;
}

static bool ended_well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Reaps; on a bad end shows what the child said. */
static bool reap_well(struct contestant *c, struct child *child, uint64_t *ended)
{
    struct child kept = *child;
    char why[64];
    int status;

    kept.err = dup(child->err);
    status = child_reap(child, ended);
    if (!ended_well(status)) {
        snprintf(why, sizeof(why), "ended with wait status 0x%x", (unsigned)status);
        failed(c, &kept, why);
    }
    close(kept.err);
    return !c->failed;
}

/* A contestant whose name ends in "(silent)" says nothing; all others say hello, or at least h. */
static bool measure_boot(struct contestant *c, const struct settings *set)
{
    bool silent = strstr(c->name, "(silent)") != NULL;
    struct child child;
    char text[TEXT];
    uint64_t first, ended;

    (void)set;
    if (!child_start(&child, c->argv, false))
        return !(c->failed = true);
    first = child_read(&child, text, sizeof(text), TIMEOUT_MS);
    if (silent ? first != 0 : text[0] != 'h') {
        failed(c, &child, "did not say what it should; it said:");
        fprintf(stderr, "bench:     \"%s\"\n", text);
        child_kill(&child);
        return false;
    }
    if (!reap_well(c, &child, &ended))
        return false;
    if (!silent)
        samples_add(&c->samples[0], (double)(first - child.started) / 1e6);
    samples_add(&c->samples[1], (double)(ended - child.started) / 1e6);
    return true;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static bool measure_memory(struct contestant *c, const struct settings *set)
{
    struct child child[COPIES];
    struct memory_use use = {0};
    char text[TEXT];
    unsigned up = 0;
    bool good = true;

    while (up < set->copies && good) {
        if (!child_start(&child[up], c->argv, false)) {
            good = false;
            break;
        }
        if (!child_read_first(&child[up], text, sizeof(text), TIMEOUT_MS) || text[0] != 'h')
            good = failed(c, &child[up], "did not come up");
        up++;
    }
    sleep_ms(SETTLE_MS);
    for (unsigned i = 0; i < up && good; i++)
        if (!memory_of_tree(child[i].pid, &use))
            good = failed(c, &child[i], "its memory cannot be read");
    for (unsigned i = 0; i < up; i++)
        child_kill(&child[i]);
    c->failed = !good;
    if (!good)
        return false;
    samples_add(&c->samples[0], use.rss / set->copies / 1024);
    samples_add(&c->samples[1], use.pss / set->copies / 1024);
    return true;
}

/* Writes until the child has taken it all; false if it stops taking. */
static bool feed(struct child *child, uint64_t bytes)
{
    static char block[256 << 10];

    while (bytes > 0) {
        size_t size = bytes < sizeof(block) ? (size_t)bytes : sizeof(block);
        ssize_t put = write(child->in, block, size);

        if (put <= 0)
            return false;
        bytes -= (uint64_t)put;
    }
    close(child->in);
    child->in = -1;
    return true;
}

static bool measure_stream(struct contestant *c, const struct settings *set)
{
    struct child child;
    char text[TEXT];
    uint64_t start, ended;

    if (!child_start(&child, c->argv, true))
        return !(c->failed = true);
    start = now_ns();
    if (!feed(&child, set->stream_bytes)) {
        failed(c, &child, "stopped reading its stdin");
        child_kill(&child);
        return false;
    }
    child_read(&child, text, sizeof(text), TIMEOUT_MS);
    ended = now_ns();
    if (strtoull(text, NULL, 10) != set->stream_bytes) {
        failed(c, &child, "counted wrong:");
        fprintf(stderr, "bench:     \"%s\"\n", text);
        child_kill(&child);
        return false;
    }
    samples_add(&c->samples[0],
                (double)set->stream_bytes / (1 << 30) / ((double)(ended - start) / 1e9));
    return reap_well(c, &child, &ended);
}

static bool measure_value(struct contestant *c, const struct settings *set)
{
    struct child child;
    char text[TEXT];
    char *end;
    double value;
    uint64_t ended;

    (void)set;
    if (!child_start(&child, c->argv, false))
        return !(c->failed = true);
    child_read(&child, text, sizeof(text), TIMEOUT_MS);
    value = strtod(text, &end);
    if (end == text) {
        failed(c, &child, "printed no number");
        child_kill(&child);
        return false;
    }
    samples_add(&c->samples[0], value);
    return reap_well(c, &child, &ended);
}

/* The number is in the second line. */
static bool measure_work(struct contestant *c, const struct settings *set)
{
    struct child child;
    char text[TEXT];
    const char *number;
    char *end = NULL;
    double value, before;
    uint64_t ended;

    if (!child_start(&child, c->argv, false))
        return !(c->failed = true);
    child_read_first(&child, text, sizeof(text), TIMEOUT_MS);
    before = cpu_of_tree(child.pid);
    if (text[0] == 'h')
        child_read(&child, text + strlen(text), sizeof(text) - strlen(text), WORK_TIMEOUT_MS);
    number = strchr(text, '\n');
    value = number ? strtod(number, &end) : 0;
    if (text[0] != 'h' || !number || end == number) {
        failed(c, &child, "did not say hello and a number");
        child_kill(&child);
        return false;
    }
    if (!reap_well(c, &child, &ended))
        return false;
    samples_add(&c->samples[0], value);
    samples_add(&c->samples[1], (child.cpu_s - before) / set->cpu_divisor);
    return true;
}

static const struct bench benches[] = {
    {"boot", {"first_byte", "reaped"}, {"ms", "ms"}, measure_boot},
    {"memory", {"rss", "pss"}, {"MiB", "MiB"}, measure_memory},
    {"stream", {"throughput"}, {"GiB/s"}, measure_stream},
    {"value", {NULL}, {NULL}, measure_value},
    {"work", {NULL}, {NULL}, measure_work},
};

static unsigned read_contestants(int argc, char **argv, struct contestant *to)
{
    unsigned count = 0;

    for (int i = 0; i < argc && count < CONTESTANTS; i++) {
        to[count].name = argv[i];
        to[count].argv = &argv[i + 1];
        while (i < argc && strcmp(argv[i], "--") != 0)
            i++;
        if (&argv[i] <= to[count].argv)
            return 0;
        argv[i] = NULL; /* the separator, or argv's own end */
        count++;
    }
    return count;
}

static void shuffle(unsigned *order, unsigned count)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned j = (unsigned)random() % i, kept = order[i - 1];

        order[i - 1] = order[j];
        order[j] = kept;
    }
}

static void run_rounds(const struct bench *bench, const struct settings *set,
                       struct contestant *list, unsigned count)
{
    bool progress = isatty(STDERR_FILENO);
    unsigned order[CONTESTANTS];

    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned round = 0; round <= set->rounds; round++) {
        if (progress)
            fprintf(stderr, "\r%s: %u/%u ", set->label, round, set->rounds);
        shuffle(order, count);
        for (unsigned i = 0; i < count; i++)
            if (!list[order[i]].failed)
                bench->measure(&list[order[i]], set);
        /* The first round warms caches and does not count. */
        for (unsigned i = 0; i < count && round == 0; i++)
            for (unsigned m = 0; m < METRICS; m++)
                samples_free(&list[i].samples[m]);
    }
    if (progress)
        fprintf(stderr, "\n");
}

/* The second metric of something that -m names is named after it. */
static void name_metric(char *to, size_t size, const struct bench *bench,
                        const struct settings *set, unsigned m)
{
    if (bench->metrics[0])
        snprintf(to, size, "%s", bench->metrics[m] ? bench->metrics[m] : set->metric);
    else
        snprintf(to, size, m == 0 ? "%s" : "%s cpu", set->metric);
}

static int print_results(const struct bench *bench, const struct settings *set,
                         struct contestant *list, unsigned count)
{
    int status = 0;

    for (unsigned m = 0; m < METRICS; m++) {
        const char *unit = bench->units[m] ? bench->units[m] : m == 0 ? set->unit : set->cpu_unit;
        char metric[64];
        double reference = 0;

        name_metric(metric, sizeof(metric), bench, set, m);
        for (unsigned i = 0; i < count; i++)
            if (strcmp(list[i].name, "samara") == 0 && !list[i].failed)
                reference = samples_quantile(&list[i].samples[m], 0.5);
        for (unsigned i = 0; i < count; i++)
            if (!list[i].failed)
                samples_print(&list[i].samples[m], set->label, list[i].name, metric, unit,
                              reference);
    }
    for (unsigned i = 0; i < count; i++)
        if (list[i].failed)
            status = 1;
    return status;
}

static int usage(void)
{
    fputs("usage: harness boot|memory|stream|value|work [-n ROUNDS] [-k COPIES] [-s MIB]\n"
          "               [-l LABEL] [-m METRIC] [-u UNIT] [-d DIVISOR] [-c UNIT]\n"
          "               NAME COMMAND... [-- NAME COMMAND...]...\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct settings set = {.metric = "value",
                           .unit = "",
                           .cpu_unit = "s",
                           .cpu_divisor = 1,
                           .rounds = 50,
                           .copies = 1,
                           .stream_bytes = 2ull << 30};
    struct contestant list[CONTESTANTS] = {0};
    const struct bench *bench = NULL;
    unsigned count;
    int option;

    for (size_t i = 0; argc > 1 && i < sizeof(benches) / sizeof(benches[0]); i++)
        if (strcmp(argv[1], benches[i].name) == 0)
            bench = &benches[i];
    if (!bench)
        return usage();
    set.label = bench->name;
    optind = 2;
    while ((option = getopt(argc, argv, "+n:k:s:l:m:u:d:c:")) != -1) {
        switch (option) {
        case 'n':
            set.rounds = (unsigned)atoi(optarg);
            break;
        case 'k':
            set.copies = (unsigned)atoi(optarg);
            break;
        case 's':
            set.stream_bytes = strtoull(optarg, NULL, 10) << 20;
            break;
        case 'l':
            set.label = optarg;
            break;
        case 'm':
            set.metric = optarg;
            break;
        case 'u':
            set.unit = optarg;
            break;
        case 'd':
            set.cpu_divisor = strtod(optarg, NULL);
            break;
        case 'c':
            set.cpu_unit = optarg;
            break;
        default:
            return usage();
        }
    }
    count = read_contestants(argc - optind, argv + optind, list);
    if (count == 0 || set.rounds == 0 || set.copies == 0 || set.copies > COPIES ||
        set.cpu_divisor <= 0)
        return usage();
    signal(SIGPIPE, SIG_IGN);
    run_rounds(bench, &set, list, count);
    return print_results(bench, &set, list, count);
}
