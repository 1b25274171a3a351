/* vsock: SEQPACKET, whose messages arrive as they were sent or not at all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock_state.h"
#include "tests/devices/vsock_guest.h"

enum { PORT = 80, MINE = 1000, WINDOW = VSOCK_MESSAGE_RING - VSOCK_EMPTY_MOST };
enum { RCV = VIRTIO_VSOCK_SHUTDOWN_RCV, SEND = VIRTIO_VSOCK_SHUTDOWN_SEND };
enum { EOM = VIRTIO_VSOCK_SEQ_EOM, EOR = VIRTIO_VSOCK_SEQ_EOR };
static const uint64_t messages_feature = VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET);

static struct vsock_guest guest;
static int server, peer; /* of the connection MINE -> PORT */
static uint8_t block[80 << 10], got[80 << 10];

static void setup(void)
{
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)(i * 7 + i / 251);
    vg_open(&guest, -1, -1, -1);
    guest.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    vg_start(&guest, messages_feature, VG_QUEUE);
    server = vg_server(&guest, PORT);
    peer = vg_connect(&guest, server, PORT, MINE);
}

static void teardown(void)
{
    vg_close(&guest);
}

TestSuite(vsock_message, .init = setup, .fini = teardown, .timeout = 60);

static bool part(const void *from, uint32_t len, uint32_t flags)
{
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, PORT, MINE);

    hdr.len = len;
    hdr.flags = flags;
    return vg_send_raw(&guest, &hdr, from, len);
}

static bool op(uint16_t operation)
{
    return vg_send(&guest, operation, PORT, MINE);
}

/* The host receives one message, exactly this. */
static void expect_message(const void *want, size_t len)
{
    uint64_t end = loop_now_ns() + UINT64_C(2000000000);
    ssize_t n;

    while ((n = recv(peer, got, sizeof(got), MSG_DONTWAIT)) < 0 && errno == EAGAIN) {
        cr_assert_lt(loop_now_ns(), end, "no message");
        loop_turn(&guest.loop, 1, NULL);
    }
    cr_assert_eq(n, (ssize_t)len, "%zd bytes instead of %zu", n, len);
    cr_assert_arr_eq(got, want, len);
}

/* Nothing comes but credit. */
static void take_updates(void)
{
    struct packet packet;

    while (vg_take(&guest, &packet))
        cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

static void expect_no_message(void)
{
    take_updates();
    cr_assert_eq(recv(peer, got, sizeof(got), MSG_DONTWAIT), -1);
    cr_assert_eq(errno, EAGAIN);
}

static void assert_reset(void)
{
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    while (recv(peer, got, sizeof(got), MSG_DONTWAIT) > 0)
        ;
    cr_assert(vg_host_eof(&guest, peer));
    vg_assert_alive(&guest);
}

/* Messages of len bytes until the device holds `held` of them for a host that does not read. Those
 * that the host has taken are counted. */
static unsigned fill_host(uint32_t len, unsigned held)
{
    unsigned sent = 0;

    while (guest.vsock->conns[VSOCK_STDIO].whole < held) {
        cr_assert(part(block, len, EOM));
        sent++;
        take_updates();
    }
    return sent;
}

/* --- from the guest --- */

Test(vsock_message, ends_are_where_the_guest_put_them)
{
    part("one", 3, EOM);
    part("three", 5, EOM | EOR);
    part("", 0, EOM);
    part("x", 1, EOM);
    expect_message("one", 3);
    expect_message("three", 5);
    expect_message("", 0);
    expect_message("x", 1);
    expect_no_message();
}

Test(vsock_message, parts_make_one_message)
{
    part("on", 2, 0);
    part("", 0, 0);
    expect_no_message();
    part("e, ", 3, 0);
    part("two", 3, EOM);
    expect_message("one, two", 8);
    part("three", 5, 0);
    part("", 0, EOM);
    expect_message("three", 5);
    expect_no_message();
}

Test(vsock_message, one_may_fill_the_window_and_no_more)
{
    struct packet packet;

    part(block, WINDOW - 1, 0);
    part(block + WINDOW - 1, 1, EOM);
    expect_message(block, WINDOW);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(packet.hdr.buf_alloc, WINDOW);
    cr_assert_eq(packet.hdr.fwd_cnt, WINDOW);
    part(block, WINDOW, 0);
    vg_expect_nothing(&guest);
    part(block, 1, EOM);
    assert_reset();
}

Test(vsock_message, what_the_host_does_not_take_waits_whole)
{
    static const uint32_t sizes[] = {1, 5000, 0, 0, 3, 20000, 0, 7};
    unsigned before = fill_host(4096, 1);

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        part(block + i, sizes[i] / 2, 0);
        part(block + i + sizes[i] / 2, sizes[i] - sizes[i] / 2, EOM);
    }
    for (unsigned i = 0; i < before; i++)
        expect_message(block, 4096);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        expect_message(block + i, sizes[i]);
    expect_no_message();
}

