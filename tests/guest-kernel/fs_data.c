/* Contents of files: reading, writing, holes, truncation, mapping. */
#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/lib/errno.h"
#include "tests/guest-kernel/fs_fake.h"

TestSuite(fs_data, .init = fake_boot);

static void *page_of(int fd, u64 index)
{
    struct file *f = fd_get(fd);
    void *page = f->ops->page(f, index);

    file_put(f);
    return page;
}

Test(fs_data, what_was_written_is_read_across_pages)
{
    static char out[20000], in[20000];
    int fd = open_new("/tmp/f", "");

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (char)(i * 7);
    cr_assert_eq(CALL(pwrite64, fd, U(out), sizeof(out), 1000), 20000);
    cr_expect_eq(CALL(pread64, fd, U(in), sizeof(in), 1000), 20000);
    cr_expect_arr_eq(in, out, sizeof(in));
    cr_expect_eq(CALL(lseek, fd, 0, WHENCE_CUR), 0);
    cr_expect_eq(stat_of("/tmp/f").size, 21000);
    cr_expect_eq(stat_of("/tmp/f").blocks, 6 * 8);
}

Test(fs_data, a_file_grown_to_a_terabyte_is_a_hole)
{
    int fd = open_new("/tmp/f", "head");
    size_t used = fake_pages_used;
    char c = 'x';

    cr_assert_eq(CALL(ftruncate, fd, 1ul << 40), 0);
    cr_expect_eq(fake_pages_used, used);
    cr_assert_eq(CALL(pread64, fd, U(&c), 1, 1ul << 39), 1);
    cr_expect_eq(c, 0);
    cr_assert_eq(CALL(pwrite64, fd, U("z"), 1, (1ul << 40) - 1), 1);
    cr_expect_eq(CALL(lseek, fd, 4096, WHENCE_DATA), (long)((1ul << 40) - 4096));
    cr_expect_eq(CALL(lseek, fd, 0, WHENCE_HOLE), 4096);
    cr_expect_eq(CALL(lseek, fd, 1ul << 41, WHENCE_DATA), -ENXIO);
    cr_assert_eq(CALL(ftruncate, fd, 0), 0);
    cr_expect_eq(fake_pages_used, used - 1);
}

Test(fs_data, bytes_cut_off_do_not_come_back)
{
    int fd = open_new("/tmp/f", "secret");
    char buf[6];

    CALL(ftruncate, fd, 2);
    CALL(ftruncate, fd, 6);
    CALL(pread64, fd, U(buf), 6, 0);
    cr_expect_arr_eq(buf, "se\0\0\0\0", 6);
}

Test(fs_data, a_mapping_and_write_share_the_page)
{
    int fd = open_new("/tmp/f", "before");
    char *page = page_of(fd, 0);
    char buf[6];

    cr_assert_str_eq(page, "before");
    CALL(pwrite64, fd, U("after!"), 6, 0);
    cr_expect_str_eq(page, "after!");
    memcpy(page, "mapped", 6);
    CALL(pread64, fd, U(buf), 6, 0);
    cr_expect_arr_eq(buf, "mapped", 6);
    cr_expect_null(page_of(fd, 1), "beyond the end");
}

Test(fs_data, a_mapped_page_survives_truncation_as_zeroes)
{
    int fd = open_new("/tmp/f", "mapped");
    char *page = page_of(fd, 0);

    CALL(ftruncate, fd, 0);
    cr_expect_eq(page[0], 0);
    CALL(pwrite64, fd, U("again"), 5, 0);
    cr_expect_str_eq(page, "again");
}

Test(fs_data, punching_a_hole_zeroes_the_edges_and_frees_the_middle)
{
    static char buf[5 * 4096];
    int fd = open_new("/tmp/f", "");
    size_t used;

    memset(buf, 'a', sizeof(buf));
    CALL(write, fd, U(buf), sizeof(buf));
    used = fake_pages_used;
    cr_assert_eq(CALL(fallocate, fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 100, 3 * 4096), 0);
    cr_expect_eq(fake_pages_used, used - 2);
    CALL(pread64, fd, U(buf), sizeof(buf), 0);
    cr_expect_eq(buf[99], 'a');
    cr_expect_eq(buf[100], 0);
    cr_expect_eq(buf[100 + 3 * 4096 - 1], 0);
    cr_expect_eq(buf[100 + 3 * 4096], 'a');
}

