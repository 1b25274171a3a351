/* Streams never block and leave the shared open file description as it was. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/stream_fd.h"

static int ends[2];
static struct stream_fd stream;

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(ends), 0);
}

TestSuite(stream_fd, .init = setup, .timeout = 20);

static ssize_t write_some(const struct stream_fd *to, const char *from, size_t len)
{
    struct iovec iov = {.iov_base = (char *)(uintptr_t)from, .iov_len = len};

    return stream_writev(to, &iov, 1);
}

static ssize_t read_some(const struct stream_fd *from, char *to, size_t len)
{
    struct iovec iov = {.iov_base = to, .iov_len = len};

    return stream_readv(from, &iov, 1);
}

static void fill(const struct stream_fd *to)
{
    static char block[8192];
    ssize_t moved;

    do
        moved = write_some(to, block, sizeof(block));
    while (moved > 0);
    cr_assert_eq(moved, -EAGAIN);
}

Test(stream_fd, a_pipe_becomes_non_blocking_for_us_alone)
{
    char byte;

    cr_assert_eq(stream_open(&stream, ends[0], STREAM_READS, NULL), 0);
    cr_assert_eq(stream.kind, STREAM_NONBLOCKING);
    cr_assert_neq(stream.fd, ends[0]);
    cr_assert_eq(read_some(&stream, &byte, 1), -EAGAIN);
    cr_assert_eq(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(read_some(&stream, &byte, 1), 1);
    close(ends[1]);
    cr_assert_eq(read_some(&stream, &byte, 1), 0);
    stream_close(&stream);
    stream_close(&stream);
    cr_assert_eq(stream.fd, -1);
}

Test(stream_fd, a_full_pipe_says_later_and_a_broken_one_epipe)
{
    cr_assert_eq(stream_open(&stream, ends[1], STREAM_WRITES, NULL), 0);
    fill(&stream);
    cr_assert_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    close(ends[0]);
    cr_assert_eq(write_some(&stream, "x", 1), -EPIPE);
}

Test(stream_fd, a_pipe_without_reader_is_still_opened)
{
    close(ends[0]);
    cr_assert_eq(stream_open(&stream, ends[1], STREAM_WRITES, NULL), 0);
    cr_assert_eq(write_some(&stream, "x", 1), -EPIPE);
}

Test(stream_fd, a_shared_description_does_not_block)
{
    static char block[3 * PIPE_BUF];

    stream = (struct stream_fd){.fd = ends[1], .kind = STREAM_CAREFUL};
    cr_assert_geq(write_some(&stream, block, sizeof(block)), PIPE_BUF);
    fill(&stream);
    stream.fd = ends[0];
    cr_assert_geq(read_some(&stream, block, sizeof(block)), PIPE_BUF);
    cr_assert_eq(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
}

/* The kernel's terminals know no RWF_NOWAIT. */
Test(stream_fd, a_shared_terminal_is_written_in_careful_pieces)
{
    static char block[3 * PIPE_BUF];
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    cr_assert_eq(grantpt(master) | unlockpt(master), 0);
    stream = (struct stream_fd){.fd = open(ptsname(master), O_RDWR | O_NOCTTY), STREAM_CAREFUL};
    cr_assert_leq(write_some(&stream, block, sizeof(block)), PIPE_BUF);
    cr_assert_eq(read_some(&stream, block, sizeof(block)), -EAGAIN);
}

/* Two readers of one pipe: what poll said may be gone before the read. */
static void *take_everything(void *unused)
{
    char byte;

    (void)unused;
    while (read(ends[0], &byte, 1) == 1)
        ;
    return NULL;
}

Test(stream_fd, another_reader_of_a_shared_pipe_cannot_make_us_wait)
{
    pthread_t other;
    char byte;

    stream = (struct stream_fd){.fd = ends[0], .kind = STREAM_CAREFUL};
    cr_assert_eq(pthread_create(&other, NULL, take_everything, NULL), 0);
    for (unsigned i = 0; i < 20000; i++) {
        cr_assert_eq(write(ends[1], "x", 1), 1);
        (void)read_some(&stream, &byte, 1);
    }
    close(ends[1]);
    cr_assert_eq(pthread_join(other, NULL), 0);
}

Test(stream_fd, an_empty_shared_description_says_later)
{
    char byte;

    stream = (struct stream_fd){.fd = ends[0], .kind = STREAM_CAREFUL};
    cr_assert_eq(read_some(&stream, &byte, 1), -EAGAIN);
}

/* Through /proc/self/fd either end would open as the other, and take the reader's data. */
Test(stream_fd, the_wrong_end_of_a_pipe_fails_as_it_does_for_any_process)
{
    char byte;

    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(stream_open(&stream, ends[1], STREAM_READS, NULL), 0);
    cr_assert_eq(read_some(&stream, &byte, 1), -EBADF);
    cr_assert_eq(read(ends[0], &byte, 1), 1, "its reader gets it");
    stream_close(&stream);
    cr_assert_eq(stream_open(&stream, ends[0], STREAM_WRITES, NULL), 0);
    cr_assert_eq(write_some(&stream, "x", 1), -EBADF);
}