/* Any sizes and any reader: compared with what was sent, which both sides derive from the number of
 * the message. Credit is exact at every step: what is forwarded is what the host was given. */
Test(vsock_message, any_lengths_keep_their_ends_and_credit_to_the_byte)
{
    struct vsock_conn *conn = &guest.vsock->conns[VSOCK_STDIO];
    uint32_t lengths[2048], sent = 0, received = 0, bytes = 0;
    unsigned seed = 1;

    while (received < 10000) {
        bool tiny = sent / 2000 % 2; /* many are held, many of them empty */
        uint32_t length = (uint32_t)rand_r(&seed) % (tiny ? 3 : rand_r(&seed) % 4 ? 40 : 9000);
        bool reads = rand_r(&seed) % 1024 == 0 || sent - received == 1500;

        take_updates();
        cr_assert_eq(conn->received, bytes);
        cr_assert_eq(conn->received - conn->forwarded, conn->held - conn->empties);
        if (!reads && length <= conn_allowance(conn)) {
            uint32_t first = length > 0 ? (uint32_t)rand_r(&seed) % length : 0;

            part(block + sent % 1000, first, 0);
            part(block + sent % 1000 + first, length - first, EOM);
            lengths[sent++ % 2048] = length;
            bytes += length;
            continue;
        }
        if (length > conn_allowance(conn) && sent == received)
            op(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
        for (uint32_t n = (uint32_t)rand_r(&seed) % 600; n > 0 && received < sent; n--) {
            expect_message(block + received % 1000, lengths[received % 2048]);
            received++;
        }
    }
    while (received < sent) {
        expect_message(block + received % 1000, lengths[received % 2048]);
        received++;
    }
    take_updates();
    cr_assert_eq(conn->held, 0);
}

Test(vsock_message, more_empty_ones_than_are_kept_are_a_reset)
{
    fill_host(4096, 1);
    for (unsigned i = 0; i < VSOCK_EMPTY_MOST; i++)
        cr_assert(part(NULL, 0, EOM));
    vg_expect_nothing(&guest);
    cr_assert_leq(vg_held(&guest), VSOCK_MESSAGE_RING);
    part(NULL, 0, EOM);
    assert_reset();
}

Test(vsock_message, a_full_window_of_the_shortest_is_kept)
{
    uint32_t left, n = fill_host(1, 1);

    op(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    take_updates();
    left = conn_allowance(&guest.vsock->conns[VSOCK_STDIO]);
    cr_assert_eq(left, WINDOW - 1);
    for (uint32_t i = 0; i < left; i++)
        cr_assert(part(block + i % 64, 1, EOM));
    vg_expect_nothing(&guest);
    while (n-- > 0)
        expect_message(block, 1);
    for (uint32_t i = 0; i < left; i++)
        expect_message(block + i % 64, 1);
    take_updates();
    vg_assert_alive(&guest);
}

Test(vsock_message, forwarding_is_told_although_half_the_window_is_left)
{
    unsigned before = fill_host(20000, 1);
    struct packet packet;

    while (before-- > 0)
        expect_message(block, 20000);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(packet.hdr.fwd_cnt, guest.vsock->conns[VSOCK_STDIO].received);
}

Test(vsock_message, a_sender_in_mid_message_hears_of_what_was_forwarded_before)
{
    const int small = 40000;

    /* So that no event of the socket's tells: it has room only when this one has been read. */
    setsockopt(guest.vsock->conns[VSOCK_STDIO].stream.fd, SOL_SOCKET, SO_SNDBUF, &small,
               sizeof(small));
    part(block, 30000, EOM);
    vg_expect_nothing(&guest); /* half is left */
    part(block, WINDOW - 30000, 0);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE).hdr.fwd_cnt, 30000);
}

