/* Snapshots: taken of a running VM, grown into others that go on and are somebody else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/vm/snapshot_run.h"

enum { LINE = 128 };

static void own_directory(void)
{
    const char *dir = scratch("run");

    CHECK(mkdir(dir, 0700) == 0 || errno == EEXIST);
    setenv("XDG_RUNTIME_DIR", dir, 1);
}

/* --- VMs that answer lines --- */

static void start_source(struct running *r, const char *name)
{
    struct job job = {.argv = {samara(), "run", "--name", name, program("instant")},
                      .keep_input_open = true};

    own_directory();
    job_start(&job, r);
    CHECK(job_await(r, "up\n"));
}

static void start_clone(struct running *r, const char *name, const char *from)
{
    struct job job = {.argv = {samara(), "restore", "--name", name, from}, .keep_input_open = true};

    job_start(&job, r);
}

static void say(const struct running *r, const char *line)
{
    CHECK(write(r->in, line, strlen(line)) == (ssize_t)strlen(line));
}

/* The next line that it says, without its end. */
static void hear(const struct running *r, char to[LINE])
{
    size_t n = 0;

    while (n < LINE - 1 && read(r->out, to + n, 1) == 1 && to[n] != '\n')
        n++;
    CHECK(n < LINE - 1 && to[n] == '\n');
    to[n] = '\0';
}

static void ask(const struct running *r, const char *question, char to[LINE])
{
    say(r, question);
    hear(r, to);
}

static long long next_number(const struct running *r)
{
    char line[LINE];

    hear(r, line);
    return atoll(line);
}

static long long number(const struct running *r, const char *question)
{
    say(r, question);
    return next_number(r);
}

static void end(struct running *r, int status)
{
    char line[32];
    struct outcome o;

    snprintf(line, sizeof(line), "exit %d\n", status);
    say(r, line);
    job_finish(r, &o);
    STATUS(&o, status);
    CHECK(o.err_len == 0);
    outcome_free(&o);
}

/* --- snapshots --- */

static void command(struct outcome *o, const char *const words[])
{
    struct job job = {.argv = {samara()}};

    for (unsigned i = 0; words[i]; i++)
        job.argv[i + 1] = words[i];
    job_run(&job, o);
}

/* Where it is: a static buffer of scratch's. */
static const char *take(const char *name, const char *out)
{
    const char *path = scratch(out);
    struct outcome o;

    command(&o, (const char *[]){"snapshot", name, path, NULL});
    STATUS(&o, 0);
    CHECK(o.out_len == 0 && o.err_len == 0);
    outcome_free(&o);
    return path;
}

static void expect_refusal(const char *const words[], int status, const char *why)
{
    struct outcome o;

    command(&o, words);
    STATUS(&o, status);
    ERROR_HAS(&o, why);
    CHECK(strchr(o.err, '\n') == o.err + o.err_len - 1);
    outcome_free(&o);
}

/* It is there, and says no. */
static void expect_no(struct outcome *o, const char *const words[], const char *why)
{
    command(o, words);
    STATUS(o, 1);
    if (!strstr(o->out, why) && !strstr(o->err, why))
        fail_at(__FILE__, __LINE__, "'%s' is in neither '%s' nor '%s'", why, o->out, o->err);
    outcome_free(o);
}

/* --- tests --- */

static void a_clone_goes_on_where_the_source_stood(void)
{
    char before[LINE], of_source[LINE], of_clone[LINE];
    struct running source, clone;
    const char *path;

    start_source(&source, "source");
    ask(&source, "memory\n", before);
    path = take("source", "goes-on.snap");
    ask(&source, "memory\n", of_source);
    end(&source, 3);
    start_clone(&clone, "clone", path);
    ask(&clone, "memory\n", of_clone);
    CHECK(strcmp(of_clone, of_source) == 0 && strcmp(of_clone, before) != 0);
    CHECK(number(&clone, "count\n") == 3);
    end(&clone, 7);
}

static void clones_of_clones_go_on(void)
{
    char path[200];
    struct running r[2];
    char was[LINE], is[LINE];

    start_source(&r[0], "gen-0");
    for (int i = 0; i < 5; i++) {
        char name[16], from[16];

        snprintf(from, sizeof(from), "gen-%d", i);
        snprintf(name, sizeof(name), "gen-%d", i + 1);
        snprintf(path, sizeof(path), "%s", take(from, name));
        ask(&r[0], "memory\n", was);
        start_clone(&r[1], name, path);
        ask(&r[1], "memory\n", is);
        CHECK(strcmp(was, is) == 0);
        end(&r[0], 0);
        r[0] = r[1];
    }
    CHECK(number(&r[0], "count\n") == 6);
    end(&r[0], 0);
}

