/* vsock in a snapshot: stdio goes on, all else is over, and nothing that cannot be is taken. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/vsock_state.h"
#include "tests/devices/vsock_guest.h"

enum { MINE = 100, OUT_PORT = (int)(SAMARA_STDIO_PORT + 1) };
enum { IDS = VSOCK_CONNS + VSOCK_REFUSALS };

static struct vsock_guest guest;
static struct err err;
static int in[2], out[2];
static struct {
    struct vsock_saved head;
    struct vsock_saved_conn conns[IDS + 1];
} state;
static size_t size;

static void open_one(void)
{
    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(pipe(out), 0);
    vg_open(&guest, in[0], out[1], -1);
}

static void teardown(void)
{
    vg_close(&guest);
}

TestSuite(vsock_saved, .init = open_one, .fini = teardown, .timeout = 30);

static struct vsock_saved_conn *saved_of(uint32_t host_port, uint32_t guest_port)
{
    for (uint32_t i = 0; i < state.head.count; i++) {
        if (state.conns[i].host_port == host_port && state.conns[i].guest_port == guest_port)
            return &state.conns[i];
    }
    return NULL;
}

static void save(void)
{
    cr_assert_leq(vsock_saved_most(), sizeof(state));
    size = vsock_save(guest.vsock, &state);
    cr_assert_eq(size, sizeof(state.head) + state.head.count * sizeof(state.conns[0]));
}

/* Another device, with pipes of its own. */
static void become_a_clone(void)
{
    vg_close(&guest);
    open_one();
}

static void load(void)
{
    size = sizeof(state.head) + state.head.count * sizeof(state.conns[0]);
    cr_assert_eq(vsock_load(guest.vsock, &state, size, &err), 0, "%s", err.text);
    virtio_go_on(vsock_device(guest.vsock));
}

static void assert_refused(const char *why)
{
    become_a_clone();
    err.text[0] = '\0';
    cr_assert_eq(vsock_load(guest.vsock, &state, size, &err), -1, "%s", why);
    cr_assert_str_eq(err.text, why);
}

static void open_stdout(void)
{
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, (uint32_t)OUT_PORT, MINE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
}

/* One connection as a state, sound but for what the test does to it. */
static struct vsock_saved_conn *one(uint32_t host_port)
{
    memset(&state, 0, sizeof(state));
    state.head.count = 1;
    state.conns[0] = (struct vsock_saved_conn){.host_port = host_port,
                                               .guest_port = MINE,
                                               .type = VIRTIO_VSOCK_TYPE_STREAM,
                                               .peer_alloc = 1 << 16};
    size = sizeof(state.head) + sizeof(state.conns[0]);
    return &state.conns[0];
}

Test(vsock_saved, stdio_goes_on_with_its_counts)
{
    const struct vsock_saved_conn *conn;
    struct packet packet;
    char text[8];

    open_stdout();
    vg_data(&guest, "before", 6, (uint32_t)OUT_PORT, MINE);
    save();
    conn = saved_of((uint32_t)OUT_PORT, MINE);
    cr_assert(conn);
    cr_assert_eq(conn->received, 6);
    cr_assert_eq(conn->peer_alloc, guest.buf_alloc);
    become_a_clone();
    load();
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(packet.hdr.fwd_cnt, 6, "all that it sent counts as taken");
    vg_data(&guest, "after", 5, (uint32_t)OUT_PORT, MINE);
    cr_assert_eq(read(out[0], text, sizeof(text)), 5, "to the clone's stream");
    cr_assert_arr_eq(text, "after", 5);
    vg_assert_alive(&guest);
}

/* What the source's reader has not taken is not the clone's to write. */
Test(vsock_saved, what_is_held_stays_the_sources)
{
    static char block[65536];
    uint32_t sent = 0;
    struct packet packet;

    open_stdout();
    while (vg_held(&guest) == 0) {
        vg_data(&guest, block, sizeof(block), (uint32_t)OUT_PORT, MINE);
        sent += sizeof(block);
    }
    save();
    become_a_clone();
    load();
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(packet.hdr.fwd_cnt, sent);
    cr_assert_eq(vg_held(&guest), 0);
    cr_assert_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(read(out[0], block, 1), -1);
}

Test(vsock_saved, input_goes_on_within_the_credit_that_was_left)
{
    struct vsock_saved_conn *conn = one(SAMARA_STDIO_PORT);
    struct packet packet;

    conn->peer_alloc = 100;
    conn->sent = 0xfffffff0;
    conn->peer_forwarded = 0xfffffff0 - 90;
    load();
    cr_assert_eq(write(in[1], "0123456789abcdef", 16), 16);
    do
        packet = (struct packet){0};
    while (!vg_take(&guest, &packet) || packet.hdr.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_RW);
    cr_assert_eq(packet.hdr.len, 10);
}

/* A half that is shut stays so. */
Test(vsock_saved, an_end_of_input_that_was_told_is_final)
{
    one(SAMARA_STDIO_PORT)->our_shut = VIRTIO_VSOCK_SHUTDOWN_SEND;
    load();
    cr_assert_eq(write(in[1], "more", 4), 4);
    vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    vg_expect_nothing(&guest);
}