Test(vsock_message, the_end_comes_behind_what_is_held)
{
    unsigned before = fill_host(4096, 2);

    vg_shutdown(&guest, SEND, PORT, MINE);
    while (before-- > 0)
        expect_message(block, 4096);
    cr_assert(vg_host_eof(&guest, peer));
}

Test(vsock_message, one_that_has_not_ended_is_dropped_at_the_end)
{
    part("lost", 4, 0);
    vg_shutdown(&guest, SEND, PORT, MINE);
    cr_assert(vg_host_eof(&guest, peer));
    cr_assert_eq(send(peer, "still", 5, 0), 5);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.flags, EOM);
}

Test(vsock_message, a_reset_delivers_what_is_whole)
{
    unsigned before = fill_host(4096, 2);

    part("lost", 4, 0);
    op(VIRTIO_VSOCK_OP_RST);
    while (before-- > 0)
        expect_message(block, 4096);
    cr_assert(vg_host_eof(&guest, peer));
    cr_assert_eq(vg_held(&guest), 0);
}

Test(vsock_message, a_host_that_takes_no_more_is_told_of)
{
    shutdown(peer, SHUT_RD);
    part("x", 1, EOM);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, RCV);
    part("y", 1, EOM);
    vg_assert_alive(&guest);
}

/* --- to the guest --- */

static void expect_part(const void *want, uint32_t len, uint32_t flags)
{
    struct packet packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);

    cr_assert_eq(packet.hdr.len, len, "%u bytes instead of %u", packet.hdr.len, len);
    cr_assert_eq(packet.hdr.flags, flags);
    cr_assert_arr_eq(packet.data, want, len);
}

Test(vsock_message, the_guest_gets_ends_where_the_host_put_them)
{
    send(peer, "one", 3, 0);
    send(peer, "", 0, 0);
    send(peer, "three", 5, 0);
    expect_part("one", 3, EOM);
    expect_part("", 0, EOM);
    expect_part("three", 5, EOM);
    shutdown(peer, SHUT_WR);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, SEND);
    part("and back", 8, EOM);
    expect_message("and back", 8);
}

Test(vsock_message, an_empty_one_before_the_end_is_no_end)
{
    send(peer, "", 0, 0);
    shutdown(peer, SHUT_WR);
    expect_part("", 0, EOM);
    vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN);
}

Test(vsock_message, one_larger_than_a_buffer_takes_several_in_a_row)
{
    const uint32_t room = 4096 - 44;
    int other = vg_connect(&guest, server, PORT, MINE + 1);

    cr_assert_eq(send(peer, block, 10000, 0), 10000);
    cr_assert_eq(send(other, "other", 5, 0), 5);
    expect_part(block, room, 0);
    expect_part(block + room, room, 0);
    expect_part(block + 2 * room, 10000 - 2 * room, EOM);
    expect_part("other", 5, EOM);
}

Test(vsock_message, none_begins_before_there_is_credit_for_all_of_it)
{
    guest.buf_alloc = 1000;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    send(peer, block, 600, 0);
    send(peer, block, 600, 0);
    expect_part(block, 600, EOM);
    vg_expect_nothing(&guest);
    guest.fwd_cnt = 199;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    vg_expect_nothing(&guest);
    guest.fwd_cnt = 200;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    expect_part(block, 600, EOM);
}

Test(vsock_message, one_that_the_guest_can_never_take_is_a_reset)
{
    guest.buf_alloc = 1000;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    send(peer, block, 1001, 0);
    assert_reset();
}

Test(vsock_message, one_above_the_bound_is_a_reset)
{
    guest.buf_alloc = 1 << 20;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    send(peer, block, VSOCK_MESSAGE_MOST, 0);
    for (uint32_t at = 0; at < VSOCK_MESSAGE_MOST;) {
        struct packet packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);

        cr_assert_arr_eq(packet.data, block + at, packet.hdr.len);
        at += packet.hdr.len;
        cr_assert_eq(packet.hdr.flags, at == VSOCK_MESSAGE_MOST ? EOM : 0);
    }
    send(peer, block, VSOCK_MESSAGE_MOST + 1, 0);
    assert_reset();
}

