/* Descriptors, pipes, eventfd, poll. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/lib/errno.h"
#include "tests/guest-kernel/fs_fake.h"

TestSuite(fs_fd, .init = fake_boot);

enum { SIGPIPE_NUMBER = 13 };

static int ends[2];

static void make_pipe(u32 flags)
{
    cr_assert_eq(CALL(pipe2, U(ends), flags), 0);
}

Test(fs_fd, a_pipe_of_packets_is_refused)
{
    cr_expect_eq(CALL(pipe2, U(ends), O_DIRECT), -EINVAL);
    cr_assert_eq(CALL(pipe2, U(ends), 0), 0);
    cr_expect_eq(CALL(fcntl, (u64)ends[1], FCNTL_SETFL, O_DIRECT), -EINVAL);
    cr_expect_eq(CALL(fcntl, (u64)ends[1], FCNTL_SETFL, O_NONBLOCK), 0);
}

Test(fs_fd, the_lowest_free_descriptor_is_given)
{
    for (int i = 0; i < 100; i++)
        cr_assert_eq(open_new("/tmp/f", ""), i);
    CALL(close, 50);
    CALL(close, 3);
    cr_expect_eq(open_new("/tmp/f", ""), 3);
    cr_expect_eq(open_new("/tmp/f", ""), 50);
    cr_expect_eq(open_new("/tmp/f", ""), 100);
    cr_expect_eq(CALL(close, 200), -EBADF);
    cr_expect_eq(CALL(close, (u64)-1), -EBADF);
}

Test(fs_fd, the_limit_is_kept)
{
    int fd = open_new("/tmp/f", "");
    long last = 0;

    for (int i = 0; i < 1100 && last >= 0; i++)
        last = CALL(dup, fd);
    cr_expect_eq(last, -EMFILE);
    cr_expect_not_null(fd_slot(1023));
    cr_expect_eq(CALL(dup2, fd, 1024), -EBADF);
    cr_expect_eq(CALL(fcntl, fd, FCNTL_DUPFD, 1024), -EINVAL);
}

Test(fs_fd, dup_shares_offset_and_flags_but_not_cloexec)
{
    int fd = open_new("/tmp/f", "text");

    cr_assert_eq(CALL(dup3, fd, 9, O_CLOEXEC), 9);
    cr_expect_eq(CALL(lseek, 9, 0, WHENCE_CUR), 4);
    cr_expect_eq(CALL(fcntl, fd, FCNTL_SETFL, O_APPEND | O_NONBLOCK), 0);
    cr_expect_eq(CALL(fcntl, 9, FCNTL_GETFL), O_RDWR | O_APPEND | O_NONBLOCK | O_LARGEFILE);
    cr_expect_eq(CALL(fcntl, 9, FCNTL_GETFD), 1);
    cr_expect_eq(CALL(fcntl, fd, FCNTL_GETFD), 0);
    cr_expect_eq(CALL(dup2, fd, fd), fd);
    cr_expect_eq(CALL(dup3, fd, fd, 0), -EINVAL);
    cr_expect_eq(CALL(fcntl, fd, FCNTL_DUPFD_CLOEXEC, 9), 10);
    cr_expect_eq(CALL(close_range, 9, 10, 0), 0);
    cr_expect_eq(CALL(fcntl, 9, FCNTL_GETFD), -EBADF);
}

Test(fs_fd, locks_are_granted_and_never_seen)
{
    int fd = open_new("/tmp/f", "");
    struct linux_flock lock = {.type = LOCK_KIND_WRITE};

    cr_expect_eq(CALL(fcntl, fd, FCNTL_SETLK, U(&lock)), 0);
    cr_expect_eq(CALL(fcntl, fd, FCNTL_GETLK, U(&lock)), 0);
    cr_expect_eq(lock.type, LOCK_KIND_UNLOCK);
    lock.type = 9;
    cr_expect_eq(CALL(fcntl, fd, FCNTL_SETLK, U(&lock)), -EINVAL);
    cr_expect_eq(CALL(flock, fd, 2), 0);
    cr_expect_eq(CALL(flock, fd, 3), -EINVAL);
}

Test(fs_fd, a_pipe_keeps_order_through_many_wraps)
{
    static u8 out[50000], in[50000];
    u8 next_out = 0, next_in = 0;

    make_pipe(O_NONBLOCK);
    srand(1);
    for (int i = 0; i < 3000; i++) {
        long wrote, got;

        for (size_t j = 0; j < sizeof(out); j++)
            out[j] = (u8)(next_out + j);
        wrote = CALL(write, ends[1], U(out), 1 + (u64)rand() % sizeof(out));
        if (wrote > 0)
            next_out = (u8)(next_out + wrote);
        got = CALL(read, ends[0], U(in), 1 + (u64)rand() % sizeof(in));
        for (long j = 0; j < got; j++)
            cr_assert_eq(in[j], next_in++);
    }
    while (CALL(read, ends[0], U(in), sizeof(in)) > 0)
        ;
    cr_expect_leq(fake_pages_used, 2u);
    CALL(close, ends[0]);
    CALL(close, ends[1]);
    cr_expect_eq(fake_pages_used, 0);
}

Test(fs_fd, a_full_pipe_takes_65536_bytes_and_small_writes_are_not_torn)
{
    static char buf[70000];

    make_pipe(O_NONBLOCK);
    cr_expect_eq(CALL(write, ends[1], U(buf), sizeof(buf)), 65536);
    cr_expect_eq(CALL(write, ends[1], U(buf), 1), -EAGAIN);
    cr_expect_eq(CALL(read, ends[0], U(buf), 100), 100);
    cr_expect_eq(CALL(write, ends[1], U(buf), 200), -EAGAIN);
    cr_expect_eq(CALL(write, ends[1], U(buf), 100), 100);
    cr_expect_eq(CALL(fcntl, ends[0], FCNTL_GETPIPE_SZ), 65536);
}

Test(fs_fd, the_ends_of_a_closed_pipe)
{
    char c;

    make_pipe(0);
    CALL(write, ends[1], U("x"), 1);
    CALL(close, ends[1]);
    cr_expect_eq(CALL(read, ends[0], U(&c), 1), 1);
    cr_expect_eq(CALL(read, ends[0], U(&c), 1), 0);
    make_pipe(0);
    CALL(close, ends[0]);
    cr_expect_eq(CALL(write, ends[1], U("x"), 1), -EPIPE);
    cr_expect_eq(fake_signal, SIGPIPE_NUMBER);
    cr_expect_eq(CALL(lseek, ends[1], 0, 0), -ESPIPE);
    cr_expect_eq(CALL(pwrite64, ends[1], U("x"), 1, 0), -ESPIPE);
}

static void other_writes(void)
{
    CALL(write, ends[1], U("hello"), 5);
}

static u8 drained[1 << 20];
static size_t drained_bytes;

static void other_drains(void)
{
    long n = CALL(read, ends[0], U(drained + drained_bytes), 30000);

    drained_bytes += n > 0 ? (size_t)n : 0;
}

Test(fs_fd, a_reader_waits_for_a_writer)
{
    char buf[16];

    make_pipe(0);
    fake_other_thread = other_writes;
    cr_expect_eq(CALL(read, ends[0], U(buf), 16), 5);
    cr_expect_eq(fake_sleeps, 1);
}

Test(fs_fd, a_long_write_waits_until_all_is_taken)
{
    static u8 out[300000];

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (u8)(i * 13);
    make_pipe(0);
    fake_other_thread = other_drains;
    cr_expect_eq(CALL(write, ends[1], U(out), sizeof(out)), 300000);
    while (drained_bytes < sizeof(out))
        other_drains();
    cr_expect_arr_eq(drained, out, sizeof(out));
}

Test(fs_fd, a_signal_ends_a_wait)
{
    static char buf[70000];

    make_pipe(0);
    cr_expect_eq(CALL(read, ends[0], U(buf), 1), -EINTR);
    cr_expect_eq(CALL(write, ends[1], U(buf), sizeof(buf)), 65536, "what was moved counts");
}

Test(fs_fd, a_vector_read_does_not_wait_for_its_second_part)
{
    char a[5], b[5];
    struct linux_iovec iov[] = {{U(a), 5}, {U(b), 5}};

    make_pipe(0);
    CALL(write, ends[1], U("hello"), 5);
    cr_expect_eq(CALL(readv, ends[0], U(iov), 2), 5);
    cr_expect_eq(fake_sleeps, 0);
}

Test(fs_fd, a_pipe_is_opened_again_through_proc)
{
    char c, text[64] = "";
    long fd;

    make_pipe(0);
    CALL(write, ends[1], U("x"), 1);
    cr_assert_eq(ends[0], 0);
    fd = CALL(open, U("/dev/stdin"), O_RDONLY);
    cr_assert_geq(fd, 0);
    cr_expect_eq(CALL(read, fd, U(&c), 1), 1);
    CALL(readlink, U("/proc/self/fd/0"), U(text), 63);
    cr_expect_eq(strncmp(text, "pipe:[", 6), 0);
}

Test(fs_fd, eventfd_counts)
{
    long fd = CALL(eventfd2, 3, O_NONBLOCK);
    long semaphore = CALL(eventfd2, 2, O_NONBLOCK | 1);
    u64 value = 4;

    cr_expect_eq(CALL(write, fd, U(&value), 8), 8);
    cr_expect_eq(CALL(read, fd, U(&value), 4), -EINVAL);
    cr_expect_eq(CALL(read, fd, U(&value), 8), 8);
    cr_expect_eq(value, 7);
    cr_expect_eq(CALL(read, fd, U(&value), 8), -EAGAIN);
    CALL(read, semaphore, U(&value), 8);
    cr_expect_eq(value, 1);
    value = UINT64_MAX;
    cr_expect_eq(CALL(write, fd, U(&value), 8), -EINVAL);
    value = UINT64_MAX - 1;
    cr_expect_eq(CALL(write, fd, U(&value), 8), 8);
    cr_expect_eq(CALL(write, fd, U(&value), 8), -EAGAIN);
}

Test(fs_fd, poll_tells_what_is_ready)
{
    struct linux_pollfd fds[4];
    int file = open_new("/tmp/f", "");

    make_pipe(0);
    fds[0] = (struct linux_pollfd){ends[0], POLLIN, 0};
    fds[1] = (struct linux_pollfd){ends[1], POLLOUT, 0};
    fds[2] = (struct linux_pollfd){99, POLLIN, 0};
    fds[3] = (struct linux_pollfd){-1, POLLIN, 7};
    cr_expect_eq(CALL(poll, U(fds), 4, 0), 2);
    cr_expect_eq(fds[0].revents, 0);
    cr_expect_eq(fds[1].revents, POLLOUT);
    cr_expect_eq(fds[2].revents, POLLNVAL);
    cr_expect_eq(fds[3].revents, 0);
    CALL(close, ends[1]);
    cr_expect_eq(CALL(poll, U(fds), 1, (u64)-1), 1);
    cr_expect_eq(fds[0].revents, POLLHUP);
    fds[0] = (struct linux_pollfd){file, POLLIN | POLLOUT, 0};
    cr_expect_eq(CALL(poll, U(fds), 1, (u64)-1), 1);
    cr_expect_eq(fake_sleeps, 0);
}

Test(fs_fd, poll_waits_for_an_event_a_signal_or_its_timeout)
{
    struct linux_pollfd p;
    struct linux_timespec limit = {2, 0};
    u64 started = fake_now_ns;

    make_pipe(0);
    p = (struct linux_pollfd){ends[0], POLLIN, 0};
    cr_expect_eq(CALL(poll, U(&p), 1, 250), 0);
    cr_expect_eq(fake_now_ns, started + 250000000);
    cr_expect_eq(CALL(poll, U(&p), 1, (u64)-1), -EINTR);
    fake_other_thread = other_writes;
    cr_expect_eq(CALL(ppoll, U(&p), 1, U(&limit), 0, 8), 1);
    cr_expect_eq(p.revents, POLLIN);
    cr_expect_eq(limit.sec, 2);
    limit.nsec = -1;
    cr_expect_eq(CALL(ppoll, U(&p), 1, U(&limit), 0, 8), -EINVAL);
}

Test(fs_fd, select_counts_bits)
{
    u64 readers[16] = {0}, writers[16] = {0};
    struct linux_timeval limit = {1, 500000};

    make_pipe(0);
    readers[0] = 1u << ends[0];
    writers[0] = 1u << ends[1];
    cr_expect_eq(CALL(select, 2, U(readers), U(writers), 0, U(&limit)), 1);
    cr_expect_eq(readers[0], 0);
    cr_expect_eq(writers[0], 1u << ends[1]);
    readers[0] = 1u << ends[0];
    cr_expect_eq(CALL(select, 1, U(readers), 0, 0, U(&limit)), 0);
    cr_expect_eq(limit.sec, 0);
    cr_expect_eq(limit.usec, 0);
    readers[0] = 1u << 30;
    cr_expect_eq(CALL(select, 31, U(readers), 0, 0, 0), -EBADF);
    cr_expect_eq(CALL(select, (u64)-1, 0, 0, 0, 0), -EINVAL);
}

Test(fs_fd, stat_of_nameless_files)
{
    struct linux_stat st;

    make_pipe(0);
    cr_expect_eq(CALL(newfstatat, ends[0], U(""), U(&st), LINUX_AT_EMPTY_PATH), 0);
    cr_expect_eq(st.mode & MODE_TYPE, MODE_FIFO);
    cr_expect_eq(CALL(newfstatat, ends[0], U(""), U(&st), 0), -ENOENT);
    cr_expect_eq(CALL(fstat, 77, U(&st)), -EBADF);
    cr_expect_eq(CALL(fchdir, ends[0]), -ENOTDIR);
    cr_expect_eq(CALL(fsync, ends[0]), -EINVAL);
    cr_expect_eq(CALL(ioctl, ends[0], IOCTL_TCGETS, U(&st)), -ENOTTY);
}
