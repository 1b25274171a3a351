/* vsock: the program's stdin, stdout and stderr, and the end of a VM. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock_state.h"
#include "tests/devices/vsock_guest.h"

enum { RCV = VIRTIO_VSOCK_SHUTDOWN_RCV, SEND = VIRTIO_VSOCK_SHUTDOWN_SEND, MINE = 100 };

static struct vsock_guest guest;
static int in[2] = {-1, -1}, out[2] = {-1, -1};
static bool finished;

static void teardown(void)
{
    vg_close(&guest);
}

TestSuite(vsock_stdio, .fini = teardown, .timeout = 30);

/* Input last: it may have something to say at once. */
static void open_stdio(int stdin_fd, int stdout_fd, int stderr_fd)
{
    const int fds[3] = {stdin_fd, stdout_fd, stderr_fd};

    vg_open(&guest, stdin_fd, stdout_fd, stderr_fd);
    for (uint32_t i = 3; i-- > 0;) {
        if (fds[i] < 0)
            continue;
        vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + i, MINE);
        vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    }
}

static void open_pipes(void)
{
    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(pipe(out), 0);
    open_stdio(in[0], out[1], -1);
}

static bool print(const char *text)
{
    return vg_data(&guest, text, (uint32_t)strlen(text), SAMARA_STDIO_PORT + 1, MINE);
}

static void done(void *arg)
{
    cr_assert_eq(arg, &guest);
    finished = true;
}

Test(vsock_stdio, input_reaches_the_guest_and_ends)
{
    struct packet packet;

    open_pipes();
    cr_assert_eq(write(in[1], "line\n", 5), 5);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    cr_assert_eq(packet.hdr.src_port, SAMARA_STDIO_PORT);
    cr_assert_arr_eq(packet.data, "line\n", 5);
    close(in[1]);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, SEND);
    vg_expect_nothing(&guest);
}

Test(vsock_stdio, input_that_is_there_comes_without_a_turn_of_the_loop)
{
    struct virtq_used_elem used;

    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(write(in[1], "x", 1), 1);
    vg_open(&guest, in[0], -1, -1);
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT, MINE);
    cr_assert(fake_used(&guest.fake, RX, &used), "the response");
    cr_assert(fake_used(&guest.fake, RX, &used), "the data");
    cr_assert_eq(used.len, 45);
}

Test(vsock_stdio, output_reaches_the_host_without_a_turn_of_the_loop)
{
    char text[6];

    open_pipes();
    print("hello\n");
    cr_assert_eq(read(out[0], text, 6), 6);
    cr_assert_arr_eq(text, "hello\n", 6);
}

Test(vsock_stdio, nobody_reading_is_told_once)
{
    open_pipes();
    close(out[0]);
    print("lost");
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, RCV);
    print("more");
    vg_expect_nothing(&guest);
    vg_shutdown(&guest, RCV | SEND, SAMARA_STDIO_PORT + 1, MINE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    cr_assert_eq(guest.fake.lines, 0, "a broken pipe is not worth a line");
    cr_assert_eq(guest.failed_stdio, -1, "and no failure");
}

static void fill_output(void)
{
    static char block[65536];

    while (vg_held(&guest) == 0)
        vg_data(&guest, block, sizeof(block), SAMARA_STDIO_PORT + 1, MINE);
}

Test(vsock_stdio, a_reader_that_leaves_while_output_waits_is_told)
{
    struct packet packet;

    open_pipes();
    fill_output();
    close(out[0]);
    do
        packet = (struct packet){0};
    while (!vg_take(&guest, &packet) || packet.hdr.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_SHUTDOWN);
    cr_assert_eq(packet.hdr.flags, RCV);
    cr_assert_eq(vg_held(&guest), 0);
}

/* Ports may be those of a new connection by then. */
Test(vsock_stdio, nothing_is_sent_for_a_connection_the_guest_forgot)
{
    struct virtio_vsock_hdr hdr;
    struct virtq_used_elem used;
    struct packet packet;
    char page[4096];

    open_pipes();
    fcntl(out[0], F_SETPIPE_SZ, sizeof(page));
    fill_output();
    while (vg_take(&guest, &packet))
        ;
    hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_CREDIT_REQUEST, SAMARA_STDIO_PORT + 1, MINE);
    vg_queue(&guest, 40, &hdr, NULL, 0);
    hdr.op = VIRTIO_VSOCK_OP_RST;
    vg_queue(&guest, 41, &hdr, NULL, 0);
    fake_kick(&guest.fake, TX);
    while (fake_used(&guest.fake, TX, &used))
        ;
    cr_assert_gt(vg_held(&guest), 2 * sizeof(page));
    while (vg_held(&guest) > 0) {
        cr_assert_eq(read(out[0], page, sizeof(page)), sizeof(page));
        vg_expect_nothing(&guest);
    }
}

