/* Writing a snapshot: what it holds, and that what fails leaves nothing. */
#include "monitor/snapshot/snapshot_writer.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/snapshot/records_check.h"
#include "monitor/snapshot/snapshot_dir.h"
#include "tests/monitor/snapshot/good_state.h"

enum { PAGE = 4096 };

static char folder[] = "/tmp/samara-snapshot.XXXXXX";
static char out[64];
static struct snapshot_writer w;
static struct snapshot_dir d;
static struct err err;

static void make(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(out, sizeof(out), "%s/snap", folder);
    signal(SIGXFSZ, SIG_IGN);
}

static void unmake(void)
{
    char command[100];

    snapshot_dir_close(&d);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(snapshot_writer, .init = make, .fini = unmake);

/* --- helpers --- */

static int put_record(void *to, uint32_t kind, const void *payload, size_t size)
{
    return snapshot_writer_record(to, kind, 1, payload, size, &err);
}

static int put_page(unsigned page, char fill)
{
    char bytes[PAGE];

    memset(bytes, fill, sizeof(bytes));
    return snapshot_writer_pages(&w, (uint64_t)page * PAGE, bytes, sizeof(bytes), &err);
}

static void begin(const struct snapshot_header *header)
{
    cr_assert_eq(snapshot_writer_open(&w, out, header, &err), 0, "%s", err.text);
    cr_assert_eq(good_records(put_record, &w), 0, "%s", err.text);
    if (header->flags & SNAPSHOT_DIFF)
        cr_assert_eq(put_record(&w, RECORD_PARENT, GOOD_PARENT, sizeof(GOOD_PARENT) - 1), 0);
}

static void finish(void)
{
    cr_assert_eq(snapshot_writer_commit(&w, true, &err), 0, "%s", err.text);
    snapshot_writer_abort(&w);
}

static const struct saved_extent *open_it(size_t *count)
{
    snapshot_dir_close(&d);
    cr_assert_eq(snapshot_dir_open(&d, out, &err), 0, "%s", err.text);
    return snapshot_extents(&d.state, count);
}

static void assert_extent(const struct saved_extent *e, unsigned page, unsigned pages,
                          uint32_t kind)
{
    cr_assert(e->offset == (uint64_t)page * PAGE && e->size == (uint64_t)pages * PAGE &&
                  e->kind == kind,
              "%#zx+%#zx of kind %u", (size_t)e->offset, (size_t)e->size, e->kind);
}

static void assert_page(unsigned page, char fill)
{
    char bytes[PAGE];

    cr_assert_eq(pread(d.memory, bytes, PAGE, (off_t)page * PAGE), PAGE);
    for (size_t i = 0; i < PAGE; i++)
        cr_assert_eq(bytes[i], fill, "page %u, byte %zu", page, i);
}

static unsigned entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned count = 0;

    cr_assert(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static void remove_it(void)
{
    char command[100];

    snprintf(command, sizeof(command), "rm -rf %s", out);
    cr_assert_eq(system(command), 0);
}

/* --- what is there afterwards --- */

Test(snapshot_writer, what_is_given_is_there)
{
    const struct saved_extent *e;
    struct stat st;
    size_t count;

    begin(&good_header);
    cr_assert_eq(put_page(3, 'a'), 0);
    cr_assert_eq(put_page(4, 'b'), 0);
    cr_assert_eq(put_page(5, 0), 0);
    cr_assert_eq(put_page(15, 'c'), 0);
    cr_assert_eq(stat(out, &st), -1);
    finish();
    e = open_it(&count);
    cr_assert_eq(count, 2);
    assert_extent(&e[0], 3, 2, EXTENT_DATA);
    assert_extent(&e[1], 15, 1, EXTENT_DATA);
    for (unsigned page = 0; page < GOOD_PAGES; page++)
        assert_page(page, (char)(page == 3 ? 'a' : page == 4 ? 'b' : page == 15 ? 'c' : 0));
    cr_assert_eq(d.state.count, 17);
    cr_assert_arr_eq(d.state.header.id, good_header.id, SNAPSHOT_ID);
    cr_assert_eq(entries(folder), 1);
    cr_assert_eq(entries(out), 3);
    cr_assert_eq(stat(out, &st), 0);
    cr_assert_eq(st.st_mode, S_IFDIR | 0700);
    cr_assert_eq(fstat(d.memory, &st), 0);
    cr_assert_eq(st.st_mode, S_IFREG | 0600);
    cr_assert_eq(st.st_size, GOOD_MEMORY);
    cr_assert_leq(st.st_blocks, 3 * PAGE / 512);
}

Test(snapshot_writer, the_last_bytes_given_count)
{
    const struct saved_extent *e;
    struct stat st;
    size_t count;

    begin(&good_header);
    for (unsigned page = 0; page < GOOD_PAGES; page++)
        cr_assert_eq(put_page(page, 'x'), 0);
    for (unsigned page = 0; page < GOOD_PAGES; page++)
        cr_assert_eq(put_page(page, 0), 0);
    cr_assert_eq(put_page(7, 'y'), 0);
    cr_assert_eq(put_page(7, 'z'), 0);
    finish();
    e = open_it(&count);
    cr_assert_eq(count, 1);
    assert_extent(&e[0], 7, 1, EXTENT_DATA);
    assert_page(7, 'z');
    assert_page(8, 0);
    cr_assert_eq(fstat(d.memory, &st), 0);
    cr_assert_leq(st.st_blocks, PAGE / 512, "pages that became zero are holes");
}

Test(snapshot_writer, many_pages_at_once_are_split_into_data_and_holes)
{
    static char bytes[GOOD_MEMORY];
    const struct saved_extent *e;
    size_t count;

    bytes[0] = 1;
    bytes[2 * PAGE - 1] = 1;
    bytes[9 * PAGE + 77] = 1;
    begin(&good_header);
    cr_assert_eq(snapshot_writer_pages(&w, 0, bytes, sizeof(bytes), &err), 0);
    finish();
    e = open_it(&count);
    cr_assert_eq(count, 2);
    assert_extent(&e[0], 0, 2, EXTENT_DATA);
    assert_extent(&e[1], 9, 1, EXTENT_DATA);
}

Test(snapshot_writer, a_diff_tells_zero_from_unchanged)
{
    struct snapshot_header header = good_header;
    const struct saved_extent *e;
    size_t count;

    header.flags = SNAPSHOT_DIFF;
    header.parent[0] = 7;
    begin(&header);
    cr_assert_eq(put_page(2, 0), 0);
    cr_assert_eq(put_page(3, 'a'), 0);
    cr_assert_eq(put_page(9, 'b'), 0);
    cr_assert_eq(put_page(9, 0), 0);
    finish();
    e = open_it(&count);
    cr_assert_eq(count, 3);
    assert_extent(&e[0], 2, 1, EXTENT_ZERO);
    assert_extent(&e[1], 3, 1, EXTENT_DATA);
    assert_extent(&e[2], 9, 1, EXTENT_ZERO);
}

Test(snapshot_writer, a_diff_of_nothing_is_one)
{
    struct snapshot_header header = good_header;
    size_t count;

    header.flags = SNAPSHOT_DIFF;
    header.parent[0] = 7;
    begin(&header);
    finish();
    open_it(&count);
    cr_assert_eq(count, 0);
}

/* Every other page of 1 GiB: more pieces than a snapshot may have. */
static void fill_every_other(uint64_t ram, uint32_t flags)
{
    struct snapshot_header header = good_header;
    static char bytes[64 * PAGE];

    header.flags = flags;
    header.parent[0] = flags & SNAPSHOT_DIFF ? 1 : 0;
    header.memory = ram;
    begin(&header);
    for (size_t at = 0; at < sizeof(bytes); at += (size_t)2 * PAGE)
        bytes[at] = 1;
    for (uint64_t at = 0; at < ram; at += sizeof(bytes))
        memset(w.known + at / PAGE / 8, 0xff, 8);
    for (uint64_t page = 0; page < ram / PAGE; page += 2)
        w.present[page / 8] = 0x55;
}

Test(snapshot_writer, memory_in_too_many_pieces_takes_in_zeroes)
{
    const struct saved_extent *e;
    size_t count;

    fill_every_other(UINT64_C(1) << 30, 0);
    finish();
    e = open_it(&count);
    cr_assert_eq(count, 1);
    assert_extent(&e[0], 0, 1 << 18, EXTENT_DATA);
}

Test(snapshot_writer, a_diff_in_too_many_pieces_is_refused)
{
    fill_every_other(UINT64_C(1) << 30, SNAPSHOT_DIFF);
    memset(w.known, 0x55, (1 << 30) / PAGE / 8);
    cr_assert_eq(snapshot_writer_commit(&w, false, &err), -1);
    cr_assert(strstr(err.text, "its changes are in 131072 pieces, more than 65536"), "%s",
              err.text);
    snapshot_writer_abort(&w);
    cr_assert_eq(entries(folder), 0);
}

Test(snapshot_writer, a_name_may_be_long_or_end_with_a_slash)
{
    char name[256], path[400];

    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(path, sizeof(path), "%s/%s///", folder, name);
    cr_assert_eq(snapshot_writer_open(&w, path, &good_header, &err), 0, "%s", err.text);
    cr_assert_eq(good_records(put_record, &w), 0);
    finish();
    path[strlen(path) - 3] = '\0';
    cr_assert_eq(snapshot_dir_open(&d, path, &err), 0, "%s", err.text);
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(snapshot_writer_open(&w, "relative", &good_header, &err), 0, "%s", err.text);
    cr_assert_eq(good_records(put_record, &w), 0);
    finish();
    cr_assert_eq(entries(folder), 2);
}

/* --- what is refused --- */

Test(snapshot_writer, a_name_that_is_taken_is_not_taken_over)
{
    static const char *const kinds[] = {"touch", "mkdir", "ln -s nowhere"};
    char command[200], why[200];

    snprintf(why, sizeof(why), "%s: it exists already (a snapshot is never modified)", out);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(command, sizeof(command), "rm -rf %s; %s %s", out, kinds[i], out);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(snapshot_writer_open(&w, out, &good_header, &err), -1);
        cr_assert_str_eq(err.text, why);
        cr_assert_eq(entries(folder), 1);
    }
}

Test(snapshot_writer, a_name_taken_meanwhile_is_not_taken_over)
{
    static const char *const kinds[] = {"touch", "mkdir", "ln -s nowhere"};
    char command[200];

    for (unsigned i = 0; i < 3; i++) {
        begin(&good_header);
        snprintf(command, sizeof(command), "%s %s", kinds[i], out);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(snapshot_writer_commit(&w, true, &err), -1);
        cr_assert(strstr(err.text, "somebody else has made it meanwhile"), "%s", err.text);
        snapshot_writer_abort(&w);
        cr_assert_eq(entries(folder), 1);
        remove_it();
    }
}

Test(snapshot_writer, no_names_and_no_places_are_refused)
{
    static const char *const names[] = {
        "", "/", ".", "..", "/tmp/..", "/no/such/place", "/dev/null/snap"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(snapshot_writer_open(&w, names[i], &good_header, &err), -1, "%s", names[i]);
        cr_assert(err.text[0]);
        cr_assert(w.parent == -1 && w.dir == -1 && w.memory == -1);
    }
}

Test(snapshot_writer, nonsense_from_a_monitor_is_refused)
{
    struct snapshot_header header = good_header;
    char page[2 * PAGE] = "x";
    static const struct {
        uint64_t offset, size;
    } bad[] = {{1, PAGE},
               {0, 100},
               {GOOD_MEMORY, PAGE},
               {GOOD_MEMORY - PAGE, (uint64_t)2 * PAGE},
               {-(uint64_t)PAGE, PAGE},
               {0, -(uint64_t)PAGE}};

    header.memory = 4097;
    cr_assert_eq(snapshot_writer_open(&w, out, &header, &err), -1);
    begin(&good_header);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(snapshot_writer_pages(&w, bad[i].offset, page, bad[i].size, &err), -1, "%zu",
                     i);
        cr_assert(strstr(err.text, "are no pages of it"), "%s", err.text);
    }
    cr_assert_eq(snapshot_writer_record(&w, RECORD_MEMORY, 1, page, 24, &err), -1);
    cr_assert_eq(snapshot_writer_record(&w, RECORD_DIGESTS, 1, page, 16, &err), -1);
    cr_assert_eq(snapshot_writer_record(&w, RECORD_CLOCK, 1, page, 24, &err), 0);
    cr_assert_eq(snapshot_writer_commit(&w, true, &err), -1);
    cr_assert(strstr(err.text, "/snap: state: 2 CLOCK records"), "%s", err.text);
    snapshot_writer_abort(&w);
    cr_assert_eq(entries(folder), 0);
}

