/*
 * vsock: what the device takes of memory when every connection there can be has a host that does
 * not read and a guest that uses its whole credit; and that it gives it back.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock_state.h"
#include "tests/devices/vsock_guest.h"

enum { PORT = 80, FIRST = 1000, ALL = VSOCK_CONNS - VSOCK_STDIO, MIB = 1 << 20 };
enum { BESIDE = 4 * MIB }; /* the table, the loop, the test itself */

static struct vsock_guest guest;
static int server, hosts[ALL];
static uint8_t block[64 << 10];

static void allow_descriptors(void)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_gt(limit.rlim_max, 2 * VSOCK_CONNS + 100, "more descriptors have to be allowed");
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void setup(void)
{
    allow_descriptors();
    vg_open(&guest, -1, -1, -1);
}

static void teardown(void)
{
    vg_close(&guest);
}

TestSuite(vsock_memory, .init = setup, .fini = teardown, .timeout = 120);

static long resident(void)
{
    long all = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%ld %ld", &all, &pages), 2);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void take_all(void)
{
    for (struct packet packet; vg_take(&guest, &packet);)
        ;
}

/* The least the kernel allows is held by the socket: the rest is the device's to keep. */
static void connect_all(void)
{
    const int least = 1;

    server = vg_server(&guest, PORT);
    for (uint32_t i = 0; i < ALL; i++) {
        vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT, FIRST + i);
        vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
        hosts[i] = accept(server, NULL, NULL);
        cr_assert_geq(hosts[i], 0);
        setsockopt(guest.vsock->conns[VSOCK_STDIO + i].stream.fd, SOL_SOCKET, SO_SNDBUF, &least,
                   sizeof(least));
    }
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT, FIRST + ALL);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RST).hdr.dst_port, FIRST + ALL);
}

static void send_piece(uint32_t port, uint32_t len)
{
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, PORT, port);

    hdr.len = len;
    hdr.flags = guest.type == VIRTIO_VSOCK_TYPE_SEQPACKET ? VIRTIO_VSOCK_SEQ_EOM : 0;
    cr_assert(vg_send_raw(&guest, &hdr, block, len));
}

/* Pieces of at most `most` until the window is full. */
static void fill(uint32_t number, uint32_t most)
{
    const struct vsock_conn *conn = &guest.vsock->conns[VSOCK_STDIO + number];

    while (conn->held == 0)
        send_piece(FIRST + number, most < 1024 ? most : 1024);
    vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_REQUEST, PORT, FIRST + number);
    take_all();
    while (conn_allowance(conn) > 0)
        send_piece(FIRST + number, most < conn_allowance(conn) ? most : conn_allowance(conn));
    cr_assert_eq(conn->held, conn_buf_alloc(conn));
}

/* Held by all of them when all are full. */
static uint64_t fill_all(uint32_t most)
{
    connect_all();
    for (uint32_t i = 0; i < ALL; i++)
        fill(i, most);
    vg_expect_nothing(&guest);
    return vg_held(&guest);
}

static void hosts_leave(void)
{
    for (uint32_t i = 0; i < ALL; i++)
        close(hosts[i]);
    take_all();
    cr_assert_eq(vg_held(&guest), 0);
}

Test(vsock_memory, of_streams_is_bounded_and_given_back)
{
    long before = resident(), full;
    uint64_t held = fill_all(sizeof(block));

    full = resident() - before;
    cr_assert_eq(held, buffer_places() - VSOCK_STDIO * VSOCK_CREDIT_LARGE);
    cr_assert_leq(buffer_places(), 136 * MIB);
    cr_assert_leq(full, 136 * MIB + BESIDE, "%ld KiB", full >> 10);
    hosts_leave();
    cr_assert_leq(resident() - before, BESIDE);
    vg_assert_alive(&guest);
}

Test(vsock_memory, of_messages_is_bounded_and_given_back)
{
    long before, full;

    guest.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    vg_start(&guest, VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET), VG_QUEUE);
    before = resident();
    fill_all(512);
    full = resident() - before;
    cr_assert_leq(full, (112 + 28) * MIB + BESIDE, "%ld KiB", full >> 10);
    hosts_leave();
    cr_assert_leq(resident() - before, BESIDE);
    vg_assert_alive(&guest);
}