Test(vsock_stdio, output_that_cannot_be_waited_for_ends)
{
    static char block[65536];
    struct packet packet = {0};

    open_pipes();
    vg_use_up_watches(&guest);
    while (!vg_take(&guest, &packet) || packet.hdr.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE)
        vg_data(&guest, block, sizeof(block), SAMARA_STDIO_PORT + 1, MINE);
    cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_SHUTDOWN);
    cr_assert_eq(packet.hdr.flags, RCV);
    cr_assert_eq(vg_held(&guest), 0);
    cr_assert_eq(guest.fake.lines, 1, "why: %s", guest.fake.line);
    cr_assert_eq(guest.failed_stdio, 1, "and whose it was");
    vsock_finish(guest.vsock, done, &guest);
    cr_assert(finished);
}

Test(vsock_stdio, input_that_cannot_be_waited_for_is_reset)
{
    cr_assert_eq(pipe(in), 0);
    vg_open(&guest, in[0], -1, -1);
    vg_use_up_watches(&guest);
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT, MINE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    vg_assert_alive(&guest);
}

Test(vsock_stdio, closing_output_is_seen_by_its_reader)
{
    char text[8];

    open_pipes();
    print("last");
    vg_shutdown(&guest, SEND, SAMARA_STDIO_PORT + 1, MINE);
    cr_assert_eq(read(out[0], text, sizeof(text)), 4);
    cr_assert_eq(read(out[0], text, sizeof(text)), 0);
}

Test(vsock_stdio, closing_input_is_seen_by_its_writer)
{
    open_pipes();
    vg_shutdown(&guest, RCV, SAMARA_STDIO_PORT, MINE);
    cr_assert_eq(write(in[1], "x", 1), -1, "EPIPE");
}

Test(vsock_stdio, a_stream_is_connected_to_once)
{
    open_pipes();
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + 1, MINE + 1);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
}

/* Room for both ends of a full table of connections. */
static void allow_many_files(void)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 16384 ? limit.rlim_max : 16384;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

Test(vsock_stdio, a_full_table_has_room_for_stdio)
{
    static char block[65536];
    struct packet packet = {0};
    uint32_t sent = 0, port = 1;
    int server;

    allow_many_files();
    cr_assert_eq(pipe(out), 0);
    vg_open(&guest, -1, out[1], -1);
    server = vg_server(&guest, 80);
    do {
        vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, port++);
        cr_assert(vg_take(&guest, &packet));
        if (packet.hdr.op == VIRTIO_VSOCK_OP_RESPONSE)
            cr_assert_geq(accept(server, NULL, NULL), 0);
    } while (packet.hdr.op == VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_gt(port, 1000);
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + 1, MINE);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_eq(packet.hdr.buf_alloc, VSOCK_CREDIT_LARGE);
    while (vg_held(&guest) < VSOCK_CREDIT_LARGE) {
        uint32_t left = packet.hdr.buf_alloc - (sent - packet.hdr.fwd_cnt);
        uint32_t len = left < sizeof(block) ? left : (uint32_t)sizeof(block);

        vg_data(&guest, block, len, SAMARA_STDIO_PORT + 1, MINE);
        sent += len;
        vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_REQUEST, SAMARA_STDIO_PORT + 1, MINE);
        packet = vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    }
    vg_expect_nothing(&guest);
}

/* A client that reads nothing must not cost the program its output. */
Test(vsock_stdio, slow_clients_take_no_buffers_from_stdio)
{
    static char block[65536];
    int server;

    open_pipes();
    fcntl(out[0], F_SETPIPE_SZ, 4096);
    server = vg_server(&guest, 80);
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t before = vg_held(&guest);

        vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, 1000 + i);
        vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
        cr_assert_geq(accept(server, NULL, NULL), 0);
        while (vg_held(&guest) == before) {
            struct packet packet;

            vg_data(&guest, block, 32768, 80, 1000 + i);
            while (vg_take(&guest, &packet))
                cr_assert_neq(packet.hdr.op, VIRTIO_VSOCK_OP_RST, "client %u", i);
        }
    }
    for (uint32_t sent = 0; sent < VSOCK_CREDIT_LARGE; sent += sizeof(block)) {
        struct packet packet;

        vg_data(&guest, block, sizeof(block), SAMARA_STDIO_PORT + 1, MINE);
        while (vg_take(&guest, &packet))
            cr_assert_neq(packet.hdr.op, VIRTIO_VSOCK_OP_RST);
    }
}

