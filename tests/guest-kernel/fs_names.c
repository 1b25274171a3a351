/* Names: the path walk, links, removing, renaming, listing. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "guest-kernel/lib/errno.h"
#include "tests/guest-kernel/fs_fake.h"

TestSuite(fs_names, .init = fake_boot);

static long make_dir(const char *path)
{
    return CALL(mkdir, U(path), 0755);
}

static long open_plain(const char *path)
{
    return CALL(open, U(path), O_RDONLY);
}

Test(fs_names, dots_slashes_and_missing_parts)
{
    static const struct {
        const char *path;
        long error;
    } rows[] = {
        {"", -ENOENT},           {"/tmp/f/", -ENOTDIR},  {"/tmp/f/x", -ENOTDIR},
        {"/tmp/f/..", -ENOTDIR}, {"/tmp/none", -ENOENT}, {"/none/f", -ENOENT},
    };
    static const char *const good[] = {"/tmp/f",        "//tmp///f",    "/tmp/./f",
                                       "/tmp/../tmp/f", "/../../tmp/f", "/tmp/d/../f"};
    char longest[300];

    open_new("/tmp/f", "");
    make_dir("/tmp/d");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        cr_expect_eq(open_plain(rows[i].path), rows[i].error, "%s", rows[i].path);
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_expect_geq(open_plain(good[i]), 0, "%s", good[i]);
    memset(longest, 'n', sizeof(longest));
    longest[256] = '\0';
    cr_expect_eq(open_plain(longest), -ENAMETOOLONG);
    longest[255] = '\0';
    cr_expect_eq(open_plain(longest), -ENOENT);
}

Test(fs_names, a_path_is_relative_to_the_working_directory_or_dirfd)
{
    char cwd[64];
    int dir;

    make_dir("/tmp/d");
    open_new("/tmp/d/f", "text");
    cr_assert_eq(CALL(chdir, U("/tmp/d")), 0);
    expect_text("f", "text");
    cr_expect_eq(CALL(getcwd, U(cwd), sizeof(cwd)), 7);
    cr_expect_str_eq(cwd, "/tmp/d");
    cr_expect_eq(CALL(getcwd, U(cwd), 6), -ERANGE);
    dir = (int)open_plain("/tmp");
    cr_expect_geq(CALL(openat, dir, U("d/f"), O_RDONLY), 0);
    cr_expect_eq(CALL(openat, 99, U("d/f"), O_RDONLY), -EBADF);
    cr_expect_geq(CALL(openat, 99, U("/tmp/d/f"), O_RDONLY), 0);
    cr_expect_eq(CALL(chdir, U("/tmp/d/f")), -ENOTDIR);
}

Test(fs_names, a_removed_working_directory_has_no_path)
{
    char cwd[64];

    make_dir("/tmp/d");
    CALL(chdir, U("/tmp/d"));
    cr_assert_eq(CALL(rmdir, U("/tmp/d")), 0);
    cr_expect_eq(CALL(getcwd, U(cwd), sizeof(cwd)), -ENOENT);
    cr_expect_eq(CALL(open, U("f"), O_CREAT | O_WRONLY, 0600), -ENOENT);
    cr_expect_eq(CALL(chdir, U("..")), 0);
    CALL(getcwd, U(cwd), sizeof(cwd));
    cr_expect_str_eq(cwd, "/tmp");
}

Test(fs_names, symbolic_links_are_followed_and_loops_end)
{
    struct linux_stat st;
    char text[32] = "";

    make_dir("/tmp/d");
    open_new("/tmp/d/f", "text");
    cr_assert_eq(CALL(symlink, U("d"), U("/tmp/l")), 0);
    cr_assert_eq(CALL(symlink, U("/tmp/l/f"), U("/tmp/m")), 0);
    cr_assert_eq(CALL(symlink, U("loop"), U("/tmp/loop")), 0);
    expect_text("/tmp/l/f", "text");
    expect_text("/tmp/m", "text");
    cr_expect_eq(open_plain("/tmp/loop"), -ELOOP);
    cr_expect_eq(open_plain("/tmp/m/"), -ENOTDIR);
    cr_expect_eq(CALL(open, U("/tmp/m"), O_NOFOLLOW), -ELOOP);
    cr_expect_eq(CALL(readlink, U("/tmp/m"), U(text), 4), 4);
    cr_expect_str_eq(text, "/tmp");
    cr_expect_eq(CALL(readlink, U("/tmp/d"), U(text), 4), -EINVAL);
    cr_expect_eq(CALL(lstat, U("/tmp/l/"), U(&st)), 0);
    cr_expect_eq(st.mode & MODE_TYPE, MODE_DIR, "a slash follows");
    cr_expect_eq(CALL(lstat, U("/tmp/l"), U(&st)), 0);
    cr_expect_eq(st.mode & MODE_TYPE, MODE_LINK);
}

Test(fs_names, creating_through_a_dangling_link_makes_its_target)
{
    CALL(symlink, U("target"), U("/tmp/l"));
    cr_expect_eq(CALL(open, U("/tmp/l"), O_CREAT | O_EXCL | O_WRONLY, 0600), -EEXIST);
    open_new("/tmp/l", "x");
    expect_text("/tmp/target", "x");
}

Test(fs_names, forty_links_are_followed_and_not_one_more)
{
    char from[32], to[32];

    open_new("/tmp/l0", "");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof(from), "/tmp/l%d", i);
        snprintf(to, sizeof(to), "l%d", i - 1);
        CALL(symlink, U(to), U(from));
    }
    cr_expect_geq(open_plain("/tmp/l40"), 0);
    cr_expect_eq(open_plain("/tmp/l41"), -ELOOP);
}

Test(fs_names, open_flags_that_create)
{
    struct linux_stat st;

    cr_expect_eq(CALL(open, U("/tmp/new/"), O_CREAT | O_WRONLY, 0600), -EISDIR);
    cr_expect_eq(CALL(open, U("/tmp"), O_CREAT, 0600), -EISDIR);
    cr_expect_eq(CALL(open, U("/tmp"), O_WRONLY), -EISDIR);
    CALL(umask, 027);
    cr_expect_geq(CALL(open, U("/tmp/f"), O_CREAT | O_EXCL | O_RDONLY, 0666), 0);
    cr_expect_eq(CALL(open, U("/tmp/f"), O_CREAT | O_EXCL, 0666), -EEXIST);
    cr_expect_eq(CALL(open, U("/tmp/f"), O_DIRECTORY), -ENOTDIR);
    st = stat_of("/tmp/f");
    cr_expect_eq(st.mode, MODE_REGULAR | 0640);
}

Test(fs_names, an_unlinked_file_lives_until_it_is_closed)
{
    int fd = open_new("/tmp/f", "still here");
    size_t used = fake_pages_used;
    struct linux_stat st;
    char buf[16];

    cr_assert_eq(CALL(unlink, U("/tmp/f")), 0);
    cr_expect(!exists("/tmp/f"));
    cr_expect_eq(CALL(pread64, fd, U(buf), 10, 0), 10);
    cr_expect_eq(CALL(fstat, fd, U(&st)), 0);
    cr_expect_eq(st.nlink, 0);
    CALL(close, fd);
    cr_expect_eq(fake_pages_used, used - 1);
}

Test(fs_names, hard_links_share_the_file)
{
    open_new("/tmp/a", "one");
    cr_assert_eq(CALL(link, U("/tmp/a"), U("/tmp/b")), 0);
    cr_expect_eq(stat_of("/tmp/b").nlink, 2);
    cr_expect_eq(stat_of("/tmp/a").ino, stat_of("/tmp/b").ino);
    open_new("/tmp/b", "two");
    expect_text("/tmp/a", "two");
    cr_expect_eq(CALL(link, U("/tmp"), U("/tmp/c")), -EPERM);
    cr_expect_eq(CALL(link, U("/tmp/a"), U("/tmp/b")), -EEXIST);
    CALL(unlink, U("/tmp/a"));
    cr_expect_eq(stat_of("/tmp/b").nlink, 1);
}

Test(fs_names, removing_checks_what_is_there)
{
    make_dir("/tmp/d");
    open_new("/tmp/d/f", "");
    CALL(symlink, U("d"), U("/tmp/l"));
    cr_expect_eq(CALL(unlink, U("/tmp/d")), -EISDIR);
    cr_expect_eq(CALL(rmdir, U("/tmp/d")), -ENOTEMPTY);
    cr_expect_eq(CALL(rmdir, U("/tmp/d/f")), -ENOTDIR);
    cr_expect_eq(CALL(rmdir, U("/tmp/d/.")), -EINVAL);
    cr_expect_eq(CALL(rmdir, U("/tmp/d/..")), -ENOTEMPTY);
    cr_expect_eq(CALL(rmdir, U("/")), -EBUSY);
    cr_expect_eq(CALL(rmdir, U("/tmp/l/")), -ENOTDIR);
    cr_expect_eq(CALL(unlink, U("/tmp/l")), 0);
    cr_expect(exists("/tmp/d"));
    cr_expect_eq(CALL(unlink, U("/proc/version")), -EPERM);
    cr_expect_eq(CALL(rmdir, U("/proc")), -EBUSY);
    cr_expect_eq(make_dir("/proc/x"), -ENOENT);
    CALL(unlink, U("/tmp/d/f"));
    cr_expect_eq(CALL(unlinkat, (u64)AT_FDCWD, U("/tmp/d"), LINUX_AT_REMOVEDIR), 0);
}

Test(fs_names, directories_count_their_links)
{
    u64 before = stat_of("/tmp").nlink;

    cr_assert_eq(make_dir("/tmp/d/"), 0, "a slash at the end is fine");
    cr_expect_eq(stat_of("/tmp").nlink, before + 1);
    cr_expect_eq(stat_of("/tmp/d").nlink, 2);
    cr_expect_eq(make_dir("/tmp/d"), -EEXIST);
    cr_expect_eq(make_dir("/tmp/."), -EEXIST);
    CALL(rmdir, U("/tmp/d"));
    cr_expect_eq(stat_of("/tmp").nlink, before);
}

static long rename_flags(const char *from, const char *to, u32 flags)
{
    return CALL(renameat2, (u64)AT_FDCWD, U(from), (u64)AT_FDCWD, U(to), flags);
}

Test(fs_names, rename_replaces_what_is_in_the_way)
{
    open_new("/tmp/a", "a");
    open_new("/tmp/b", "b");
    cr_expect_eq(rename_flags("/tmp/a", "/tmp/b", LINUX_RENAME_NOREPLACE), -EEXIST);
    cr_expect_eq(rename_flags("/tmp/a", "/tmp/b", 3), -EINVAL);
    cr_assert_eq(rename_flags("/tmp/a", "/tmp/b", 0), 0);
    cr_expect(!exists("/tmp/a"));
    expect_text("/tmp/b", "a");
    cr_expect_eq(rename_flags("/tmp/none", "/tmp/b", 0), -ENOENT);
    CALL(link, U("/tmp/b"), U("/tmp/c"));
    cr_expect_eq(rename_flags("/tmp/b", "/tmp/c", 0), 0);
    cr_expect(exists("/tmp/b"), "two names of one file stay");
}

Test(fs_names, rename_moves_directories_with_what_is_in_them)
{
    make_dir("/tmp/d");
    make_dir("/tmp/d/sub");
    make_dir("/tmp/empty");
    make_dir("/tmp/full");
    open_new("/tmp/full/f", "");
    open_new("/tmp/file", "");
    open_new("/tmp/d/sub/f", "deep");
    cr_expect_eq(rename_flags("/tmp/d", "/tmp/d/sub/x", 0), -EINVAL);
    cr_expect_eq(rename_flags("/tmp/d", "/tmp/full", 0), -ENOTEMPTY);
    cr_expect_eq(rename_flags("/tmp/d", "/tmp/file", 0), -ENOTDIR);
    cr_expect_eq(rename_flags("/tmp/file", "/tmp/empty", 0), -EISDIR);
    cr_expect_eq(rename_flags("/tmp/d/sub", "/tmp/d", 0), -ENOTEMPTY);
    cr_expect_eq(rename_flags("/tmp/file", "/tmp/x/", 0), -ENOTDIR);
    cr_expect_eq(rename_flags("/tmp/d/.", "/tmp/x", 0), -EBUSY);
    cr_assert_eq(rename_flags("/tmp/d/sub", "/tmp/empty/", 0), 0);
    expect_text("/tmp/empty/f", "deep");
    cr_expect_eq(stat_of("/tmp/d").nlink, 2);
}

Test(fs_names, exchange_swaps_a_file_and_a_directory)
{
    int fd = open_new("/tmp/file", "text");
    char text[64] = "";

    make_dir("/tmp/d");
    make_dir("/tmp/d/dir");
    cr_expect_eq(rename_flags("/tmp/file", "/tmp/none", LINUX_RENAME_EXCHANGE), -ENOENT);
    cr_assert_eq(rename_flags("/tmp/file", "/tmp/d/dir", LINUX_RENAME_EXCHANGE), 0);
    expect_text("/tmp/d/dir", "text");
    cr_expect_eq(stat_of("/tmp/file").mode & MODE_TYPE, MODE_DIR);
    cr_expect_eq(stat_of("/tmp/d").nlink, 2);
    cr_expect_eq(fd, 0);
    CALL(readlink, U("/proc/self/fd/0"), U(text), 63);
    cr_expect_str_eq(text, "/tmp/d/dir");
    cr_expect_eq(rename_flags("/tmp/d/dir", "/tmp/d", LINUX_RENAME_EXCHANGE), -EINVAL);
}

/* --- listing --- */