Test(snapshot_writer, what_is_aborted_is_gone)
{
    begin(&good_header);
    cr_assert_eq(put_page(1, 'a'), 0);
    cr_assert_eq(entries(folder), 1);
    snapshot_writer_abort(&w);
    snapshot_writer_abort(&w);
    cr_assert_eq(entries(folder), 0);
}

/* --- what fails --- */

/* All of it; false if any step failed, which has to have said why. */
static bool write_snapshot(void)
{
    bool good;

    err.text[0] = '\0';
    good = snapshot_writer_open(&w, out, &good_header, &err) == 0 &&
           good_records(put_record, &w) == 0 && put_page(1, 'a') == 0 && put_page(2, 'b') == 0 &&
           put_page(1, 0) == 0 && snapshot_writer_commit(&w, true, &err) == 0;
    snapshot_writer_abort(&w);
    cr_assert(good || err.text[0]);
    return good;
}

/* What is there is nothing, or (if it was said to have worked) a whole snapshot. */
static void assert_all_or_nothing(bool good)
{
    size_t count;

    if (good) {
        open_it(&count);
        cr_assert_eq(count, 1);
        assert_page(2, 'b');
    } else {
        cr_assert_eq(entries(folder), 0, "%s", err.text);
    }
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};

    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* With memory of a single page, so that the state fails at all its bytes (13 are one here). */
