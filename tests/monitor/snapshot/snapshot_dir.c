/* Opening a snapshot's directory: what is none is refused by a line that names the file. */
#include "monitor/snapshot/snapshot_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/monitor/snapshot/good_snapshot.h"

static struct snapshot_dir d;
static struct err err;

static void make(void)
{
    snapshot_folder_make();
    good_snapshot(&good_header);
}

TestSuite(snapshot_dir, .init = make, .fini = snapshot_folder_remove);

static void assert_refused(const char *why)
{
    err.text[0] = '\0';
    cr_assert_eq(snapshot_dir_open(&d, snapshot_path, &err), -1, "%s", why);
    cr_assert(strstr(err.text, why), "%s: %s", why, err.text);
    cr_assert_eq(strncmp(err.text, snapshot_path, strlen(snapshot_path)), 0, "%s", err.text);
    cr_assert(d.dir == -1 && d.memory == -1 && d.bytes == NULL);
}

Test(snapshot_dir, what_was_written_is_opened)
{
    size_t count;

    cr_assert_eq(snapshot_dir_open(&d, snapshot_path, &err), 0, "%s", err.text);
    cr_assert_eq(d.state.header.memory, GOOD_MEMORY);
    cr_assert_eq(snapshot_extents(&d.state, &count)[1].offset, 4 * 4096);
    cr_assert_eq(count, 2);
    snapshot_dir_close(&d);
    snapshot_dir_close(&d);
}

Test(snapshot_dir, a_link_to_one_is_refused)
{
    in_snapshot("cd .. && mv snap other && ln -s other snap");
    assert_refused("a symbolic link, not a snapshot's directory");
}

Test(snapshot_dir, a_file_or_nothing_is_refused)
{
    in_snapshot("cd .. && rm -r snap && touch snap");
    assert_refused("not a directory, which a snapshot is");
    unlink(snapshot_path);
    assert_refused("No such file or directory");
}

Test(snapshot_dir, without_a_file_it_is_none)
{
    in_snapshot("mv state state2");
    assert_refused("/snap: state: No such file");
    in_snapshot("mv state2 state && rm memory");
    assert_refused("/snap: memory: No such file");
}

Test(snapshot_dir, what_is_no_regular_file_is_refused)
{
    static const char *const files[] = {"state", "memory"};

    for (unsigned i = 0; i < 2; i++) {
        in_snapshot("mv %s saved && ln -s saved %s", files[i], files[i]);
        assert_refused(i ? "memory: a symbolic link" : "state: a symbolic link");
        in_snapshot("rm %s && mkfifo %s", files[i], files[i]);
        assert_refused(i ? "memory: not a regular file" : "state: not a regular file");
        in_snapshot("rm %s && mkdir %s", files[i], files[i]);
        assert_refused(i ? "memory: not a regular file" : "state: not a regular file");
        in_snapshot("rmdir %s && mv saved %s", files[i], files[i]);
    }
}

Test(snapshot_dir, sizes_have_to_agree)
{
    in_snapshot("truncate -s +4096 memory");
    assert_refused("memory: has 69632 bytes, not the 65536 that state says");
    in_snapshot("truncate -s 0 memory");
    assert_refused("memory: has 0 bytes");
    in_snapshot("truncate -s 65536 memory && truncate -s -1 state");
    assert_refused("state: has ");
    in_snapshot("truncate -s 0 state");
    assert_refused("state: byte 0: not the state of a snapshot");
    in_snapshot("truncate -s 64M state && truncate -s +1 state");
    assert_refused("state: 67108865 bytes are more than the 67108864 allowed");
}

/* A state that is whole, but not one of a VM. */
Test(snapshot_dir, records_are_checked)
{
    struct snapshot_builder b = {0};
    char path[100];
    FILE *file;

    cr_assert_eq(snapshot_finish(&b, &good_header, NULL), 0);
    snprintf(path, sizeof(path), "%s/state", snapshot_path);
    file = fopen(path, "w");
    cr_assert(file && fwrite(b.bytes, b.size, 1, file) == 1 && fclose(file) == 0);
    snapshot_builder_free(&b);
    assert_refused("/snap: state: no CONFIG record");
}