struct entry {
    u64 ino, next;
    u16 len;
    u8 type;
    char name[];
} __attribute__((packed));

/* Names of one getdents64, joined by spaces. */
static long list_some(int fd, size_t size, char *names)
{
    static char buf[40000];
    long n = CALL(getdents64, fd, U(buf), size);

    for (long at = 0; at < n;) {
        struct entry *e = (struct entry *)(buf + at);

        strcat(strcat(names, e->name), " ");
        at += e->len;
    }
    return n;
}

Test(fs_names, a_directory_is_listed_once_in_pieces)
{
    char names[256] = "";
    int fd = (int)(make_dir("/tmp/d"), open_new("/tmp/d/one", ""), make_dir("/tmp/d/two"),
                   open_plain("/tmp/d"));

    cr_expect_eq(list_some(fd, 24, names), 24);
    cr_expect_eq(list_some(fd, 24, names), 24);
    cr_expect_eq(list_some(fd, 20, names), -EINVAL);
    cr_expect_eq(list_some(fd, 24, names), 24);
    CALL(unlink, U("/tmp/d/one"));
    cr_expect_gt(list_some(fd, 4096, names), 0);
    cr_expect_eq(list_some(fd, 4096, names), 0);
    cr_expect_str_eq(names, ". .. one two ");
    CALL(lseek, fd, 0, WHENCE_SET);
    names[0] = '\0';
    list_some(fd, 4096, names);
    cr_expect_str_eq(names, ". .. two ");
}

