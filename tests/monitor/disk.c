/* --disk: its words, and what is no disk. */
#include "monitor/disk_config.h"
#include "monitor/disk_open.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct disk_config config;
static struct err err;

static int parse(const char *text)
{
    err.text[0] = '\0';
    return disk_config_parse(&config, text, &err);
}

Test(disk, words_follow_the_file)
{
    cr_assert_eq(parse("a.img"), 0);
    cr_assert(strcmp(config.path, "a.img") == 0 && !config.read_only && !config.id[0]);
    cr_assert_eq(parse("a,,b.img,ro,id=root"), 0);
    cr_assert_str_eq(config.path, "a,b.img");
    cr_assert_str_eq(config.id, "root");
    cr_assert(config.read_only);
    cr_assert_eq(parse("a,rate=10M,iops=500,burst=2s"), 0);
    cr_assert(config.rate.bytes == 10 << 20 && config.rate.operations == 500);
    cr_assert_eq(config.rate.burst_ns, 2000000000);
    cr_assert_eq(parse(",,,,x,,,ro"), 0);
    cr_assert_str_eq(config.path, ",,x,");
}

Test(disk, nonsense_is_refused)
{
    static const char *const bad[][2] = {
        {"", "which FILE?"},
        {",ro", "which FILE?"},
        {"a,", "'' is none of"},
        {"a,rw", "'rw' is none of"},
        {"a,ro=1", "ro takes no value"},
        {"a,id", "id needs a value"},
        {"a,id=b,id=c", "id is there twice"},
        {"a,ro,ro", "ro is there twice"},
        {"a,overlay=", "overlay: which FILE?"},
        {"a,rate=10", "rate, bytes a second: '10' is not a size"},
        {"a,rate=1", "is not a size from 1K"},
        {"a,iops=0", "iops: '0' is not a number"},
        {"a,iops=1k", "iops: '1k' is not a number"},
        {"a,iops=-1", "iops: '-1' is not a number"},
        {"a,rate=1M,burst=1", "burst: '1' is not a duration"},
        {"a,burst=1s", "burst is of a limit"},
        {"a,ro,overlay=b", "with ro nothing is written"},
        {"a,id=", "id: 1 to 20"},
        {"a,id=123456789012345678901", "id: 1 to 20"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(parse(bad[i][0]), -1, "%s", bad[i][0]);
        cr_assert(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
    }
}

static char path[] = "/tmp/samara-disk.XXXXXX";

static void make(void)
{
    close(mkstemp(path));
    config = (struct disk_config){.path = path, .id = ""};
}

static void unmake(void)
{
    unlink(path);
}

TestSuite(disk_open, .init = make, .fini = unmake);

static void size(off_t bytes)
{
    cr_assert_eq(truncate(path, bytes), 0);
}

static void assert_refused(const char *why)
{
    struct disk disk;

    cr_assert_eq(disk_open(&disk, &config, &err), -1);
    cr_assert_eq(disk.fd, -1);
    cr_assert(strstr(err.text, why), "%s", err.text);
}

Test(disk_open, takes_whole_sectors_up_to_16_tib)
{
    struct disk disk;

    assert_refused("empty");
    size(513);
    assert_refused("513 bytes are not whole sectors");
    size(512);
    cr_assert_eq(disk_open(&disk, &config, &err), 0);
    cr_assert_eq(disk_size(&disk), 512);
    disk_close(&disk);
}

Test(disk_open, what_is_no_file_is_refused)
{
    config.path = "/no/such";
    assert_refused("open /no/such: No such file");
    config.path = "/dev/null";
    assert_refused("/dev/null: neither a file nor a block device");
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    config.path = path;
    assert_refused("neither a file nor a block device");
}

static void assert_too_near(struct disk_config first, struct disk_config second, const char *why)
{
    const struct disk_config both[] = {first, second};

    cr_assert_eq(disk_check_apart(both, 0, &err), 0);
    cr_assert_eq(disk_check_apart(both, 1, &err), why ? -1 : 0);
    cr_assert(!why || strstr(err.text, why), "%s", err.text);
}

Test(disk_open, disks_of_one_machine_share_what_is_read)
{
    const struct disk_config raw = {.path = path}, read = {.path = path, .read_only = true};
    const struct disk_config upon = {.path = path, .overlay = "/no/such"};
    const struct disk_config below = {.path = "/no/such", .overlay = path};
    const struct disk_config itself = {.path = path, .overlay = path};
    char link[sizeof(path) + 5];

    assert_too_near(raw, raw, "disk 0 has this file");
    assert_too_near(raw, read, "disk 0 has this file");
    assert_too_near(raw, upon, "disk 0 has this file");
    assert_too_near(upon, raw, "disk 0 has this file");
    assert_too_near(below, read, "disk 0 has this file");
    assert_too_near(read, below, "disk 0 has this file");
    assert_too_near(below, below, "disk 0 has this file");
    assert_too_near(read, read, NULL);
    assert_too_near(read, upon, NULL);
    assert_too_near(upon, upon, NULL);
    cr_assert_eq(disk_check_apart(&itself, 0, &err), -1);
    cr_assert(strstr(err.text, "the overlay is the disk's own file"), "%s", err.text);
    snprintf(link, sizeof(link), "%s.link", path);
    cr_assert_eq(symlink(path, link), 0);
    assert_too_near(raw, (struct disk_config){.path = link}, "disk 0 has this file");
    unlink(link);
}

Test(disk_open, one_writes_or_many_read)
{
    struct disk one, two;

    size(1 << 20);
    cr_assert_eq(disk_open(&one, &config, &err), 0);
    assert_refused("in use by another virtual machine");
    config.read_only = true;
    assert_refused("in use by another virtual machine");
    disk_close(&one);
    cr_assert_eq(disk_open(&one, &config, &err), 0);
    cr_assert_eq(disk_open(&two, &config, &err), 0);
    config.read_only = false;
    assert_refused("in use by another virtual machine");
    disk_close(&one);
    disk_close(&two);
    cr_assert_eq(disk_open(&one, &config, &err), 0);
    disk_close(&one);
}