Test(vsock_stdio, streams_come_back_after_a_reset)
{
    char text[3];

    open_pipes();
    vg_start(&guest, 0, VG_QUEUE);
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + 1, MINE + 7);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    vg_data(&guest, "new", 3, SAMARA_STDIO_PORT + 1, MINE + 7);
    cr_assert_eq(read(out[0], text, 3), 3);
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT, MINE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_eq(write(in[1], "again", 5), 5);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 5);
}

Test(vsock_stdio, writing_to_input_is_discarded)
{
    open_pipes();
    vg_data(&guest, "x", 1, SAMARA_STDIO_PORT, MINE);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, RCV);
    cr_assert_eq(write(in[1], "y", 1), 1);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
}

/* --- files that are always ready --- */

static int temporary_file(size_t bytes)
{
    char path[] = "/tmp/samara-stdio-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(i * 7 + i / 256);

        cr_assert_eq(write(fd, &byte, 1), 1);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

Test(vsock_stdio, a_regular_file_is_input)
{
    enum { SIZE = 300000 };
    int file = temporary_file(SIZE);
    size_t got = 0;
    struct packet packet;

    open_stdio(dup(file), -1, -1);
    while (got < SIZE) {
        packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
        for (uint32_t i = 0; i < packet.hdr.len; i++, got++)
            cr_assert_eq(packet.data[i], (uint8_t)(got * 7 + got / 256));
        guest.fwd_cnt = (uint32_t)got;
        vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, SAMARA_STDIO_PORT, MINE);
    }
    vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN);
    cr_assert_eq(lseek(file, 0, SEEK_CUR), SIZE, "the offset is shared");
}

Test(vsock_stdio, what_the_guest_leaves_of_a_file_is_for_the_next_reader)
{
    static const int sizes[] = {100, 1 << 20}; /* less and more than the guest has room for */

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int file = temporary_file(sizes[i]);

        open_stdio(dup(file), -1, -1);
        while (vg_take(&guest, &(struct packet){0}))
            ;
        cr_assert_gt(lseek(file, 0, SEEK_CUR), 10, "it was read ahead");
        guest.fwd_cnt = 10;
        vg_shutdown(&guest, RCV, SAMARA_STDIO_PORT, MINE);
        cr_assert_eq(lseek(file, 0, SEEK_CUR), 10);
        vg_shutdown(&guest, RCV | SEND, SAMARA_STDIO_PORT, MINE);
        vg_shutdown(&guest, RCV | SEND, SAMARA_STDIO_PORT, MINE);
        cr_assert_eq(lseek(file, 0, SEEK_CUR), 10, "once");
        vg_close(&guest);
        close(file);
    }
    vg_open(&guest, -1, -1, -1);
}

Test(vsock_stdio, a_guest_that_claims_more_than_it_was_sent_moves_nothing)
{
    int file = temporary_file(100);

    open_stdio(dup(file), -1, -1);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    guest.fwd_cnt = 101;
    vg_shutdown(&guest, RCV, SAMARA_STDIO_PORT, MINE);
    cr_assert_eq(lseek(file, 0, SEEK_CUR), 100);
}

Test(vsock_stdio, a_regular_file_is_output_at_the_shared_offset)
{
    int file = temporary_file(10);
    char text[32];

    lseek(file, 5, SEEK_SET);
    open_stdio(-1, dup(file), dup(file));
    print("out ");
    vg_data(&guest, "err", 3, SAMARA_STDIO_PORT + 2, MINE);
    cr_assert_eq(lseek(file, 0, SEEK_CUR), 12);
    cr_assert_eq(pread(file, text, sizeof(text), 5), 7);
    cr_assert_arr_eq(text, "out err", 7);
}

Test(vsock_stdio, the_null_device_is_both)
{
    open_stdio(open("/dev/null", O_RDONLY), open("/dev/null", O_WRONLY), -1);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, SEND);
    print("into the void");
    vg_expect_nothing(&guest);
    vg_assert_alive(&guest);
}

Test(vsock_stdio, endless_input_does_not_take_over)
{
    vg_open(&guest, open("/dev/zero", O_RDONLY), -1, -1);
    guest.buf_alloc = 1 << 30;
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT, MINE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 4096 - 44);
}

Test(vsock_stdio, a_full_disk_is_told_to_the_guest_and_the_monitor)
{
    open_stdio(-1, open("/dev/full", O_WRONLY), -1);
    print("x");
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, RCV);
    cr_assert_eq(guest.failed_stdio, 1);
    cr_assert_eq(guest.stdio_reason, ENOSPC);
}

Test(vsock_stdio, input_that_cannot_be_read_is_told_to_the_guest_and_the_monitor)
{
    open_stdio(open("/", O_RDONLY), -1, -1);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, SEND);
    cr_assert_eq(guest.failed_stdio, 0);
    cr_assert_eq(guest.stdio_reason, EISDIR);
}