Test(fs_names, thousands_of_names_are_found)
{
    char path[64];

    make_dir("/tmp/d");
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof(path), "/tmp/d/%d", i);
        CALL(close, (u64)open_new(path, ""));
    }
    for (int i = 0; i < 5000; i += 2) {
        snprintf(path, sizeof(path), "/tmp/d/%d", i);
        cr_assert_eq(CALL(unlink, U(path)), 0);
    }
    cr_expect(exists("/tmp/d/4999"));
    cr_expect(!exists("/tmp/d/4998"));
}

Test(fs_names, proc_lists_open_descriptors)
{
    char names[256] = "";
    int fd;

    open_new("/tmp/f", "text");
    fd = (int)open_plain("/proc/self/fd");
    list_some(fd, 4096, names);
    cr_expect_str_eq(names, ". .. 0 1 ");
    expect_text("/proc/self/fd/0", "text");
    CALL(unlink, U("/tmp/f"));
    expect_text("/dev/stdin", "text");
    cr_expect_eq(open_plain("/proc/self/fd/7"), -ENOENT);
}

Test(fs_names, proc_tells_about_the_program)
{
    char text[64] = "";
    char maps[64] = "";
    int fd = (int)open_plain("/proc/self/cmdline");

    cr_expect_eq(CALL(read, fd, U(text), 64), 9);
    cr_expect_arr_eq(text, "prog\0one", 9);
    cr_expect_eq(CALL(readlink, U("/proc/self/exe"), U(text), 64), 9);
    cr_expect_arr_eq(text, "/opt/prog", 9);
    expect_text("/proc/sys/vm/overcommit_memory", "1\n");
    fd = (int)open_plain("/proc/2/maps");
    cr_expect_eq(CALL(read, fd, U(maps), 8), 8);
    cr_expect_gt(CALL(read, fd, U(maps + 8), 50), 0);
    cr_expect_str_eq(maps, "00400000-00401000 r-xp\n");
    cr_expect_geq(open_plain("/proc/meminfo"), 0);
    cr_expect_eq(CALL(open, U("/proc/meminfo"), O_WRONLY), -EACCES);
    expect_text("/etc/hostname", "samara\n");
}