Test(fs_data, append_ignores_the_offset_and_moves_it)
{
    int fd = open_new("/tmp/f", "one");
    int end = (int)CALL(open, U("/tmp/f"), O_WRONLY | O_APPEND);

    cr_expect_eq(CALL(write, end, U("two"), 3), 3);
    cr_expect_eq(CALL(lseek, end, 0, WHENCE_CUR), 6);
    CALL(write, fd, U("!"), 1);
    expect_text("/tmp/f", "one!wo");
}

Test(fs_data, out_of_memory_is_enospc_after_what_fitted)
{
    static char buf[4 * 4096];
    int fd = open_new("/tmp/f", "");

    fake_pages_left = 3; /* one node, two pages */
    cr_expect_eq(CALL(write, fd, U(buf), sizeof(buf)), 2 * 4096);
    cr_expect_eq(CALL(write, fd, U(buf), sizeof(buf)), -ENOSPC);
}

Test(fs_data, what_a_mapping_wrote_behind_the_end_stays_hidden)
{
    int fd = open_new("/tmp/f", "0123456789");
    char *page = page_of(fd, 0);
    char got[3] = "???";

    page[50] = 'x';
    cr_expect_eq(CALL(ftruncate, fd, 100), 0);
    cr_expect_eq(page[50], 0);
    page[150] = 'x';
    cr_expect_eq(CALL(pwrite64, fd, U("y"), 1, 151), 1);
    cr_expect_eq(CALL(pread64, fd, U(got), 3, 149), 3);
    cr_expect_arr_eq(got, "\0\0y", 3);
}

Test(fs_data, files_take_half_of_memory_at_most)
{
    static char buf[6 * 4096];
    int fd = open_new("/tmp/f", "");
    int memory = (int)CALL(memfd_create, U("m"), 0);
    struct linux_statfs st;

    fake_pages_total = 8;
    cr_expect_eq(CALL(write, fd, U(buf), sizeof(buf)), 4 * 4096);
    cr_expect_eq(CALL(write, fd, U(buf), sizeof(buf)), -ENOSPC);
    cr_expect_eq(CALL(fallocate, fd, 0, 0, sizeof(buf)), -ENOSPC);
    cr_expect_eq(CALL(pwrite64, fd, U(buf), 4096, 0), 4096); /* pages it has */
    cr_expect_eq(CALL(write, memory, U(buf), sizeof(buf)), sizeof(buf));
    CALL(ftruncate, fd, 4096);
    cr_expect_eq(CALL(fstatfs, fd, U(&st)), 0);
    cr_expect_eq(st.blocks, 4);
    cr_expect_eq(st.bavail, 3);
}

Test(fs_data, vectors_are_read_and_written_in_order)
{
    int fd = open_new("/tmp/f", "");
    char a[3], b[4];
    struct linux_iovec out[] = {{U("abc"), 3}, {0, 0}, {U("defg"), 4}};
    struct linux_iovec hostile[] = {{U("abc"), 3}, {UINT64_MAX, 1}};
    struct linux_iovec in[] = {{U(a), 3}, {U(b), 4}};

    cr_expect_eq(CALL(writev, fd, U(out), 3), 7);
    cr_expect_eq(CALL(writev, fd, U(hostile), 2), -EFAULT, "before the first is written");
    hostile[1] = (struct linux_iovec){(1ull << 47) - 4096, 1};
    cr_expect_eq(CALL(writev, fd, U(hostile), 2), -EFAULT);
    hostile[1] = (struct linux_iovec){4096, 1ull << 62};
    cr_expect_eq(CALL(writev, fd, U(hostile), 2), -EFAULT);
    cr_expect_eq(CALL(preadv, fd, U(in), 2, 1), 6);
    cr_expect_arr_eq(a, "bcd", 3);
    cr_expect_arr_eq(b, "efg", 3);
    in[1].len = UINT64_MAX;
    cr_expect_eq(CALL(readv, fd, U(in), 2), -EINVAL);
    cr_expect_eq(CALL(readv, fd, U(in), 1025), -EINVAL);
}

