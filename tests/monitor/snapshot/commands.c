/* `samara inspect` and `samara verify`: what they print, and that no byte is changed unnoticed. */
#include "monitor/snapshot/snapshot_commands.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/monitor/snapshot/good_snapshot.h"

enum { PAGE = 4096 };

static struct report report;
static char printed[8192];

static void make(void)
{
    snapshot_folder_make();
    good_snapshot(&good_header);
}

TestSuite(snapshot_commands, .init = make, .fini = snapshot_folder_remove);

static void make_with_disk(void)
{
    snapshot_folder_make();
    good_snapshot_with_disk(&good_header);
}

TestSuite(snapshot_disk, .init = make_with_disk, .fini = snapshot_folder_remove);

/* --- helpers --- */

typedef int command_fn(int argc, char **argv, struct report *report);

/* With what it prints in `printed`. */
static int run(command_fn *command, const char *word, const char *more)
{
    char *argv[] = {(char *)word, (char *)more, NULL};
    FILE *file = tmpfile();
    int saved, status;
    size_t length;

    cr_assert(file);
    fflush(stdout);
    saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    report.err.text[0] = '\0';
    status = command(word == NULL ? 0 : more == NULL ? 1 : 2, argv, &report);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    length = fread(printed, 1, sizeof(printed) - 1, file);
    printed[length] = '\0';
    fclose(file);
    return status;
}

static void assert_bad(const char *why)
{
    cr_assert_eq(run(verify_command, snapshot_path, NULL), 1, "%s: %s", why, printed);
    cr_assert(strstr(report.err.text, why), "%s: %s", why, report.err.text);
    cr_assert_eq(strncmp(report.err.text, snapshot_path, strlen(snapshot_path)), 0);
    cr_assert_eq(printed[0], '\0');
}

static void assert_good(void)
{
    cr_assert_eq(run(verify_command, snapshot_path, NULL), 0, "%s", report.err.text);
}