Test(fs_names, times_are_set_as_asked)
{
    struct linux_timespec now_and_omit[2] = {{0, 0x3fffffff}, {0, 0x3ffffffe}};
    struct linux_timespec fixed[2] = {{5, 6}, {7, 8}};
    int fd = open_new("/tmp/f", "");

    cr_assert_eq(CALL(utimensat, (u64)AT_FDCWD, U("/tmp/f"), U(fixed), 0), 0);
    cr_expect_eq(stat_of("/tmp/f").mtime.sec, 7);
    cr_expect_eq(stat_of("/tmp/f").atime.nsec, 6);
    fake_now_ns = 9000000000;
    cr_assert_eq(CALL(utimensat, fd, 0, U(now_and_omit), 0), 0);
    cr_expect_eq(stat_of("/tmp/f").atime.sec, 9);
    cr_expect_eq(stat_of("/tmp/f").mtime.sec, 7);
    fixed[0].nsec = 1000000000;
    cr_expect_eq(CALL(utimensat, fd, 0, U(fixed), 0), -EINVAL);
}

Test(fs_names, proc_net_tells_of_interfaces)
{
    expect_text("/proc/net/dev", "devices\n");
    expect_text("/proc/self/net/if_inet6", "addresses\n");
    expect_text("/proc/net/route", "routes\n");
    cr_expect_eq(CALL(open, U("/proc/net/dev"), O_RDWR), -EACCES);
}

/* See net_resolv_conf in fs_fake.c: each answer has a number. */
Test(fs_names, resolv_conf_is_made_anew_until_the_program_writes_its_own)
{
    long fd;

    expect_text("/etc/resolv.conf", "nameserver 10.0.0.1\n");
    expect_text("/etc/resolv.conf", "nameserver 10.0.0.2\n");
    fd = CALL(open, U("/etc/resolv.conf"), O_WRONLY | O_TRUNC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(CALL(write, (u64)fd, U("mine"), 4), 4);
    expect_text("/etc/resolv.conf", "mine");
    expect_text("/etc/resolv.conf", "mine");
}

Test(fs_names, resolv_conf_can_be_truncated_and_replaced)
{
    cr_expect_eq(CALL(truncate, U("/etc/resolv.conf"), 0), 0);
    expect_text("/etc/resolv.conf", "");
    cr_expect_eq(CALL(unlink, U("/etc/resolv.conf")), 0);
    open_new("/etc/resolv.conf", "other");
    expect_text("/etc/resolv.conf", "other");
}
