/* Snapshots: which memory a clone needs first is noted by one and known to the next. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vm/snapshot_run.h"

enum { HEAD = 40, EXTENT = 16, FILE_MOST = 64 << 10, WRITTEN = 1 };

/* --- snapshots --- */

static char good_memory[SNAP_LINE]; /* what `memory` says of them */

/* Of a program that has answered once. */
static const char *take(const char *out, const char *option)
{
    static char path[256];
    struct running source;
    struct outcome o;

    snprintf(path, sizeof(path), "%s", scratch(out));
    snap_run(&source, "source", (const char *[]){program("instant"), NULL});
    snap_hear(&source, "up");
    snap_say(&source, "count\n");
    snap_hear(&source, "1");
    snap_command(&o, (const char *[]){"snapshot", "--no-sync", "source", path, option, NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    snap_say(&source, "memory\n");
    snap_read_line(&source, good_memory);
    snap_say(&source, "exit 0\n");
    snap_ends(&source, 0);
    return path;
}

/* A clone answers as the source did, and ends. */
static void use(const char *path, const char *option, const char *warning)
{
    struct running clone;
    struct outcome o;

    snap_restore(&clone, "clone", path, (const char *[]){option, NULL});
    snap_say(&clone, "count\nmemory\nexit 3\n");
    snap_hear(&clone, "2");
    snap_hear(&clone, good_memory);
    job_finish(&clone, &o);
    STATUS(&o, 3);
    if (warning)
        ERROR_HAS(&o, warning);
    else
        CHECK(o.err_len == 0);
    outcome_free(&o);
}

/* --- the file --- */

static const char *set_of(const char *snapshot)
{
    static char path[300];

    snprintf(path, sizeof(path), "%s/working-set", snapshot);
    return path;
}

static size_t read_set(const char *snapshot, uint8_t to[FILE_MOST])
{
    int fd = open(set_of(snapshot), O_RDONLY);
    ssize_t n;

    CHECK(fd >= 0);
    n = read(fd, to, FILE_MOST);
    CHECK(n >= HEAD && n < FILE_MOST && (n - HEAD) % EXTENT == 0);
    close(fd);
    return (size_t)n;
}

static void write_set(const char *snapshot, const uint8_t *bytes, size_t size)
{
    int fd = open(set_of(snapshot), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

static unsigned written_pages(const char *snapshot)
{
    static uint8_t bytes[FILE_MOST];
    size_t size = read_set(snapshot, bytes);
    unsigned pages = 0;

    CHECK(memcmp(bytes, "samaraws\1\0\0\0", 12) == 0);
    for (size_t at = HEAD; at < size; at += EXTENT) {
        uint32_t count, kind;

        memcpy(&count, bytes + at + 8, sizeof(count));
        memcpy(&kind, bytes + at + 12, sizeof(kind));
        pages += kind == WRITTEN ? count : 0;
    }
    return pages;
}

static bool has_set(const char *snapshot)
{
    return access(set_of(snapshot), F_OK) == 0;
}

static void verify(const char *path, int status, const char *why)
{
    struct outcome o;

    snap_command(&o, (const char *[]){"verify", path, NULL});
    STATUS(&o, status);
    if (why)
        ERROR_HAS(&o, why);
    outcome_free(&o);
}

/* --- tests --- */

/* Though it ends at once. */
static void the_first_clone_notes_what_it_needed(void)
{
    struct stat before, after;
    const char *path;
    struct outcome o;

    snap_begin();
    path = take("record-noted.snap", NULL);
    CHECK(!has_set(path));
    use(path, NULL, NULL);
    CHECK(has_set(path) && written_pages(path) >= 5 && written_pages(path) < 1000);
    CHECK(stat(set_of(path), &before) == 0);
    use(path, NULL, NULL);
    CHECK(stat(set_of(path), &after) == 0 && after.st_ino == before.st_ino);
    verify(path, 0, NULL);
    snap_command(&o, (const char *[]){"inspect", path, NULL});
    STATUS(&o, 0);
    CHECK(memmem(o.out, o.out_len, "\nfirst used ", 12) != NULL);
    outcome_free(&o);
}

static int monitor_of(pid_t keeper)
{
    char path[64], line[64];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
    f = fopen(path, "r");
    CHECK(f && fgets(line, sizeof(line), f));
    fclose(f);
    return (int)strtol(line, NULL, 10);
}

/* Of the vCPU thread, which is the monitor's first. */
static bool sleeps(pid_t keeper)
{
    char path[64], state = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", monitor_of(keeper));
    f = fopen(path, "r");
    CHECK(f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1);
    fclose(f);
    return state == 'S';
}

static unsigned long own_kib(pid_t keeper)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", monitor_of(keeper));
    f = fopen(path, "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoul(line + 8, NULL, 10);
    }
    fclose(f);
    CHECK(kib > 0);
    return kib;
}

static void await_status(const char *name, const char *text)
{
    for (int tries = 0; tries < 10000; tries++) {
        struct outcome o;
        bool good;

        snap_command(&o, (const char *[]){"status", name, NULL});
        good = o.status == 0 && memmem(o.out, o.out_len, text, strlen(text)) != NULL;
        outcome_free(&o);
        if (good)
            return;
        usleep(1000);
    }
    fail_at(__FILE__, __LINE__, "%s: never %s", name, text);
}

static void await_parked(const char *name)
{
    await_status(name, "\"parked\"");
}

static unsigned long parked_kib(const char *path)
{
    struct running clone;
    struct outcome o;
    unsigned long kib;

    snap_restore(&clone, "parked", path, (const char *[]){"--park", NULL});
    await_parked("parked");
    kib = own_kib(clone.pid);
    snap_command(&o, (const char *[]){"resume", "parked", NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    snap_say(&clone, "count\nmemory\nexit 3\n");
    snap_hear(&clone, "2");
    snap_hear(&clone, good_memory);
    snap_ends(&clone, 3);
    return kib;
}

/* `memory` is what it was, too, so that most of what is noted are pages of the program's. */
static void a_parked_clone_has_it_before_it_runs(void)
{
    enum { PAGES = 2000 };
    struct running clone;
    unsigned long without, with;
    struct outcome o;
    const char *path;

    snap_begin();
    path = take("record-parked.snap", NULL);
    snap_restore(&clone, "first", path, (const char *[]){"--park", NULL});
    await_parked("first");
    without = own_kib(clone.pid);
    CHECK(!has_set(path)); /* it has said nothing yet */
    snap_command(&o, (const char *[]){"kill", "first", NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    snap_ends(&clone, 137);
    snap_restore(&clone, "large", path, (const char *[]){"--record", NULL});
    snap_say(&clone, "memory\nexit 0\n"); /* it rewrites what it sums up before it says so */
    snap_hear(&clone, good_memory);
    snap_ends(&clone, 0);
    CHECK(written_pages(path) >= PAGES);
    with = parked_kib(path);
    CHECK(with >= without + PAGES * 4);
}

static void record(const char *name, int status, const char *why)
{
    struct outcome o;

    snap_command(&o, (const char *[]){"record", name, NULL});
    STATUS(&o, status);
    if (why)
        CHECK(memmem(o.out, o.out_len, why, strlen(why)) != NULL);
    outcome_free(&o);
}

/* A program that says nothing over vsock has it noted when somebody asks. */
static void it_is_noted_when_that_is_asked_for(void)
{
    struct running source, clone;
    char path[256];

    snap_begin();
    snprintf(path, sizeof(path), "%s", take("record-asked.snap", NULL));
    snap_run(&source, "source", (const char *[]){program("instant"), NULL});
    snap_hear(&source, "up");
    record("source", 1, "it was not grown from a snapshot");
    snap_say(&source, "exit 0\n");
    snap_ends(&source, 0);
    snap_restore(&clone, "asked", path, (const char *[]){"--park", NULL});
    await_parked("asked");
    record("asked", 1, "it has not run yet");
    snap_command(&(struct outcome){0}, (const char *[]){"resume", "asked", NULL});
    record("asked", 0, NULL);
    for (int tries = 0; !has_set(path); tries++) {
        CHECK(tries < 10000);
        usleep(1000);
    }
    record("asked", 1, "its working set has been recorded");
    snap_say(&clone, "count\nmemory\nexit 3\n");
    snap_hear(&clone, "2");
    snap_hear(&clone, good_memory);
    snap_ends(&clone, 3);
    use(path, NULL, NULL);
}

/* As new memory at the same place shows, in the next life. */
static void a_reset_undoes_what_was_mapped(void)
{
    struct running source, clone;
    struct outcome o;
    char path[256];

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("map_again"), NULL});
    snap_hear(&source, "up");
    snprintf(path, sizeof(path), "%s", snap_take("source", "record-mapped.snap"));
    snap_say(&source, "file\n");
    snap_hear(&source, "x x x x");
    job_stop(&source);
    snap_restore(&clone, "mapped", path, snap_no_words);
    for (int i = 0; i < 2; i++) {
        snap_say(&clone, "file\n");
        snap_hear(&clone, "x x x x");
        snap_command(&o, (const char *[]){"reset", "mapped", NULL});
        STATUS(&o, 0);
        outcome_free(&o);
        snap_say(&clone, "zeroes\n");
        snap_hear(&clone, "0 0 0 0");
        snap_command(&o, (const char *[]){"reset", "mapped", NULL});
        STATUS(&o, 0);
        outcome_free(&o);
    }
    job_stop(&clone);
}

static void a_clone_that_was_reset_has_it_again(void)
{
    enum { PAGES = 2000, TRIES = 10000 };
    struct running clone;
    struct outcome o;
    const char *path;
    int tries = 0;

    snap_begin();
    path = take("record-reset.snap", NULL);
    snap_restore(&clone, "large", path, snap_no_words);
    snap_say(&clone, "memory\nexit 0\n");
    snap_hear(&clone, good_memory);
    snap_ends(&clone, 0);
    CHECK(written_pages(path) >= PAGES);
    snap_restore(&clone, "again", path, snap_no_words);
    for (int i = 0; i < 2; i++) {
        snap_say(&clone, "count\nmemory\n");
        snap_hear(&clone, "2");
        snap_hear(&clone, good_memory);
        snap_command(&o, (const char *[]){"reset", "again", NULL});
        STATUS(&o, 0);
        outcome_free(&o);
        while (own_kib(clone.pid) < PAGES * 4) {
            CHECK(tries++ < TRIES);
            usleep(1000);
        }
    }
    snap_say(&clone, "exit 3\n");
    snap_ends(&clone, 3);
}

/* What is done with the vCPU before it is parked leaves no trace in it. */
static void every_register_of_a_parked_clone_goes_on(void)
{
    static const char good[] = "all as it was";
    struct running source, clone[2];
    char path[256];

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("registers"), NULL});
    snap_hear(&source, "up");
    snprintf(path, sizeof(path), "%s", snap_take("source", "record-registers.snap"));
    for (int i = 0; i < 2; i++) {
        struct outcome o;

        snap_restore(&clone[i], "clone", path, (const char *[]){i == 1 ? "--park" : NULL, NULL});
        snap_say(&clone[i], "1\n");
        if (i == 1) {
            CHECK(has_set(path));
            await_parked("clone");
            snap_command(&o, (const char *[]){"resume", "clone", NULL});
            STATUS(&o, 0);
            outcome_free(&o);
        }
        snap_hear(&clone[i], "up");
        snap_say(&clone[i], "2\n");
        snap_hear(&clone[i], good);
        snap_ends(&clone[i], 0);
    }
    snap_say(&source, "1\n");
    snap_hear(&source, "up");
    snap_say(&source, "2\n");
    snap_hear(&source, good);
    snap_ends(&source, 0);
}

/* A clone is left alone for a while, then kept: in a static buffer of its own. option --record:
 * without what was noted; --park: with it. */
static const char *left_alone(const char *path, const char *option, unsigned ms, unsigned number)
{
    static char kept[3][256];
    struct running clone;
    struct outcome o;
    char name[32];

    snprintf(name, sizeof(name), "alone-%u-%u", ms, number);
    snprintf(kept[number], sizeof(kept[number]), "%s", scratch(name));
    snap_restore(&clone, name, path, (const char *[]){option, NULL});
    await_status(name, strcmp(option, "--park") == 0 ? "\"parked\"" : "\"running\"");
    snap_command(&o, (const char *[]){"resume", name, NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    usleep(ms * 1000);
    snap_command(&o, (const char *[]){"snapshot", "--no-sync", "--stop", name, kept[number], NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    job_finish(&clone, &o);
    outcome_free(&o);
    return kept[number];
}

/* What two clones differ in anyhow, and nothing else: if both had time for what they do first. */
static void it_makes_no_difference_to_memory(void)
{
    const char *path, *without[2], *with;
    bool same = false;

    snap_begin();
    path = take("record-same.snap", NULL);
    use(path, NULL, NULL);
    for (unsigned ms = 30; !same; ms *= 2) {
        struct outcome usual, o;

        CHECK(ms < 5000);
        for (unsigned i = 0; i < 2; i++)
            without[i] = left_alone(path, "--record", ms, i);
        with = left_alone(path, "--park", ms, 2);
        snap_command(&usual, (const char *[]){"diff", without[0], without[1], NULL});
        snap_command(&o, (const char *[]){"diff", without[0], with, NULL});
        CHECK(usual.status == 1 && usual.out_len > 0);
        same = o.out_len == usual.out_len && memcmp(o.out, usual.out, o.out_len) == 0;
        outcome_free(&usual);
        outcome_free(&o);
    }
}

/* The guest says where the routine is that is run before it is parked. */
static void a_routine_without_end_is_ended(void)
{
    struct running vm;
    struct outcome o;
    char path[256];

    snap_begin();
    snap_run(&vm, "source", (const char *[]){program("endless_touch"), NULL});
    snap_hear(&vm, "up");
    snprintf(path, sizeof(path), "%s", snap_take("source", "record-endless.snap"));
    for (int i = 0; i < 2; i++) {
        snap_say(&vm, "\n");
        snap_hear(&vm, "runs 0");
        snap_ends(&vm, 0);
        CHECK(has_set(path) == (i == 1));
        snap_restore(&vm, "clone", path, (const char *[]){i == 1 ? "--park" : NULL, NULL});
    }
    await_parked("clone");
    for (int tries = 0; !sleeps(vm.pid); tries++) { /* nobody has told it to end */
        CHECK(tries < 10000);
        usleep(1000);
    }
    snap_command(&o, (const char *[]){"resume", "clone", NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    snap_say(&vm, "\n");
    snap_hear(&vm, "runs 1"); /* it has run, and is over */
    snap_ends(&vm, 0);
}

/* While it is still being made. */
static void a_parked_clone_may_be_resumed_at_once(void)
{
    enum { TIMES = 8 };
    const char *path;

    snap_begin();
    path = take("record-early.snap", NULL);
    for (int i = 0; i < TIMES; i++) {
        struct running clone;
        struct outcome o;
        int status;

        snap_restore(&clone, "early", path, (const char *[]){"--park", NULL});
        do {
            snap_command(&o, (const char *[]){"resume", "early", NULL});
            status = o.status;
            outcome_free(&o);
        } while (status != 0); /* it has no socket yet */
        snap_say(&clone, "count\nmemory\nexit 3\n");
        snap_hear(&clone, "2");
        snap_hear(&clone, good_memory);
        snap_ends(&clone, 3);
    }
}

/* Of whatever kind: a line, and all goes on as without. */
static void a_bad_set_costs_nothing_but_a_line(void)
{
    static uint8_t bytes[FILE_MOST], other[FILE_MOST];
    size_t size, other_size;
    char path[256];

    snap_begin();
    snprintf(path, sizeof(path), "%s", take("record-one.snap", NULL));
    use(path, NULL, NULL);
    use(take("record-other.snap", NULL), NULL, NULL);
    size = read_set(path, bytes);
    other_size = read_set(scratch("record-other.snap"), other);
    bytes[size - 1] ^= 1;
    write_set(path, bytes, size);
    use(path, NULL, "/record-one.snap: working-set: its checksum is wrong");
    verify(path, 1, "/record-one.snap: working-set: its checksum is wrong");
    bytes[size - 1] ^= 1;
    write_set(path, bytes, size - 1);
    use(path, NULL, "/record-one.snap: working-set: ");
    write_set(path, other, other_size);
    use(path, NULL, "/record-one.snap: working-set: it is another snapshot's");
    use(path, "--record", NULL);
    use(path, NULL, NULL);
    verify(path, 0, NULL);
}

/* No regular file is none, and is not written to either. */
static void a_link_in_its_place_is_not_followed(void)
{
    struct stat st;
    const char *path;

    snap_begin();
    path = take("record-link.snap", NULL);
    CHECK(symlink("/dev/zero", set_of(path)) == 0);
    use(path, NULL, NULL);
    CHECK(lstat(set_of(path), &st) == 0 && S_ISLNK(st.st_mode));
}

static void for_a_single_use_none_is_noted(void)
{
    const char *path;

    snap_begin();
    path = take("record-single.snap", "--single-use");
    use(path, NULL, NULL);
    CHECK(!has_set(path));
}

static void of_a_diff_it_is_noted_beside_the_diff(void)
{
    struct running clone;
    struct outcome o;
    char base[256], diff[256];

    snap_begin();
    snprintf(base, sizeof(base), "%s", take("record-base.snap", NULL));
    snprintf(diff, sizeof(diff), "%s", scratch("record-diff.snap"));
    snap_restore(&clone, "between", base, snap_no_words);
    snap_say(&clone, "memory\n");
    snap_hear(&clone, good_memory);
    snap_say(&clone, "count\n");
    snap_hear(&clone, "3");
    snap_command(&o, (const char *[]){"snapshot", "--no-sync", "--diff", "between", diff, NULL});
    STATUS(&o, 0);
    outcome_free(&o);
    snap_say(&clone, "memory\n");
    snap_read_line(&clone, good_memory);
    snap_say(&clone, "exit 0\n");
    snap_ends(&clone, 0);
    CHECK(has_set(base) && !has_set(diff));
    for (int i = 0; i < 2; i++) {
        snap_restore(&clone, "upper", diff, snap_no_words);
        snap_say(&clone, "count\nmemory\nexit 0\n");
        snap_hear(&clone, "4");
        snap_hear(&clone, good_memory);
        snap_ends(&clone, 0);
        CHECK(has_set(diff) && written_pages(diff) < 1000);
    }
}

const struct vm_test snapshot_record_tests[] = {
    {"snapshot_record/the_first_clone_notes_what_it_needed", the_first_clone_notes_what_it_needed},
    {"snapshot_record/a_parked_clone_has_it_before_it_runs", a_parked_clone_has_it_before_it_runs},
    {"snapshot_record/it_is_noted_when_that_is_asked_for", it_is_noted_when_that_is_asked_for},
    {"snapshot_record/a_reset_undoes_what_was_mapped", a_reset_undoes_what_was_mapped},
    {"snapshot_record/a_clone_that_was_reset_has_it_again", a_clone_that_was_reset_has_it_again},
    {"snapshot_record/every_register_of_a_parked_clone_goes_on",
     every_register_of_a_parked_clone_goes_on},
    {"snapshot_record/it_makes_no_difference_to_memory", it_makes_no_difference_to_memory},
    {"snapshot_record/a_routine_without_end_is_ended", a_routine_without_end_is_ended},
    {"snapshot_record/a_parked_clone_may_be_resumed_at_once",
     a_parked_clone_may_be_resumed_at_once},
    {"snapshot_record/a_bad_set_costs_nothing_but_a_line", a_bad_set_costs_nothing_but_a_line},
    {"snapshot_record/a_link_in_its_place_is_not_followed", a_link_in_its_place_is_not_followed},
    {"snapshot_record/for_a_single_use_none_is_noted", for_a_single_use_none_is_noted},
    {"snapshot_record/of_a_diff_it_is_noted_beside_the_diff",
     of_a_diff_it_is_noted_beside_the_diff},
    {NULL, NULL},
};