Test(snapshot_writer, a_file_that_may_not_be_longer_leaves_nothing)
{
    struct snapshot_header header = good_header;
    unsigned failed = 0;
    bool good = false;

    header.memory = PAGE;
    for (rlim_t bytes = 0; !good; bytes += bytes < PAGE - 100 ? 997 : 13) {
        limit_files(bytes);
        err.text[0] = '\0';
        good = snapshot_writer_open(&w, out, &header, &err) == 0 &&
               good_records(put_record, &w) == 0 && put_page(0, 'a') == 0 &&
               snapshot_writer_commit(&w, false, &err) == 0;
        snapshot_writer_abort(&w);
        limit_files(RLIM_INFINITY);
        cr_assert_eq(entries(folder), good, "%s", err.text);
        cr_assert(good || strstr(err.text, strerror(EFBIG)), "%s", err.text);
        failed += !good;
    }
    cr_assert_gt(failed, 200);
}

/* A file system of its own that is full after so many pages or files. */
static bool write_to_tmpfs(const char *options)
{
    char saved[sizeof(out)];
    bool good;

    memcpy(saved, out, sizeof(out));
    cr_assert_eq(mount("tmpfs", folder, "tmpfs", 0, options), 0, "%s", strerror(errno));
    good = write_snapshot();
    assert_all_or_nothing(good);
    snapshot_dir_close(&d);
    cr_assert_eq(umount2(folder, MNT_DETACH), 0);
    return good;
}