Test(vsock_message, what_waits_for_buffers_goes_with_its_connection)
{
    int other;

    vg_start(&guest, messages_feature, 2);
    peer = vg_connect(&guest, server, PORT, MINE);
    other = vg_connect(&guest, server, PORT, MINE + 1);
    send(peer, block, 20000, 0);
    send(other, "other", 5, 0);
    loop_turn(&guest.loop, 10, NULL);
    loop_turn(&guest.loop, 10, NULL);
    cr_assert_not_null(guest.vsock->stage.conn);
    op(VIRTIO_VSOCK_OP_RST);
    cr_assert_null(guest.vsock->stage.conn);
    for (struct packet packet = {0}; packet.hdr.dst_port != MINE + 1;)
        packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    cr_assert_eq(send(peer, "x", 1, MSG_NOSIGNAL), -1);
}

Test(vsock_message, a_device_reset_in_mid_message_forgets_it)
{
    vg_start(&guest, messages_feature, 1);
    peer = vg_connect(&guest, server, PORT, MINE);
    send(peer, block, 20000, 0);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    part("half", 4, 0);
    vg_start(&guest, messages_feature, VG_QUEUE);
    cr_assert_null(guest.vsock->stage.conn);
    vg_expect_nothing(&guest);
    vg_assert_alive(&guest);
}

/* --- connecting --- */

Test(vsock_message, a_client_says_its_line_in_a_message)
{
    int client = vg_client(&guest, "CONNECT 52\n");
    struct packet packet = vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST);
    char line[32];

    cr_assert_eq(packet.hdr.dst_port, 52);
    vg_send(&guest, VIRTIO_VSOCK_OP_RESPONSE, packet.hdr.src_port, 52);
    snprintf(line, sizeof(line), "OK %u\n", packet.hdr.src_port);
    peer = client;
    expect_message(line, strlen(line));
    send(client, "first", 5, 0);
    expect_part("first", 5, EOM);
}

Test(vsock_message, a_first_message_that_is_not_just_a_line_is_hung_up_on)
{
    static const char *const garbage[] = {"CONNECT 52", "CON", "CONNECT 52\nmore", "\n",
                                          "CONNECT 52\n and so much that it is cut when peeked at"};

    for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int client = vg_client(&guest, garbage[i]);

        vg_expect_nothing(&guest);
        cr_assert(vg_host_eof(&guest, client), "%s", garbage[i]);
        close(client);
    }
}

Test(vsock_message, a_server_of_streams_is_nobody)
{
    guest.type = VIRTIO_VSOCK_TYPE_STREAM;
    vg_server(&guest, PORT + 1);
    guest.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT + 1, MINE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
}

Test(vsock_message, stdio_is_no_place_for_messages)
{
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + 1, MINE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
}

Test(vsock_message, a_packet_of_the_other_type_is_a_reset)
{
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, PORT, MINE);

    hdr.type = VIRTIO_VSOCK_TYPE_STREAM;
    hdr.len = 1;
    vg_send_raw(&guest, &hdr, "x", 1);
    assert_reset();
}

Test(vsock_message, streams_go_on_beside_them)
{
    int stream;

    guest.type = VIRTIO_VSOCK_TYPE_STREAM;
    stream = vg_client(&guest, "CONNECT 52\n");
    vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST);
    close(stream);
}

/* Without the feature type 2 is unknown (5.10.6.4.2), and clients of that type are hung up on. */
Test(vsock_message, without_the_feature_there_are_none)
{
    struct virtio_vsock_hdr hdr;
    int client;

    vg_start(&guest, 0, VG_QUEUE);
    hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT, MINE);
    guest.type = VIRTIO_VSOCK_TYPE_STREAM; /* of the answer */
    vg_send_raw(&guest, &hdr, NULL, 0);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    guest.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    client = vg_client(&guest, "CONNECT 52\n");
    vg_expect_nothing(&guest);
    cr_assert(vg_host_eof(&guest, client));
}