/* Changes one bit of a file, and with the same call changes it back. */
static void flip(const char *file, off_t at)
{
    char path[100];
    uint8_t byte;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", snapshot_path, file);
    fd = open(path, O_RDWR);
    cr_assert(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 0x10;
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static off_t size_of(const char *file)
{
    char path[100];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", snapshot_path, file);
    cr_assert_eq(stat(path, &st), 0);
    return st.st_size;
}

/* --- verify --- */

Test(snapshot_commands, a_good_one_is_said_to_be_good_in_one_line)
{
    char want[200];

    assert_good();
    snprintf(want, sizeof(want),
             "%s: good: 64 KiB of memory, 12 KiB of data, 1 digest, 17 records\n", snapshot_path);
    cr_assert_str_eq(printed, want);
}

Test(snapshot_commands, a_bit_of_any_file_is_noticed)
{
    static const char *const files[] = {"state", "manifest.json", "memory"};

    for (unsigned i = 0; i < 3; i++) {
        off_t size = size_of(files[i]);

        for (off_t at = 0; at < size; at += 61) {
            flip(files[i], at);
            assert_bad(files[i]);
            flip(files[i], at);
        }
        flip(files[i], size - 1);
        assert_bad(files[i]);
        flip(files[i], size - 1);
    }
    assert_good();
}

Test(snapshot_commands, damage_is_told_with_its_place)
{
    flip("memory", PAGE + 77);
    assert_bad("memory: the chunk of 2097152 bytes at byte 0: digest is ");
    cr_assert(strstr(report.err.text, ", computed "));
    flip("memory", PAGE + 77);
    flip("memory", 3 * PAGE + 5);
    assert_bad("memory: byte 12293 is not zero, and in no extent of data");
    flip("memory", 3 * PAGE + 5);
    flip("memory", 0);
    assert_bad("memory: byte 0 is not zero");
    flip("memory", 0);
    flip("manifest.json", 9);
    assert_bad("manifest.json: byte 9 is not what state says");
}

Test(snapshot_commands, what_is_lost_is_noticed)
{
    in_snapshot("fallocate -p -o %d -l %d memory", PAGE, PAGE);
    assert_bad("memory: the chunk of ");
    in_snapshot("truncate -s -1 manifest.json");
    assert_bad("manifest.json: byte ");
    in_snapshot("rm manifest.json");
    assert_bad("manifest.json: No such file");
    in_snapshot("mkfifo manifest.json");
    assert_bad("manifest.json: not a regular file");
}

Test(snapshot_commands, a_longer_manifest_is_noticed)
{
    char why[64];

    snprintf(why, sizeof(why), "manifest.json: byte %d is not", (int)size_of("manifest.json"));
    in_snapshot("echo >>manifest.json");
    assert_bad(why);
    in_snapshot("truncate -s 1M manifest.json");
    assert_bad("manifest.json: 1048576 bytes are more than the 65536 allowed");
}

/* As copied by somebody who does not know of holes. */
Test(snapshot_commands, a_copy_without_holes_is_good)
{
    in_snapshot("cp --sparse=never memory copy && mv copy memory");
    assert_good();
}

Test(snapshot_commands, a_diff_is_verified_by_itself)
{
    struct snapshot_header header = good_header;

    header.flags = SNAPSHOT_DIFF;
    header.parent[0] = 0xcd;
    in_snapshot("rm -r ../snap");
    good_snapshot(&header);
    assert_good();
    flip("memory", 3 * PAGE); /* which is EXTENT_ZERO */
    assert_bad("memory: byte 12288 is not zero");
}

/* --- inspect --- */

Test(snapshot_commands, inspect_prints_a_table)
{
    cr_assert_eq(run(inspect_command, snapshot_path, NULL), 0, "%s", report.err.text);
    cr_assert_str_eq(printed,
                     "id         0102030405060708090a0b0c0d0e0f10\n"
                     "created    2025-11-25T14:39:35.123456789Z by samara 0.1.0 on Linux "
                     "6.1.0-28-amd64\n"
                     "program    /bin/busybox\n"
                     "cpu        GenuineIntel, family 6, model 143, stepping 8\n"
                     "memory     64 KiB, of which 12 KiB are data (2 extents)\n"
                     "device 0   vsock (19), 3 queues, features 0x100000000, 2 connections\n"
                     "device 1   block (2), 1 queue, features 0x100000000\n"
                     "state      format 1, 7.8 KiB, 17 records\n");
}

Test(snapshot_commands, inspect_prints_the_manifest_that_belongs_there)
{
    char have[8192] = "", path[100];
    FILE *file;

    cr_assert_eq(run(inspect_command, snapshot_path, "--json"), 0);
    snprintf(path, sizeof(path), "%s/manifest.json", snapshot_path);
    file = fopen(path, "r");
    cr_assert(file && fread(have, 1, sizeof(have) - 1, file) > 0);
    fclose(file);
    cr_assert_str_eq(printed, have);
    flip("manifest.json", 30);
    cr_assert_eq(run(inspect_command, "--json", snapshot_path), 0);
    cr_assert_str_eq(printed, have);
}

Test(snapshot_commands, inspect_knows_a_diff)
{
    struct snapshot_header header = good_header;

    header.flags = SNAPSHOT_DIFF | SNAPSHOT_SINGLE_USE;
    header.parent[0] = 0xcd;
    in_snapshot("rm -r ../snap");
    good_snapshot(&header);
    cr_assert_eq(run(inspect_command, snapshot_path, NULL), 0);
    cr_assert(strstr(printed, "\ndiff of    cd00000000"), "%s", printed);
    cr_assert(strstr(printed, "\nuse        once: a second restore is refused\n"));
    cr_assert(strstr(printed, "64 KiB, of which 12 KiB are data, 4 KiB became zero (3 extents)"),
              "%s", printed);
}

Test(snapshot_commands, what_is_no_snapshot_is_refused)
{
    flip("state", 4000);
    cr_assert_eq(run(inspect_command, snapshot_path, NULL), 1);
    cr_assert(strstr(report.err.text, "/snap: state: record "), "%s", report.err.text);
    cr_assert_eq(printed[0], '\0');
    cr_assert_eq(run(inspect_command, "/dev/null", NULL), 1);
    cr_assert_str_eq(report.err.text, "/dev/null: not a directory, which a snapshot is");
}

/* --- words --- */

Test(snapshot_commands, other_words_are_refused)
{
    static const struct {
        command_fn *command;
        const char *word, *more, *why;
    } bad[] = {
        {inspect_command, NULL, NULL, "which snapshot? (see `samara inspect --help`)"},
        {verify_command, NULL, NULL, "which snapshot? (see `samara verify --help`)"},
        {inspect_command, "--jso", NULL, "unknown option --jso (see `samara inspect --help`)"},
        {verify_command, "a", "--json", "unknown option --json (see `samara verify --help`)"},
        {verify_command, "a", "-", "unknown option - (see"},
        {verify_command, "a", "b", "b: one snapshot at a time"},
        {inspect_command, "--json", NULL, "which snapshot?"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(run(bad[i].command, bad[i].word, bad[i].more), EXIT_SAMARA, "%zu", i);
        cr_assert(strstr(report.err.text, bad[i].why), "%s", report.err.text);
    }
    cr_assert_eq(run(verify_command, "--help", NULL), 0);
    cr_assert(strstr(printed, "usage: samara verify SNAPSHOT\n"));
    cr_assert_eq(run(inspect_command, "--help", NULL), 0);
    cr_assert(strstr(printed, "usage: samara inspect SNAPSHOT [--json]\n"));
}

/* --- what was written by the first version, and has to be read for ever --- */

Test(snapshot_commands, version_1_is_read)
{
    cr_assert_eq(run(verify_command, GOLDEN "/v1", NULL), 0, "%s", report.err.text);
}

/* And nothing of it has changed: whoever changes a layout gives it another version. */
Test(snapshot_commands, version_1_is_written)
{
    in_snapshot("for file in state memory manifest.json; do cmp $file " GOLDEN
                "/v1/$file || exit 1; done");
}

Test(snapshot_disk, version_1_is_read)
{
    cr_assert_eq(run(verify_command, GOLDEN "/v1-disk", NULL), 0, "%s", report.err.text);
}

Test(snapshot_disk, version_1_is_written)
{
    in_snapshot("for file in state memory manifest.json disk-0; do cmp $file " GOLDEN
                "/v1-disk/$file || exit 1; done");
}

/* Of its header, bitmap, blocks, holes, and behind the end. */
Test(snapshot_disk, a_bit_of_it_is_noticed)
{
    off_t size = size_of("disk-0");

    assert_good();
    for (off_t at = 0; at < size; at += 251) {
        flip("disk-0", at);
        assert_bad("disk-0: ");
        flip("disk-0", at);
    }
    flip("disk-0", size - 1);
    assert_bad("disk-0: byte ");
    flip("disk-0", size - 1);
    assert_good();
}

Test(snapshot_disk, what_is_lost_of_it_is_noticed)
{
    in_snapshot("cp disk-0 ../kept && truncate -s -4096 disk-0");
    assert_bad("disk-0: shorter than an overlay of this base is: a part is missing");
    in_snapshot("rm disk-0");
    assert_bad("disk-0: No such file or directory");
    in_snapshot("ln -s ../kept disk-0");
    assert_bad("disk-0: a symbolic link");
    in_snapshot("rm disk-0 && cp --sparse=never ../kept disk-0");
    assert_good();
}

Test(snapshot_disk, inspect_prints_it)
{
    cr_assert_eq(run(inspect_command, snapshot_path, NULL), 0, "%s", report.err.text);
    cr_assert(strstr(printed, "\ndisk 0     79.5 KiB, of which 16 KiB were written\n"), "%s",
              printed);
    cr_assert_eq(run(inspect_command, snapshot_path, "--json"), 0, "%s", report.err.text);
    cr_assert(
        strstr(printed, "\"base_changed_ns\": \"1764081575123456789\",\n      \"data\": 16384"),
        "%s", printed);
}
