/* The file that spares KVM_GET_SUPPORTED_CPUID: used when it can be trusted, and only then. */
#include "monitor/cpuid.h"
#include "monitor/runtime_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[64], directory[80], file[96];
static int kvm = -1;
static struct cpuid_table table;

/* A table loaded from the file has this mark, one from KVM has not. */
#define MARK 0x5a5a5a5au

static void set_up(void)
{
    strcpy(home, "/tmp/samara-cpuid-test.XXXXXX");
    cr_assert_not_null(mkdtemp(home));
    snprintf(directory, sizeof(directory), "%s/samara", home);
    snprintf(file, sizeof(file), "%s/cpuid", directory);
    setenv("XDG_RUNTIME_DIR", home, 1);
    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        cr_skip_test("no /dev/kvm: the whole-VM tests load it in the emulated machine");
}

static void tear_down(void)
{
    unlink(file);
    rmdir(directory);
    rmdir(home);
}

static void load(void)
{
    struct cpuid_cache cache = CPUID_CACHE_NONE;
    struct err err = {0};

    memset(&table, 0, sizeof(table));
    cpuid_cache_find(&cache, kvm, runtime_dir_open());
    cr_assert_eq(cpuid_load(&table, kvm, &cache, &err), 0, "%s", err.text);
    cpuid_cache_close(&cache);
    cr_assert_gt(table.head.nent, 5);
    cr_assert_not_null(cpuid_find(&table, 1, 0));
}

/* Overwrites the last word of the file, which belongs to the last entry's padding. */
static void mark_file(void)
{
    struct stat st;
    uint32_t mark = MARK;
    int fd = open(file, O_WRONLY);

    cr_assert(fd >= 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(pwrite(fd, &mark, 4, st.st_size - 4), 4);
    close(fd);
}

static bool came_from_file(void)
{
    return table.entries[table.head.nent - 1].padding[2] == MARK;
}

Test(cpuid, the_second_load_is_from_the_file, .init = set_up, .fini = tear_down)
{
    load();
    cr_assert_not(came_from_file());
    mark_file();
    load();
    cr_assert(came_from_file());
}

Test(cpuid, the_file_is_the_users_alone, .init = set_up, .fini = tear_down)
{
    struct stat st;

    load();
    cr_assert_eq(lstat(directory, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
    cr_assert_eq(lstat(file, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
}

Test(cpuid, a_file_that_others_can_write_is_not_believed, .init = set_up, .fini = tear_down)
{
    load();
    mark_file();
    cr_assert_eq(chmod(file, 0666), 0);
    load();
    cr_assert_not(came_from_file());
}

Test(cpuid, a_short_file_is_replaced, .init = set_up, .fini = tear_down)
{
    for (off_t size = 0; size < 400; size += 40) {
        load();
        mark_file();
        cr_assert_eq(truncate(file, size), 0);
        load();
        cr_assert_not(came_from_file());
    }
}

Test(cpuid, a_file_of_another_boot_is_replaced, .init = set_up, .fini = tear_down)
{
    for (off_t at = 0; at < 60; at += 5) {
        char byte = 1;
        int fd;

        load();
        mark_file();
        fd = open(file, O_RDWR);
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        load();
        cr_assert_not(came_from_file(), "byte %d changed", (int)at);
    }
}

Test(cpuid, a_symbolic_link_is_not_followed, .init = set_up, .fini = tear_down)
{
    char elsewhere[96];

    load();
    mark_file();
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", home);
    cr_assert_eq(rename(file, elsewhere), 0);
    cr_assert_eq(symlink(elsewhere, file), 0);
    load();
    cr_assert_not(came_from_file());
    unlink(elsewhere);
}

Test(cpuid, a_leaf_without_subleaves_matches_any)
{
    struct cpuid_table t = {
        .head = {.nent = 3},
        .entries = {
            {.function = 1, .eax = 11},
            {.function = 7, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 70},
            {.function = 7, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 71}}};

    cr_assert_eq(cpuid_find(&t, 1, 0)->eax, 11);
    cr_assert_eq(cpuid_find(&t, 7, 1)->eax, 71);
    cr_assert_null(cpuid_find(&t, 7, 2));
    cr_assert_null(cpuid_find(&t, 0x80000001, 0));
}