Test(fs_data, access_modes_and_bad_arguments_are_refused)
{
    int fd = (int)CALL(open, U("/tmp/f"), O_WRONLY | O_CREAT, 0600);
    int place = (int)CALL(open, U("/tmp/f"), O_PATH);
    int dir = (int)CALL(open, U("/tmp"), O_RDONLY);
    char c;

    cr_expect_eq(CALL(read, fd, U(&c), 1), -EBADF);
    cr_expect_eq(CALL(read, place, U(&c), 1), -EBADF);
    cr_expect_eq(CALL(read, dir, U(&c), 1), -EISDIR);
    cr_expect_eq(CALL(write, fd, 0, 1), -EFAULT);
    cr_expect_eq(CALL(pwrite64, fd, U(&c), 1, UINT64_MAX), -EINVAL);
    cr_expect_eq(CALL(lseek, fd, UINT64_MAX, WHENCE_SET), -EINVAL);
    cr_expect_eq(CALL(lseek, fd, 0, 9), -EINVAL);
}

Test(fs_data, the_program_can_be_read_but_not_written)
{
    expect_text("/opt/prog", "program text");
    expect_text("/proc/self/exe", "program text");
    cr_expect_eq(CALL(open, U("/opt/prog"), O_RDWR), -ETXTBSY);
    cr_expect_eq(CALL(truncate, U("/opt/prog"), 0), -ETXTBSY);
    cr_expect_eq(CALL(access, U("/opt/prog"), 1), 0);
    cr_expect_eq(CALL(unlink, U("/opt/prog")), 0);
}

Test(fs_data, sendfile_and_copy_file_range_keep_the_offsets_right)
{
    int in = open_new("/tmp/in", "0123456789");
    int out = open_new("/tmp/out", "");
    u64 at = 2;

    cr_expect_eq(CALL(sendfile, out, in, U(&at), 3), 3);
    cr_expect_eq(at, 5);
    cr_expect_eq(CALL(lseek, in, 0, WHENCE_CUR), 10);
    cr_expect_eq(CALL(copy_file_range, in, U(&at), out, 0, 100, 0), 5);
    expect_text("/tmp/out", "23456789");
}

Test(fs_data, memfd_is_nameless_but_known)
{
    int fd = (int)CALL(memfd_create, U("buf"), 1);
    char text[64] = "";

    cr_assert_geq(fd, 0);
    cr_expect_eq(CALL(fcntl, fd, FCNTL_GETFD), 1);
    cr_expect_eq(CALL(write, fd, U("x"), 1), 1);
    cr_expect_eq(CALL(readlink, U("/proc/self/fd/0"), U(text), 63), 20);
    cr_expect_str_eq(text, "/memfd:buf (deleted)");
}

Test(fs_data, devices_behave)
{
    int null = (int)CALL(open, U("/dev/null"), O_RDWR);
    int zero = (int)CALL(open, U("/dev/zero"), O_RDWR);
    int full = (int)CALL(open, U("/dev/full"), O_RDWR);
    int random = (int)CALL(open, U("/dev/urandom"), O_RDONLY);
    char buf[4] = "abc";

    cr_expect_eq(CALL(read, null, U(buf), 4), 0);
    cr_expect_eq(CALL(write, null, U(buf), 4), 4);
    cr_expect_eq(CALL(write, full, U(buf), 4), -ENOSPC);
    cr_expect_eq(CALL(read, zero, U(buf), 4), 4);
    cr_expect_eq(buf[0], 0);
    cr_expect_eq(CALL(read, random, U(buf), 4), 4);
    cr_expect_eq(buf[0], 0x5a);
    cr_expect_eq(stat_of("/dev/null").rdev, 0x103);
    cr_expect_not_null(page_of(zero, 7));
    cr_expect_eq(CALL(open, U("/dev/tty"), O_RDWR), -ENXIO);
}