/* Of a clone of `from` that has gone on a little: what its memory is then. */
static void take_diff(const char *from, const char *to, char memory[LINE])
{
    struct running r;

    start_clone(&r, "layer", from);
    ask(&r, "memory\n", memory);
    ask(&r, "memory\n", memory);
    snap_succeed((const char *[]){"snapshot", "--diff", "layer", to, NULL});
    ask(&r, "memory\n", memory);
    end(&r, 0);
}

static void expect_memory(const char *from, const char *memory)
{
    struct running r;
    char line[LINE];

    start_clone(&r, "layer", from);
    ask(&r, "memory\n", line);
    CHECK(strcmp(line, memory) == 0);
    end(&r, 0);
}

/* The program's eight megabytes are among them. */
static void expect_difference(const char *a, const char *b)
{
    struct outcome o;

    command(&o, (const char *[]){"diff", a, b, NULL});
    STATUS(&o, 1);
    CHECK(o.err_len == 0 && strstr(o.out, "REGS 0\n") && strstr(o.out, "memory 0x"));
    outcome_free(&o);
}

/* Four layers; then moved to another place, and made one. */
static void diffs_are_restored_from_all_their_layers(void)
{
    enum { DIFFS = 3 };
    char path[DIFFS + 2][200], memory[DIFFS + 1][LINE], moved[150], line[200];
    struct running source;

    CHECK(mkdir(scratch("chain"), 0700) == 0);
    for (int i = 0; i <= DIFFS + 1; i++)
        snprintf(path[i], sizeof(path[i]), "%s/%d", scratch("chain"), i);
    start_source(&source, "source");
    snap_succeed((const char *[]){"snapshot", "source", path[0], NULL});
    expect_no(&(struct outcome){0}, (const char *[]){"snapshot", "--diff", "source", path[1], NULL},
              "it was not grown from a snapshot");
    end(&source, 0);
    for (int i = 1; i <= DIFFS; i++) {
        take_diff(path[i - 1], path[i], memory[i]);
        snap_succeed((const char *[]){"verify", path[i], NULL});
    }
    for (int i = 1; i <= DIFFS; i++)
        expect_memory(path[i], memory[i]);
    snprintf(line, sizeof(line), "%s", scratch("elsewhere")); /* its parent is where it was */
    CHECK(rename(path[DIFFS], line) == 0);
    expect_memory(line, memory[DIFFS]);
    CHECK(rename(line, path[DIFFS]) == 0);
    snprintf(moved, sizeof(moved), "%s", scratch("moved"));
    CHECK(rename(scratch("chain"), moved) == 0);
    snprintf(line, sizeof(line), "%s/%d", moved, DIFFS);
    expect_memory(line, memory[DIFFS]);
    snap_succeed((const char *[]){"flatten", line, scratch("flat.snap"), NULL});
    snap_succeed((const char *[]){"verify", scratch("flat.snap"), NULL});
    snap_succeed((const char *[]){"diff", line, scratch("flat.snap"), NULL});
    snprintf(path[0], sizeof(path[0]), "%s/0", moved);
    expect_difference(path[0], line);
    snprintf(path[1], sizeof(path[1]), "%s/1", moved);
    snprintf(path[2], sizeof(path[2]), "%s/lost", moved);
    CHECK(rename(path[1], path[2]) == 0);
    expect_refusal((const char *[]){"restore", line, NULL}, 125, "its parent is neither ");
    expect_memory(scratch("flat.snap"), memory[DIFFS]);
}

static const char *make_image(const char *name, const char *text, off_t size)
{
    const char *path = scratch(name);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(ftruncate(fd, size) == 0);
    close(fd);
    return path;
}