Test(vsock_stdio, a_socket_is_input_and_output)
{
    int pair[2];
    char text[4];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    open_stdio(dup(pair[0]), dup(pair[0]), -1);
    close(pair[0]);
    print("pong");
    cr_assert_eq(read(pair[1], text, 4), 4);
    cr_assert_eq(write(pair[1], "ping", 4), 4);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 4);
    vg_shutdown(&guest, SEND, SAMARA_STDIO_PORT + 1, MINE);
    cr_assert_eq(write(pair[1], "more", 4), 4);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 4);
}

/* --- the end --- */

Test(vsock_stdio, finishing_with_nothing_held_is_immediate)
{
    open_pipes();
    print("x");
    vsock_finish(guest.vsock, done, &guest);
    cr_assert(finished);
}

Test(vsock_stdio, finishing_takes_what_was_not_kicked)
{
    struct virtio_vsock_hdr hdr;
    char text[4];

    open_pipes();
    hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, SAMARA_STDIO_PORT + 1, MINE);
    hdr.len = 4;
    memcpy(fake_at(&guest.fake, FAKE_DATA), &hdr, sizeof(hdr));
    memcpy(fake_at(&guest.fake, FAKE_DATA + sizeof(hdr)), "last", 4);
    fake_desc(&guest.fake, TX, 60, FAKE_DATA, sizeof(hdr) + 4, 0, 0);
    fake_add(&guest.fake, TX, 60);
    vsock_finish(guest.vsock, done, &guest);
    cr_assert(finished);
    cr_assert_eq(read(out[0], text, 4), 4);
    cr_assert_arr_eq(text, "last", 4);
}

Test(vsock_stdio, finishing_takes_what_is_behind_refused_packets)
{
    struct virtio_vsock_hdr hdr;
    uint16_t slot = 0;
    char text[4];

    cr_assert_eq(pipe(out), 0);
    vg_open(&guest, -1, out[1], -1);
    fake_start(&guest.fake, VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX), VIRTIO_VSOCK_QUEUES, 256);
    hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + 1, MINE);
    vg_queue(&guest, slot++, &hdr, NULL, 0);
    while (slot < 150) {
        hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_REQUEST, 9999, 2000u + slot);
        vg_queue(&guest, slot++, &hdr, NULL, 0);
    }
    hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, SAMARA_STDIO_PORT + 1, MINE);
    hdr.len = 4;
    vg_queue(&guest, slot, &hdr, "last", 4);
    vsock_finish(guest.vsock, done, &guest);
    cr_assert(finished);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    cr_assert_eq(read(out[0], text, 4), 4);
    cr_assert_arr_eq(text, "last", 4);
}

Test(vsock_stdio, finishing_waits_for_a_slow_reader)
{
    static char sink[65536];
    uint64_t end;

    open_pipes();
    fill_output();
    vsock_finish(guest.vsock, done, &guest);
    end = loop_now_ns() + VSOCK_FINISH_MS * 1100000u;
    while (loop_now_ns() < end)
        loop_turn(&guest.loop, 10, NULL);
    cr_assert(!finished, "without end");
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    while (!finished) {
        while (read(out[0], sink, sizeof(sink)) > 0)
            ;
        loop_turn(&guest.loop, 10, NULL);
    }
    cr_assert_eq(vg_held(&guest), 0);
}

Test(vsock_stdio, finishing_ends_when_the_reader_leaves)
{
    open_pipes();
    fill_output();
    vsock_finish(guest.vsock, done, &guest);
    close(out[0]);
    loop_turn(&guest.loop, 100, NULL);
    cr_assert(finished);
}

Test(vsock_stdio, finishing_does_not_wait_long_for_other_connections)
{
    static char block[65536];
    uint64_t start = loop_now_ns();
    int server;

    open_pipes();
    server = vg_server(&guest, 80);
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, 1);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_geq(accept(server, NULL, NULL), 0);
    while (vg_held(&guest) == 0)
        vg_data(&guest, block, sizeof(block), 80, 1);
    vsock_finish(guest.vsock, done, &guest);
    cr_assert(!finished);
    while (!finished)
        loop_turn(&guest.loop, 100, NULL);
    cr_assert_geq(loop_now_ns() - start, VSOCK_FINISH_MS * 1000000ull);
}

Test(vsock_stdio, nothing_is_sent_to_a_guest_that_is_gone)
{
    struct packet packet;

    open_pipes();
    vsock_finish(guest.vsock, done, &guest);
    cr_assert_eq(write(in[1], "late", 4), 4);
    for (unsigned i = 0; i < 5; i++)
        loop_turn(&guest.loop, 0, NULL);
    cr_assert(!vg_take(&guest, &packet));
}