static void own_mounts(void)
{
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return;
    fprintf(stderr, "!!! a full file system is not tested: no mount namespace (%s)\n",
            strerror(errno));
    cr_skip_test();
}

Test(snapshot_writer, a_full_file_system_leaves_nothing)
{
    char options[64];
    unsigned failed = 0;

    own_mounts();
    for (unsigned pages = 1;; pages++) {
        snprintf(options, sizeof(options), "size=%uk", 4 * pages);
        if (write_to_tmpfs(options))
            break;
        cr_assert(strstr(err.text, strerror(ENOSPC)), "%s", err.text);
        failed++;
    }
    cr_assert_geq(failed, 3);
    failed = 0;
    for (unsigned files = 2;; files++) {
        snprintf(options, sizeof(options), "nr_inodes=%u", files);
        if (write_to_tmpfs(options))
            break;
        failed++;
    }
    cr_assert_geq(failed, 3);
}

/* From here on this system call fails; with descriptor >= 0 only for that one. */
static void forbid(int number, int descriptor, int reason)
{
    struct sock_filter any[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)descriptor, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)reason),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(any) / sizeof(any[0]), any};

    if (descriptor < 0)
        any[3] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), 0, "%s",
                 strerror(errno));
}

/* In a process of its own: did it work? What it left is looked at here, without the filter, and
 * removed. */