/* The disk is not in the snapshot: one like it has to be there. */
static void a_disk_is_given_again(void)
{
    char disk[220], other[220], line[LINE];
    const char *path = scratch("disk.snap");
    struct running r;

    snprintf(disk, sizeof(disk), "%s,ro", make_image("a.img", "first\n", 1 << 20));
    snprintf(other, sizeof(other), "%s,ro", make_image("b.img", "other\n", 2 << 20));
    own_directory();
    job_start(
        &(struct job){.argv = {samara(), "run", "--name", "disk", "--disk", disk, "/bin/busybox",
                               "sh", "-c", "echo up; while read f; do read a <$f; echo $a; done"},
                      .keep_input_open = true},
        &r);
    CHECK(job_await(&r, "up\n"));
    ask(&r, "/dev/vda\n", line);
    CHECK(strcmp(line, "first") == 0);
    snap_succeed((const char *[]){"snapshot", "--stop", "disk", path, NULL});
    job_finish(&r, &(struct outcome){0});
    expect_refusal((const char *[]){"restore", path, NULL}, 125, "(--disk)");
    expect_refusal((const char *[]){"restore", "--disk", other, path, NULL}, 125,
                   "it is not like the one that was there");
    expect_refusal((const char *[]){"restore", "--disk", disk, "--disk", other, path, NULL}, 125,
                   "and 3 were given");
    job_start(
        &(struct job){.argv = {samara(), "restore", "--disk", disk, path}, .keep_input_open = true},
        &r);
    ask(&r, "/dev/vda\n", line);
    CHECK(strcmp(line, "first") == 0);
    close(r.in);
    r.in = -1;
    job_finish(&r, &(struct outcome){0});
}

/* And one that can be written would not be. */
static void a_disk_that_is_written_directly_is_no_part_of_it(void)
{
    const char *disk = make_image("w.img", "", 1 << 20);
    struct running r;

    own_directory();
    job_start(&(struct job){.argv = {samara(), "run", "--name", "disk", "--disk", disk,
                                     "/bin/busybox", "sh", "-c", "echo up; read x"},
                            .keep_input_open = true},
              &r);
    CHECK(job_await(&r, "up\n"));
    expect_no(&(struct outcome){0}, (const char *[]){"snapshot", "disk", scratch("w.snap"), NULL},
              "disk 0 is written directly, which no snapshot can hold (begin with ");
    CHECK(write(r.in, "\n", 1) == 1);
    job_finish(&r, &(struct outcome){0});
}

static void no_two_have_the_same_random_numbers(void)
{
    enum { CLONES = 4 };
    char said[CLONES + 1][LINE];
    struct running source, clone;
    const char *path;

    start_source(&source, "source");
    ask(&source, "random\n", said[0]);
    path = take("source", "random.snap");
    ask(&source, "random\n", said[0]);
    end(&source, 0);
    for (int i = 1; i <= CLONES; i++) {
        start_clone(&clone, "clone", path);
        ask(&clone, "random\n", said[i]);
        end(&clone, 0);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(said[i], said[j]) != 0);
    }
}

static long long now_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* Of a program that says a random number as soon as it goes on. */
static void many_are_grown_at_once(void)
{
    enum { CLONES = 12, LENGTH = 33 };
    const char *path;
    struct running source;
    struct outcome o;

    start_source(&source, "source");
    say(&source, "when it wakes\n");
    CHECK(job_await(&source, "asleep\n"));
    path = take("source", "many.snap");
    snap_succeed((const char *[]){"kill", "source", NULL});
    job_finish(&source, &o);
    outcome_free(&o);
    command(&o, (const char *[]){"clone", "-n", "12", "--timeout", "60s", path, NULL});
    STATUS(&o, 0);
    CHECK(o.err_len == 0 && o.out_len == CLONES * LENGTH);
    for (int i = 0; i < CLONES; i++) {
        for (int j = 0; j < i; j++)
            CHECK(memcmp(o.out + i * LENGTH, o.out + j * LENGTH, LENGTH) != 0);
    }
    outcome_free(&o);
    expect_refusal((const char *[]){"clone", path, NULL}, 125, "how many?");
    expect_refusal((const char *[]){"clone", "-n", "0", path, NULL}, 125,
                   "-n: '0' is not a number");
    expect_refusal((const char *[]){"clone", "-n", "2", NULL}, 125, "SNAPSHOT");
}

