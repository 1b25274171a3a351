/* /dev/vda upon a disk in memory: sectors, pieces, ends and errors. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "guest-kernel/drivers/block.h"
#include "guest-kernel/lib/errno.h"
#include "tests/guest-kernel/fs_fake.h"

enum { SECTORS = 600, BYTES = SECTORS * 512 };

static u8 contents[BYTES];
static bool read_only, started;
static unsigned reads, writes, flushes;
static u64 broken_from = UINT64_MAX; /* what lies there cannot be moved */

/* --- the driver --- */

struct block_disk {
    int unused;
};
static struct block_disk only;

unsigned block_count(void)
{
    return 1;
}

struct block_disk *block_disk(unsigned number)
{
    started = true;
    return number == 0 ? &only : NULL;
}

u64 block_bytes(const struct block_disk *d)
{
    (void)d;
    return BYTES;
}

bool block_read_only(const struct block_disk *d)
{
    (void)d;
    return read_only;
}

void *block_buffer(void)
{
    return malloc(BLOCK_PIECE);
}

void block_buffer_free(void *buffer)
{
    free(buffer);
}

static int check(u64 at, u64 len)
{
    cr_assert(at % 512 == 0 && len % 512 == 0 && len > 0 && len <= BLOCK_PIECE);
    cr_assert(at <= BYTES && len <= BYTES - at);
    return at + len > broken_from ? -EIO : 0;
}

int block_read(struct block_disk *d, u64 at, void *buffer, u32 len)
{
    (void)d;
    reads++;
    if (check(at, len) != 0)
        return -EIO;
    memcpy(buffer, contents + at, len);
    return 0;
}

int block_write(struct block_disk *d, u64 at, void *buffer, u32 len)
{
    (void)d;
    writes++;
    if (check(at, len) != 0)
        return -EIO;
    memcpy(contents + at, buffer, len);
    return 0;
}

int block_flush(struct block_disk *d)
{
    (void)d;
    flushes++;
    return 0;
}

int block_flush_all(void)
{
    return block_flush(&only);
}

int block_discard(struct block_disk *d, u64 at, u64 len)
{
    return block_zero(d, at, len);
}

int block_zero(struct block_disk *d, u64 at, u64 len)
{
    (void)d;
    memset(contents + at, 0, len);
    return 0;
}

/* --- tests --- */

static void boot(void)
{
    fake_boot();
    for (size_t i = 0; i < BYTES; i++)
        contents[i] = (u8)(i * 31 >> 3);
}

TestSuite(fs_disk, .init = boot);

static int open_disk(u32 flags)
{
    return (int)CALL(open, U("/dev/vda"), flags);
}

Test(fs_disk, is_a_block_device_that_nobody_starts_before_it_is_opened)
{
    cr_assert_eq(stat_of("/dev/vda").mode & MODE_TYPE, MODE_BLOCK);
    cr_assert(!started);
    cr_assert_geq(open_disk(O_RDONLY), 0);
    cr_assert(started);
    cr_assert(!exists("/dev/vdb"));
}

Test(fs_disk, any_bytes_are_read_in_few_requests)
{
    static u8 in[BYTES];
    int fd = open_disk(O_RDONLY);

    cr_assert_eq(CALL(pread64, fd, U(in), BYTES, 0), BYTES);
    cr_assert_arr_eq(in, contents, BYTES);
    cr_assert_eq(reads, 3);
    cr_assert_eq(CALL(pread64, fd, U(in), 1000, 511), 1000);
    cr_assert_arr_eq(in, contents + 511, 1000);
    cr_assert_eq(reads, 4);
}

Test(fs_disk, what_is_not_written_stays)
{
    static u8 want[BYTES];
    static const struct {
        u64 at, len;
    } parts[] = {{0, 1}, {511, 2}, {1000, 10}, {1024, 512}, {1536, 513}, {2047, 140000}, {3, 1021}};
    static u8 out[140000];
    int fd = open_disk(O_RDWR);

    memcpy(want, contents, BYTES);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        memset(out, 'a' + (int)i, sizeof(out));
        memset(want + parts[i].at, 'a' + (int)i, parts[i].len);
        cr_assert_eq(CALL(pwrite64, fd, U(out), parts[i].len, parts[i].at), (long)parts[i].len);
        cr_assert_arr_eq(contents, want, BYTES, "part %zu", i);
    }
}