Test(stream_fd, a_device_opened_for_the_other_direction_fails)
{
    int sink = open("/dev/null", O_WRONLY), source = open("/dev/null", O_RDONLY);
    char byte;

    cr_assert_eq(stream_open(&stream, sink, STREAM_READS, NULL), 0);
    cr_assert_eq(read_some(&stream, &byte, 1), -EBADF);
    cr_assert_eq(stream_open(&stream, source, STREAM_WRITES, NULL), 0);
    cr_assert_eq(write_some(&stream, "x", 1), -EBADF);
}

Test(stream_fd, a_path_alone_cannot_be_read)
{
    int path = open("/dev/zero", O_PATH);
    char byte;

    cr_assert_eq(stream_open(&stream, path, STREAM_READS, NULL), 0);
    cr_assert_eq(read_some(&stream, &byte, 1), -EBADF);
}

Test(stream_fd, both_directions_of_a_fifo_serve)
{
    char path[] = "/tmp/samara-fifo-XXXXXX", byte;
    int fifo;

    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    fifo = open(path, O_RDWR);
    unlink(path);
    cr_assert_eq(stream_open(&stream, fifo, STREAM_READS, NULL), 0);
    cr_assert_eq(stream.kind, STREAM_NONBLOCKING);
    cr_assert_eq(write(fifo, "x", 1), 1);
    cr_assert_eq(read_some(&stream, &byte, 1), 1);
}

Test(stream_fd, a_socket_stays_as_it_is)
{
    int pair[2];
    char byte;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(stream_open(&stream, pair[0], STREAM_READS, NULL), 0);
    cr_assert_eq(stream.kind, STREAM_SOCKET);
    cr_assert_eq(read_some(&stream, &byte, 1), -EAGAIN);
    cr_assert_eq(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
    fill(&stream);
    close(pair[1]);
    signal(SIGPIPE, SIG_DFL);
    cr_assert_eq(write_some(&stream, "x", 1), -EPIPE, "and no signal");
}

Test(stream_fd, a_regular_file_keeps_its_shared_offset)
{
    char path[] = "/tmp/samara-stream-XXXXXX", text[8];
    int fd = mkstemp(path);

    unlink(path);
    cr_assert_eq(write(fd, "before", 6), 6);
    cr_assert_eq(stream_open(&stream, fd, STREAM_WRITES, NULL), 0);
    cr_assert_eq(stream.kind, STREAM_FILE);
    cr_assert_eq(write_some(&stream, "after", 5), 5);
    cr_assert_eq(lseek(fd, 0, SEEK_CUR), 11);
    lseek(fd, 4, SEEK_SET);
    cr_assert_eq(read_some(&stream, text, 4), 4);
    cr_assert_arr_eq(text, "reaf", 4);
}

Test(stream_fd, append_is_kept)
{
    int null = open("/dev/null", O_WRONLY | O_APPEND);

    cr_assert_eq(stream_open(&stream, null, STREAM_WRITES, NULL), 0);
    cr_assert_eq(stream.kind, STREAM_NONBLOCKING);
    cr_assert(fcntl(stream.fd, F_GETFL) & O_APPEND);
    cr_assert(fcntl(stream.fd, F_GETFD) & FD_CLOEXEC);
}

Test(stream_fd, pipes_grow_and_never_shrink)
{
    cr_assert_eq(stream_open(&stream, ends[1], STREAM_WRITES, NULL), 0);
    cr_assert_eq(fcntl(ends[1], F_GETPIPE_SZ), 256 << 10);
    stream_close(&stream);
    cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
    cr_assert_eq(stream_open(&stream, ends[1], STREAM_WRITES, NULL), 0);
    cr_assert_eq(fcntl(ends[1], F_GETPIPE_SZ), 1 << 20);
}

Test(stream_fd, a_terminals_master_is_not_opened_again)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
    char byte;

    cr_assert_geq(master, 0);
    cr_assert_eq(grantpt(master) | unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    cr_assert_eq(stream_open(&stream, master, STREAM_READS, NULL), 0);
    cr_assert_eq(stream.kind, STREAM_CAREFUL);
    cr_assert_eq(read_some(&stream, &byte, 1), -EAGAIN);
    cr_assert_eq(stream_open(&stream, slave, STREAM_READS, NULL), 0);
    cr_assert_eq(stream.kind, STREAM_NONBLOCKING);
    cr_assert_eq(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
}

Test(stream_fd, a_closed_descriptor_is_an_error)
{
    struct err err;

    cr_assert_eq(stream_open(&stream, 999, STREAM_READS, &err), -1);
    cr_assert_str_eq(err.text, "file descriptor 999: Bad file descriptor");
    cr_assert_eq(stream.fd, -1);
}