static bool write_without(int number, int descriptor, int reason)
{
    int status, said[2];
    pid_t pid;

    cr_assert_eq(pipe(said), 0);
    pid = fork();
    if (pid == 0) {
        bool good;

        close(said[0]);
        forbid(number, descriptor, reason);
        good = write_snapshot();
        _exit(syscall(SYS_write, said[1], err.text, strlen(err.text)) < 0 ? 2 : good ? 0 : 1);
    }
    close(said[1]);
    memset(err.text, 0, sizeof(err.text));
    cr_assert_geq(read(said[0], err.text, sizeof(err.text) - 1), 0);
    close(said[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "%d", status);
    assert_all_or_nothing(WEXITSTATUS(status) == 0);
    remove_it();
    return WEXITSTATUS(status) == 0;
}

Test(snapshot_writer, whichever_step_fails_nothing_is_left)
{
    static const struct {
        int number, reason;
    } steps[] = {{SYS_mkdirat, ENOSPC}, {SYS_openat, EMFILE},    {SYS_ftruncate, EFBIG},
                 {SYS_pwritev2, EIO},   {SYS_pwritev2, ENOSPC},  {SYS_fallocate, EIO},
                 {SYS_preadv2, EIO},    {SYS_renameat2, EPERM},  {SYS_fsync, EIO},
                 {SYS_fsync, ENOSPC},   {SYS_getrandom, ENOSYS}, {SYS_newfstatat, EIO}};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        cr_assert_not(write_without(steps[i].number, -1, steps[i].reason), "call %d",
                      steps[i].number);
        cr_assert(strstr(err.text, strerror(steps[i].reason)), "call %d: %s", steps[i].number,
                  err.text);
    }
}

/* The same calls for each descriptor alone: the state's and the manifest's write, the directories'
 * sync, the last of which follows the renaming. */
Test(snapshot_writer, whichever_file_fails_nothing_is_left)
{
    static const int calls[] = {SYS_fsync, SYS_pwritev2, SYS_close};
    unsigned failed[3] = {0};

    for (unsigned i = 0; i < 3; i++) {
        for (int descriptor = 3; descriptor < 24; descriptor++)
            failed[i] += !write_without(calls[i], descriptor, EIO);
    }
    cr_assert_eq(failed[0], 4); /* parent, directory, memory, and what is written and closed */
    cr_assert_eq(failed[1], 2);
    cr_assert_eq(failed[2], 1);
}

Test(snapshot_writer, a_file_system_without_holes_or_exclusive_renames_will_do)
{
    cr_assert(write_without(SYS_fallocate, -1, EOPNOTSUPP), "%s", err.text);
    cr_assert(write_without(SYS_renameat2, -1, EINVAL), "%s", err.text);
}