Test(fs_disk, the_end_is_the_end)
{
    static u8 buf[2048];
    int fd = open_disk(O_RDWR);

    cr_assert_eq(CALL(lseek, fd, 0, WHENCE_END), BYTES);
    cr_assert_eq(CALL(read, fd, U(buf), 10), 0);
    cr_assert_eq(CALL(write, fd, U(buf), 10), -ENOSPC);
    cr_assert_eq(CALL(lseek, fd, (u64)-100, WHENCE_CUR), BYTES - 100);
    cr_assert_eq(CALL(write, fd, U(buf), 2048), 100);
    cr_assert_eq(CALL(lseek, fd, 0, WHENCE_CUR), BYTES);
    cr_assert_eq(CALL(pread64, fd, U(buf), 2048, BYTES - 7), 7);
    cr_assert_eq(CALL(lseek, fd, BYTES + 1, WHENCE_SET), -EINVAL);
    cr_assert_eq(CALL(lseek, fd, (u64)-1, WHENCE_SET), -EINVAL);
}

Test(fs_disk, a_read_only_disk_is_not_opened_for_writing)
{
    read_only = true;
    cr_assert_eq(open_disk(O_RDWR), -EACCES);
    cr_assert_eq(open_disk(O_WRONLY), -EACCES);
    cr_assert_geq(open_disk(O_RDONLY), 0);
}

Test(fs_disk, durability_is_asked_for)
{
    int fd = open_disk(O_RDWR), sync_fd = open_disk(O_RDWR | O_DSYNC);

    cr_assert_eq(CALL(pwrite64, fd, U("x"), 1, 5), 1);
    cr_assert_eq(flushes, 0);
    cr_assert_eq(CALL(fsync, fd), 0);
    cr_assert_eq(CALL(fdatasync, fd), 0);
    cr_assert_eq(flushes, 2);
    cr_assert_eq(CALL(pwrite64, sync_fd, U("x"), 1, 5), 1);
    cr_assert_eq(flushes, 3);
    CALL(sync, 0);
    cr_assert_eq(flushes, 4);
}

Test(fs_disk, an_error_is_reported_after_what_could_be_moved)
{
    static u8 buf[BYTES];
    int fd = open_disk(O_RDWR);

    broken_from = 200000;
    cr_assert_eq(CALL(pread64, fd, U(buf), BYTES, 0), BLOCK_PIECE);
    cr_assert_eq(CALL(pread64, fd, U(buf), 1, 200000), -EIO);
    cr_assert_eq(CALL(pwrite64, fd, U(buf), 512, 200192), -EIO);
    cr_assert_eq(CALL(pwrite64, fd, U(buf), BYTES, 0), BLOCK_PIECE);
}

Test(fs_disk, bad_memory_is_efault)
{
    int fd = open_disk(O_RDWR);

    cr_assert_eq(CALL(pread64, fd, 16, 512, 0), -EFAULT);
    cr_assert_eq(CALL(pwrite64, fd, 16, 512, 0), -EFAULT);
    cr_assert_eq(writes, 0);
}

Test(fs_disk, tells_its_size_and_clears_ranges)
{
    int fd = open_disk(O_RDWR);
    u64 value = 0, range[2] = {1024, 512}, odd[2] = {1024, 100}, beyond[2] = {BYTES, 512};

    cr_assert_eq(CALL(ioctl, fd, 0x80081272, U(&value)), 0);
    cr_assert_eq(value, BYTES);
    cr_assert_eq(CALL(ioctl, fd, 0x1260, U(&value)), 0);
    cr_assert_eq(value, SECTORS);
    value = 0;
    cr_assert_eq(CALL(ioctl, fd, 0x1268, U(&value)), 0);
    cr_assert_eq(value, 512);
    cr_assert_eq(CALL(ioctl, fd, 0x127f, U(range)), 0);
    cr_assert(contents[1023] != 0 && contents[1536 + 1] != 0);
    for (size_t i = 1024; i < 1536; i++)
        cr_assert_eq(contents[i], 0);
    cr_assert_eq(CALL(ioctl, fd, 0x127f, U(odd)), -EINVAL);
    cr_assert_eq(CALL(ioctl, fd, 0x1277, U(beyond)), -EINVAL);
    cr_assert_eq(CALL(ioctl, open_disk(O_RDONLY), 0x1277, U(range)), -EBADF);
    cr_assert_eq(CALL(ioctl, fd, 0x5401, U(&value)), -ENOTTY);
}