/* The two seconds in between are not in CLOCK_MONOTONIC, and CLOCK_REALTIME is the host's. */
static void clocks_go_on(void)
{
    enum { ASLEEP = 2000, SLACK = 50 };
    struct running source, clone;
    long long mono, real, gap, before, after;
    const char *path;

    start_source(&source, "source");
    path = take("source", "clocks.snap");
    before = now_ms(CLOCK_MONOTONIC);
    mono = number(&source, "monotonic\n");
    end(&source, 0);
    usleep(ASLEEP * 1000);
    start_clone(&clone, "clone", path);
    gap = number(&clone, "monotonic\n") - mono;
    CHECK(gap <= now_ms(CLOCK_MONOTONIC) - before - ASLEEP + SLACK);
    before = now_ms(CLOCK_REALTIME);
    real = number(&clone, "real\n");
    after = now_ms(CLOCK_REALTIME);
    CHECK(real >= before - SLACK && real <= after + SLACK);
    CHECK(number(&clone, "timer\n") >= 20);
    end(&clone, 0);
}

/* It has all but begun, and its clock stands. */
static void a_parked_clone_waits_for_its_first_instruction(void)
{
    enum { ASLEEP = 1500, SLACK = 50 };
    struct running source, clone;
    long long mono, before, gap;
    struct outcome o;
    struct job job = {.argv = {samara(), "restore", "--park", "--name", "parked"},
                      .keep_input_open = true};

    start_source(&source, "source");
    job.argv[5] = take("source", "park.snap");
    before = now_ms(CLOCK_MONOTONIC);
    mono = number(&source, "monotonic\n");
    end(&source, 0);
    job_start(&job, &clone);
    say(&clone, "monotonic\n");
    usleep(ASLEEP * 1000);
    command(&o, (const char *[]){"status", "parked", NULL});
    CHECK(strstr(o.out, "\"state\":\"parked\""));
    outcome_free(&o);
    expect_no(&o, (const char *[]){"reset", "parked", NULL}, "it has not run yet");
    expect_no(&o, (const char *[]){"shutdown", "parked", NULL}, "it has not run yet");
    expect_no(&o, (const char *[]){"snapshot", "parked", "/nowhere", NULL}, "it has not run yet");
    command(&o, (const char *[]){"resume", "parked", NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    gap = next_number(&clone) - mono;
    CHECK(gap <= now_ms(CLOCK_MONOTONIC) - before - ASLEEP + SLACK);
    CHECK(number(&clone, "timer\n") >= 20);
    CHECK(number(&clone, "count\n") == 3);
    end(&clone, 0);
}

static void expect_words(const char *const words[], const char *out)
{
    struct outcome o;

    command(&o, words);
    STATUS(&o, 0);
    OUTPUT(&o, out);
    outcome_free(&o);
}

/* The second time it is asked for it is there already. */
static void a_program_says_when_it_is_ready(void)
{
    const char *path = scratch("ready.snap"), *ready = program("ready");

    own_directory();
    expect_words((const char *[]){"run", "--snapshot", path, ready, NULL}, "source\nfailed\n");
    for (int i = 0; i < 2; i++)
        expect_words((const char *[]){"restore", path, NULL}, "clone\nnobody\n");
    expect_words((const char *[]){"run", ready, NULL}, "nobody\nnobody\n");
    expect_words((const char *[]){"run", "--vsock", scratch("r.sock"), ready, NULL},
                 "nobody\nnobody\n");
}

/* Says so, too, if it cannot be. */
static void a_program_hears_that_there_is_no_snapshot(void)
{
    struct outcome o;

    own_directory();
    command(&o, (const char *[]){"run", "--snapshot", "/nowhere/snap", program("ready"), NULL});
    STATUS(&o, 0);
    OUTPUT(&o, "failed\nfailed\n");
    ERROR_HAS(&o, "No such file or directory");
    outcome_free(&o);
}

static void a_single_use_is_one(void)
{
    const char *path = scratch("single.snap");
    struct running source, clone;

    start_source(&source, "source");
    snap_succeed((const char *[]){"snapshot", "--single-use", "source", path, NULL});
    end(&source, 0);
    start_clone(&clone, "clone", path);
    CHECK(number(&clone, "count\n") == 1);
    end(&clone, 0);
    expect_refusal((const char *[]){"restore", path, NULL}, 125, "was used before");
    snap_succeed((const char *[]){"verify", path, NULL});
}

static void stop_ends_the_source(void)
{
    struct running source, clone;
    struct outcome o;

    start_source(&source, "source");
    command(&o,
            (const char *[]){"snapshot", "--stop", "--json", "source", scratch("stop.snap"), NULL});
    STATUS(&o, 0);
    CHECK(strncmp(o.out, "{\"ok\":true,\"memory\":134217728,\"bytes\":", 38) == 0);
    outcome_free(&o);
    job_finish(&source, &o);
    STATUS(&o, 128 + SIGKILL);
    outcome_free(&o);
    start_clone(&clone, "clone", scratch("stop.snap"));
    CHECK(number(&clone, "count\n") == 1);
    end(&clone, 0);
}

static void a_paused_vm_stays_paused(void)
{
    struct running source, clone;
    struct outcome o;

    start_source(&source, "source");
    command(&o, (const char *[]){"pause", "source", NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    start_clone(&clone, "clone", take("source", "paused.snap"));
    CHECK(number(&clone, "count\n") == 1);
    end(&clone, 0);
    command(&o, (const char *[]){"status", "source", NULL});
    CHECK(strstr(o.out, "\"state\":\"paused\""));
    outcome_free(&o);
    command(&o, (const char *[]){"resume", "source", NULL});
    outcome_free(&o);
    CHECK(number(&source, "count\n") == 1);
    end(&source, 0);
}

static void reset(const char *name)
{
    struct outcome o;

    command(&o, (const char *[]){"reset", name, NULL});
    STATUS(&o, 0);
    CHECK(o.out_len == 0 && o.err_len == 0);
    outcome_free(&o);
}

static void a_reset_goes_back_as_somebody_else(void)
{
    enum { TIMES = 5 };
    char memory[LINE], other[LINE], random[TIMES + 1][LINE];
    struct running source, clone;
    const char *path;

    start_source(&source, "source");
    path = take("source", "reset.snap");
    ask(&source, "memory\n", memory);
    end(&source, 0);
    start_clone(&clone, "clone", path);
    for (int i = 0; i <= TIMES; i++) {
        ask(&clone, "memory\n", other);
        CHECK(strcmp(memory, other) == 0);
        ask(&clone, "memory\n", other);
        CHECK(strcmp(memory, other) != 0);
        ask(&clone, "random\n", random[i]);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(random[i], random[j]) != 0);
        CHECK(number(&clone, "count\n") == 4);
        CHECK(number(&clone, "timer\n") >= 20);
        reset("clone");
    }
    CHECK(number(&clone, "count\n") == 1);
    end(&clone, 9);
}

/* Neither in the guest's memory nor anywhere else in the process. */
static void a_reset_leaves_nothing_of_the_former_tenant(void)
{
    struct running source, clone;
    char secret[LINE], line[LINE];
    const char *path;

    snprintf(secret, sizeof(secret), "keep s%dcret-%ld\n", 3, (long)time(NULL));
    start_source(&source, "source");
    path = take("source", "residue.snap");
    end(&source, 0);
    start_clone(&clone, "clone", path);
    for (int i = 0; i < 3; i++) {
        ask(&clone, secret, line);
        CHECK(strcmp(line, "kept") == 0);
        secret[strlen(secret) - 1] = '\0';
        CHECK(snap_count_in_monitor(clone.pid, secret + 5) >= 3);
        reset("clone");
        CHECK(snap_count_in_monitor(clone.pid, secret + 5) == 0);
        strcat(secret, "\n");
    }
    CHECK(number(&clone, "count\n") == 1);
    end(&clone, 0);
}

static void only_clones_are_reset(void)
{
    struct running source;
    struct outcome o;

    start_source(&source, "source");
    expect_no(&o, (const char *[]){"reset", "source", NULL}, "it was not grown from a snapshot");
    CHECK(number(&source, "count\n") == 1);
    end(&source, 0);
}

/* It has asked for nothing. */
static void a_client_that_is_killed_does_no_harm(void)
{
    struct running source;
    const char *path = scratch("killed.snap");

    start_source(&source, "source");
    for (int i = 0; i < 40; i++) {
        struct job job = {.argv = {samara(), "snapshot", "--no-sync", "source", path}};
        struct running client;
        struct outcome o;
        struct stat st;

        job_start(&job, &client);
        usleep((useconds_t)i * 500);
        kill(client.pid, SIGKILL);
        job_finish(&client, &o);
        outcome_free(&o);
        CHECK(number(&source, "count\n") == i + 1);
        if (stat(path, &st) == 0) { /* then it is whole */
            struct running clone;

            start_clone(&clone, "clone", path);
            CHECK(number(&clone, "count\n") == i + 1);
            end(&clone, 0);
            break;
        }
    }
    end(&source, 0);
}

static void what_cannot_be_taken_is_refused(void)
{
    struct running source;
    const char *path = scratch("refused.snap");

    start_source(&source, "source");
    expect_refusal((const char *[]){"snapshot", "nobody", path, NULL}, 1, "no VM called nobody");
    take("source", "refused.snap");
    expect_refusal((const char *[]){"snapshot", "source", path, NULL}, 1, "it exists already");
    expect_refusal((const char *[]){"snapshot", "source", "/nowhere/snap", NULL}, 1,
                   "No such file or directory");
    expect_refusal((const char *[]){"snapshot", "source", NULL}, 125, "usage: samara snapshot");
    CHECK(number(&source, "count\n") == 1);
    end(&source, 0);
}

static void flip(const char *path, const char *file, off_t at)
{
    char name[300], byte;
    int fd;

    snprintf(name, sizeof(name), "%s/%s", path, file);
    fd = open(name, O_RDWR);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

static void what_is_damaged_is_refused(void)
{
    struct running source;
    const char *path;
    char file[300];

    start_source(&source, "source");
    path = take("source", "damaged.snap");
    end(&source, 0);
    expect_refusal((const char *[]){"restore", "/nowhere", NULL}, 125, "No such file or directory");
    expect_refusal((const char *[]){"restore", "/etc", NULL}, 125, "/etc: state: No such file");
    expect_refusal((const char *[]){"restore", NULL}, 125, "which SNAPSHOT?");
    flip(path, "state", 8);
    expect_refusal((const char *[]){"restore", path, NULL}, 125, "the header's checksum");
    flip(path, "state", 8);
    flip(path, "state", 2000);
    expect_refusal((const char *[]){"restore", path, NULL}, 125, "checksum");
    flip(path, "state", 2000);
    snprintf(file, sizeof(file), "%s/memory", path);
    CHECK(truncate(file, 1 << 20) == 0);
    expect_refusal((const char *[]){"restore", path, NULL}, 125, "memory: not of 134217728 bytes");
}

const struct vm_test snapshot_tests[] = {
    {"snapshot/a_clone_goes_on_where_the_source_stood", a_clone_goes_on_where_the_source_stood},
    {"snapshot/clones_of_clones_go_on", clones_of_clones_go_on},
    {"snapshot/diffs_are_restored_from_all_their_layers", diffs_are_restored_from_all_their_layers},
    {"snapshot/a_disk_is_given_again", a_disk_is_given_again},
    {"snapshot/a_disk_that_is_written_directly_is_no_part_of_it",
     a_disk_that_is_written_directly_is_no_part_of_it},
    {"snapshot/no_two_have_the_same_random_numbers", no_two_have_the_same_random_numbers},
    {"snapshot/many_are_grown_at_once", many_are_grown_at_once},
    {"snapshot/clocks_go_on", clocks_go_on},
    {"snapshot/a_parked_clone_waits_for_its_first_instruction",
     a_parked_clone_waits_for_its_first_instruction},
    {"snapshot/a_program_says_when_it_is_ready", a_program_says_when_it_is_ready},
    {"snapshot/a_program_hears_that_there_is_no_snapshot",
     a_program_hears_that_there_is_no_snapshot},
    {"snapshot/a_single_use_is_one", a_single_use_is_one},
    {"snapshot/stop_ends_the_source", stop_ends_the_source},
    {"snapshot/a_paused_vm_stays_paused", a_paused_vm_stays_paused},
    {"snapshot/a_reset_goes_back_as_somebody_else", a_reset_goes_back_as_somebody_else},
    {"snapshot/a_reset_leaves_nothing_of_the_former_tenant",
     a_reset_leaves_nothing_of_the_former_tenant},
    {"snapshot/only_clones_are_reset", only_clones_are_reset},
    {"snapshot/a_client_that_is_killed_does_no_harm", a_client_that_is_killed_does_no_harm},
    {"snapshot/what_cannot_be_taken_is_refused", what_cannot_be_taken_is_refused},
    {"snapshot/what_is_damaged_is_refused", what_is_damaged_is_refused},
    {NULL, NULL},
};