Test(vsock_saved, all_other_connections_are_reset)
{
    int server, peer, client;
    struct packet packet;
    uint32_t port;
    unsigned resets = 0;

    server = vg_server(&guest, 7);
    peer = vg_connect(&guest, server, 7, MINE);
    client = vg_client(&guest, "CONNECT 5\n");
    port = vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST).hdr.src_port;
    save();
    cr_assert_eq(state.head.count, 2);
    cr_assert(saved_of(7, MINE) && saved_of(port, 5));
    become_a_clone();
    load();
    while (vg_take(&guest, &packet)) {
        cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_RST);
        cr_assert(packet.hdr.src_port == 7 || packet.hdr.src_port == port);
        resets++;
    }
    cr_assert_eq(resets, 2);
    vg_assert_alive(&guest);
    client = vg_client(&guest, "CONNECT 5\n");
    cr_assert_neq(vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST).hdr.src_port, port,
                  "its ports go on, too");
    close(client);
    close(peer);
}

/* The guest has not heard of it: nothing is to be said. */
Test(vsock_saved, a_connection_that_the_guest_does_not_know_is_not_kept)
{
    int client = vg_client(&guest, "CONN");
    struct packet packet;

    cr_assert(!vg_take(&guest, &packet));
    save();
    cr_assert_eq(state.head.count, 0);
    close(client);
}

Test(vsock_saved, resets_that_have_not_gone_yet_go)
{
    struct packet packet;

    one(99)->pending = PENDING_RST;
    load();
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    cr_assert_eq(packet.hdr.src_port, 99);
    cr_assert_eq(packet.hdr.dst_port, MINE);
    vg_expect_nothing(&guest);
}

Test(vsock_saved, more_connections_than_places_are_refusals_and_then_too_many)
{
    unsigned most = VSOCK_CONNS - VSOCK_STDIO + VSOCK_REFUSALS;
    struct packet packet;
    char why[64];
    unsigned told = 0;

    one(1000);
    for (unsigned i = 0; i <= most; i++) {
        state.conns[i] = state.conns[0];
        state.conns[i].guest_port = i;
    }
    state.head.count = most + 1;
    size = sizeof(state.head) + state.head.count * sizeof(state.conns[0]);
    snprintf(why, sizeof(why), "vsock: %u connections are too many", most + 1);
    assert_refused(why);
    become_a_clone();
    state.head.count = most;
    load();
    for (unsigned idle = 0; told < most && idle < 1000; idle++) {
        while (vg_take(&guest, &packet)) {
            cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_RST);
            told++;
            idle = 0;
        }
    }
    cr_assert_eq(told, most, "%u", told);
}

Test(vsock_saved, what_is_no_number_of_connections_is_refused)
{
    one(99);
    size = 7;
    assert_refused("vsock: 7 bytes are not a number of connections");
    size = 47;
    assert_refused("vsock: 47 bytes are not a number of connections");
    size = 48;
    state.head.count = 2;
    assert_refused("vsock: 48 bytes are not a number of connections");
}

Test(vsock_saved, what_cannot_be_is_refused_by_name)
{
    one(99)->type = 3;
    assert_refused("vsock: connection 0 (ports 99 and 100) of an unknown type");
    one(99)->type = VIRTIO_VSOCK_TYPE_SEQPACKET; /* not negotiated */
    assert_refused("vsock: connection 0 (ports 99 and 100) of an unknown type");
    one(99)->guest_shut = 4;
    assert_refused("vsock: connection 0 (ports 99 and 100) with unknown flags");
    one(99)->our_shut = 0x80;
    assert_refused("vsock: connection 0 (ports 99 and 100) with unknown flags");
    one(99)->pending = PENDING_REQUEST;
    assert_refused("vsock: connection 0 (ports 99 and 100) with unknown flags");
    one(99)->pending = 1u << 31;
    assert_refused("vsock: connection 0 (ports 99 and 100) with unknown flags");
    one(99)->reserved = 1;
    assert_refused("vsock: connection 0 (ports 99 and 100) with unknown flags");
    one(99)->sent = UINT32_C(1) << 31;
    assert_refused("vsock: connection 0 (ports 99 and 100) with impossible counts");
    one(99)->told = 1;
    assert_refused("vsock: connection 0 (ports 99 and 100) with impossible counts");
    one(99);
    state.conns[1] = state.conns[0];
    state.head.count = 2;
    size += sizeof(state.conns[0]);
    assert_refused("vsock: connection 1 (ports 99 and 100) that is there twice");
}

/* The clone's caller has closed it, or there are two of it. */
Test(vsock_saved, a_standard_stream_that_is_not_there_is_reset)
{
    one(SAMARA_STDIO_PORT + 2); /* which this device has not */
    become_a_clone();
    cr_assert_eq(vsock_load(guest.vsock, &state, size, &err), 0, "%s", err.text);
    one(SAMARA_STDIO_PORT);
    state.conns[1] = state.conns[0];
    state.conns[1].guest_port++;
    state.head.count = 2;
    size += sizeof(state.conns[0]);
    become_a_clone();
    cr_assert_eq(vsock_load(guest.vsock, &state, size, &err), 0, "%s", err.text);
}
