/* vsock: how connections begin, from both sides, and what clients can say wrong. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/vsock_state.h"
#include "tests/devices/vsock_guest.h"

static struct vsock_guest guest;

static void setup(void)
{
    vg_open(&guest, -1, -1, -1);
}

static void teardown(void)
{
    vg_close(&guest);
}

TestSuite(vsock_connect, .init = setup, .fini = teardown, .timeout = 20);

/* A client that has been asked for at the guest's port 52; returns the host's port. */
static uint32_t request(int *client)
{
    struct packet packet;

    *client = vg_client(&guest, "CONNECT 52\n");
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST);
    cr_assert_eq(packet.hdr.src_cid, VSOCK_HOST_CID);
    cr_assert_eq(packet.hdr.dst_port, 52);
    return packet.hdr.src_port;
}

Test(vsock_connect, a_client_reaches_the_guest)
{
    char line[32], want[32];
    int client;
    uint32_t port = request(&client);

    vg_send(&guest, VIRTIO_VSOCK_OP_RESPONSE, port, 52);
    snprintf(want, sizeof(want), "OK %u\n", port);
    vg_read_host(&guest, client, line, strlen(want));
    cr_assert_arr_eq(line, want, strlen(want));
    cr_assert_eq(write(client, "hello", 5), 5);
    cr_assert_arr_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).data, "hello", 5);
    vg_data(&guest, "world", 5, port, 52);
    vg_read_host(&guest, client, line, 5);
    cr_assert_arr_eq(line, "world", 5);
}

Test(vsock_connect, a_line_may_come_in_pieces)
{
    int client = vg_client(&guest, "CON");

    vg_expect_nothing(&guest);
    cr_assert_eq(write(client, "NECT 7", 6), 6);
    vg_expect_nothing(&guest);
    cr_assert_eq(write(client, "7\n", 2), 2);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST).hdr.dst_port, 77);
}

Test(vsock_connect, what_follows_the_line_belongs_to_the_stream)
{
    struct packet packet;
    int client = vg_client(&guest, "connect 52\nearly");

    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST);
    vg_expect_nothing(&guest);
    vg_send(&guest, VIRTIO_VSOCK_OP_RESPONSE, packet.hdr.src_port, 52);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    cr_assert_eq(packet.hdr.len, 5);
    cr_assert_arr_eq(packet.data, "early", 5);
    close(client);
}

Test(vsock_connect, garbage_is_hung_up_on)
{
    static const char *const garbage[] = {
        "\n",
        "CONNECT\n",
        "CONNECT \n",
        "CONNECT x\n",
        "CONNECT 1 \n",
        "CONNECT -1\n",
        "CONNECT 4294967296\n",
        "CONNECT 99999999999999999\n",
        "GET / HTTP/1.1\r\n",
        "CONNECT 0000000000000000000000000000000052\n",
        "a line that is far too long to be one that says connect",
    };

    for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int client = vg_client(&guest, garbage[i]);

        vg_expect_nothing(&guest);
        cr_assert(vg_host_eof(&guest, client), "%s", garbage[i]);
        close(client);
    }
    vg_assert_alive(&guest);
}

Test(vsock_connect, a_client_that_leaves_in_mid_line_is_forgotten)
{
    close(vg_client(&guest, "CONNEC"));
    vg_expect_nothing(&guest);
    vg_assert_alive(&guest);
}

Test(vsock_connect, silent_clients_give_way_to_new_ones)
{
    int silent[100];

    for (unsigned i = 0; i < 100; i++) {
        silent[i] = vg_client(&guest, "C");
        vg_expect_nothing(&guest);
    }
    cr_assert(vg_host_eof(&guest, silent[0]), "the oldest is gone");
    cr_assert(!vg_host_eof(&guest, silent[99]));
    request(&silent[0]);
}

Test(vsock_connect, a_guest_that_refuses_hangs_up)
{
    int client;
    uint32_t port = request(&client);

    vg_send(&guest, VIRTIO_VSOCK_OP_RST, port, 52);
    cr_assert(vg_host_eof(&guest, client));
    vg_expect_nothing(&guest);
}

Test(vsock_connect, a_client_that_does_not_wait_is_reset)
{
    int client;
    uint32_t port = request(&client);

    close(client);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    vg_send(&guest, VIRTIO_VSOCK_OP_RESPONSE, port, 52);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
}

static unsigned connections(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < VSOCK_CONNS; i++)
        count += guest.vsock->conns[i].state != CONN_FREE;
    return count;
}

Test(vsock_connect, a_client_that_leaves_before_the_guest_is_asked_costs_nothing)
{
    vg_start(&guest, 0, 0); /* no buffer to ask in */
    for (unsigned i = 0; i < 20; i++) {
        int client = vg_client(&guest, "CONNECT 52\n");

        vg_expect_nothing(&guest);
        cr_assert_eq(connections(), 1);
        close(client);
        vg_expect_nothing(&guest);
        cr_assert_eq(connections(), 0);
    }
    for (unsigned i = 0; i < 20; i++)
        close(vg_client(&guest, "CONNECT 52\n")); /* line and end at once */
    vg_expect_nothing(&guest);
    cr_assert_eq(connections(), 0);
    vg_offer(&guest, 0);
    fake_kick(&guest.fake, RX);
    vg_expect_nothing(&guest);
}

static void wait_ms(unsigned ms)
{
    uint64_t end = loop_now_ns() + ms * 1000000ull;

    while (loop_now_ns() < end)
        loop_turn(&guest.loop, 1, NULL);
}

Test(vsock_connect, a_guest_that_does_not_answer_hangs_up_in_the_end)
{
    int first, second;
    uint32_t port[2];

    cr_assert_eq(guest.vsock->answer_ns, 10 * 1000000000ull);
    guest.vsock->answer_ns = 100000000;
    port[0] = request(&first);
    wait_ms(50);
    port[1] = request(&second);
    wait_ms(20);
    cr_assert(!vg_host_eof(&guest, first));
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RST).hdr.src_port, port[0]);
    cr_assert(vg_host_eof(&guest, first));
    cr_assert(!vg_host_eof(&guest, second));
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RST).hdr.src_port, port[1]);
    cr_assert(vg_host_eof(&guest, second));
    cr_assert_eq(connections(), 0);
}

Test(vsock_connect, a_guest_that_cannot_be_asked_hangs_up_in_the_end)
{
    int client;

    guest.vsock->answer_ns = 20000000;
    vg_start(&guest, 0, 0);
    client = vg_client(&guest, "CONNECT 52\n");
    wait_ms(50);
    cr_assert(vg_host_eof(&guest, client));
    cr_assert_eq(connections(), 0);
}

Test(vsock_connect, an_answered_client_stays)
{
    int client;
    uint32_t port;

    guest.vsock->answer_ns = 20000000;
    port = request(&client);
    vg_send(&guest, VIRTIO_VSOCK_OP_RESPONSE, port, 52);
    wait_ms(50);
    vg_expect_nothing(&guest);
    vg_start(&guest, 0, VG_QUEUE);
    request(&client);
    vg_start(&guest, 0, VG_QUEUE);
    wait_ms(50);
    vg_expect_nothing(&guest);
    vg_assert_alive(&guest);
}

Test(vsock_connect, a_guess_at_a_connection_not_yet_asked_for_is_refused)
{
    int client;
    uint32_t port = request(&client);

    vg_send(&guest, VIRTIO_VSOCK_OP_RST, port, 52);
    vg_start(&guest, 0, 0);
    client = vg_client(&guest, "CONNECT 52\n");
    vg_expect_nothing(&guest);
    vg_send(&guest, VIRTIO_VSOCK_OP_RESPONSE, port + 1, 52);
    cr_assert(vg_host_eof(&guest, client));
    vg_offer(&guest, 0);
    fake_kick(&guest.fake, RX);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RST).hdr.src_port, port + 1);
    vg_expect_nothing(&guest);
}

Test(vsock_connect, before_the_response_nothing_else_counts)
{
    static const uint16_t ops[] = {VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_SHUTDOWN,
                                   VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_CREDIT_REQUEST};

    for (unsigned i = 0; i < 4; i++) {
        int client;
        uint32_t port = request(&client);

        vg_send(&guest, ops[i], port, 52);
        vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
        cr_assert(vg_host_eof(&guest, client));
        close(client);
    }
    vg_assert_alive(&guest);
}

Test(vsock_connect, the_guest_reaches_a_server)
{
    int server = vg_server(&guest, 80), peer;
    struct packet packet;
    char text[4];

    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, 1000);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_eq(packet.hdr.src_port, 80);
    cr_assert_eq(packet.hdr.dst_port, 1000);
    cr_assert_eq(packet.hdr.buf_alloc, VSOCK_CREDIT_LARGE);
    peer = accept(server, NULL, NULL);
    vg_data(&guest, "ping", 4, 80, 1000);
    vg_read_host(&guest, peer, text, 4);
    cr_assert_arr_eq(text, "ping", 4);
}

Test(vsock_connect, nobody_there_is_a_reset)
{
    struct packet packet;

    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 81, 1000);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    cr_assert_eq(packet.hdr.src_cid, VSOCK_HOST_CID);
    cr_assert_eq(packet.hdr.src_port, 81);
    cr_assert_eq(packet.hdr.dst_port, 1000);
}

/* Connects to port 80 until the server's queue is full; returns the guest's port that waits. */
static uint32_t fill_backlog(void)
{
    struct packet packet;
    uint32_t port = 1000;

    do
        vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, ++port);
    while (vg_take(&guest, &packet) && packet.hdr.op == VIRTIO_VSOCK_OP_RESPONSE);
    return port;
}

Test(vsock_connect, a_server_that_is_slow_to_accept_is_tried_again)
{
    int server = vg_server(&guest, 80);
    uint32_t port = fill_backlog();

    vg_expect_nothing(&guest);
    cr_assert_geq(accept(server, NULL, NULL), 0);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE).hdr.dst_port, port);
    vg_data(&guest, "x", 1, 80, port);
    vg_expect_nothing(&guest);
}

Test(vsock_connect, a_server_that_never_accepts_is_a_reset)
{
    uint64_t start = loop_now_ns();
    uint32_t port;

    vg_server(&guest, 80);
    port = fill_backlog();
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RST).hdr.dst_port, port);
    cr_assert_geq(loop_now_ns() - start, 900000000u);
}

Test(vsock_connect, a_server_that_goes_while_it_is_tried_is_a_reset)
{
    int server = vg_server(&guest, 80);
    uint32_t port = fill_backlog();
    struct packet packet = {0};

    close(server); /* which also hangs up on those it had not accepted */
    while (!vg_take(&guest, &packet) || packet.hdr.dst_port != port)
        ;
    cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_RST);
}

Test(vsock_connect, a_guest_may_stop_waiting_for_a_server)
{
    uint32_t port;
    unsigned before;

    vg_server(&guest, 80);
    port = fill_backlog();
    before = connections();
    vg_send(&guest, VIRTIO_VSOCK_OP_RST, 80, port);
    cr_assert_eq(connections(), before - 1);
    wait_ms(30);
    vg_expect_nothing(&guest);
    port = fill_backlog();
    vg_data(&guest, "x", 1, 80, port);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
}

Test(vsock_connect, an_owner_that_is_busy_is_asked_again)
{
    struct packet packet;

    vg_server(&guest, 80);
    guest.dial_refused = true;
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, 1000);
    wait_ms(30);
    cr_assert(!vg_take(&guest, &packet));
    guest.dial_refused = false;
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
}

/* Asks for a connection and gives it up; returns the ticket, whose answer is still to come. */
static uint64_t dial_and_give_up(void)
{
    uint64_t ticket;

    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, 1000);
    cr_assert_eq(guest.dials, 1);
    ticket = guest.dial[0].ticket;
    guest.dials = 0;
    vg_send(&guest, VIRTIO_VSOCK_OP_RST, 80, 1000);
    cr_assert_eq(connections(), 0);
    return ticket;
}

static void answer_late(uint64_t ticket)
{
    int pair[2];
    char byte;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    vsock_dialled(guest.vsock, ticket, pair[0]);
    cr_assert_eq(read(pair[1], &byte, 1), 0, "the device's end is closed");
    close(pair[1]);
}

Test(vsock_connect, an_answer_for_a_connection_given_up_is_closed)
{
    uint64_t ticket;

    vg_server(&guest, 80);
    answer_late(dial_and_give_up());
    ticket = dial_and_give_up();
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, 1001); /* takes its place */
    answer_late(ticket);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE).hdr.dst_port, 1001);
}

Test(vsock_connect, stdio_that_is_not_there_is_a_reset)
{
    for (uint32_t i = 0; i < 4; i++) {
        vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + i, 1000);
        vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    }
}

Test(vsock_connect, connections_are_bounded_and_places_come_back)
{
    int server = vg_server(&guest, 80);
    unsigned accepted = 0, refused = 0;
    struct packet packet = {0};

    for (uint32_t port = 1; port <= VSOCK_CONNS + 100; port++) {
        vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, port);
        while (!vg_take(&guest, &packet))
            ;
        accepted += packet.hdr.op == VIRTIO_VSOCK_OP_RESPONSE;
        refused += packet.hdr.op == VIRTIO_VSOCK_OP_RST;
        close(accept(server, NULL, NULL));
        /* The server's end is gone: SHUTDOWN comes, which this guest does not answer. */
        while (vg_take(&guest, &packet))
            ;
    }
    cr_assert_eq(accepted, VSOCK_CONNS + 100, "those shut by us make room");
    cr_assert_eq(refused, 0);
    vg_assert_alive(&guest);
}

Test(vsock_connect, what_cannot_be_watched_is_refused)
{
    int server = vg_server(&guest, 80), client;

    vg_use_up_watches(&guest);
    client = vg_client(&guest, "CONNECT 52\n");
    vg_expect_nothing(&guest);
    cr_assert(vg_host_eof(&guest, client));
    vg_use_up_watches(&guest); /* that of the listener, which pauses */
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, 80, 1000);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    cr_assert(vg_host_eof(&guest, accept(server, NULL, NULL)));
}

Test(vsock_connect, clients_wait_while_the_device_is_not_started)
{
    int client;

    fake_set_reg(&guest.fake, VIRTIO_MMIO_STATUS, 0);
    client = vg_client(&guest, "CONNECT 52\n");
    for (unsigned i = 0; i < 5; i++)
        loop_turn(&guest.loop, 0, NULL);
    vg_start(&guest, 0, VG_QUEUE);
    vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST);
    close(client);
}

Test(vsock_connect, nothing_is_said_before_driver_ok)
{
    const struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_REQUEST, 81, 1000);
    int client;

    fake_prepare(&guest.fake, 0, VIRTIO_VSOCK_QUEUES, VG_QUEUE);
    guest.fake.irqs = 0;
    for (uint16_t i = 0; i < 4; i++)
        vg_offer(&guest, i);
    client = vg_client(&guest, "CONNECT 52\n");
    vg_queue(&guest, 0, &hdr, NULL, 0);
    fake_kick(&guest.fake, TX);
    fake_kick(&guest.fake, RX);
    for (unsigned i = 0; i < 5; i++)
        loop_turn(&guest.loop, 0, NULL);
    cr_assert_eq(guest.fake.queue[RX].used->idx, 0);
    cr_assert_eq(guest.fake.queue[TX].used->idx, 0);
    cr_assert_eq(guest.fake.irqs, 0);
    fake_set_reg(&guest.fake, VIRTIO_MMIO_STATUS, 15);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    vg_expect(&guest, VIRTIO_VSOCK_OP_REQUEST);
    close(client);
}

Test(vsock_connect, the_guest_is_told_its_cid)
{
    cr_assert_eq(fake_reg(&guest.fake, VIRTIO_MMIO_CONFIG), CID);
    cr_assert_eq(fake_reg(&guest.fake, VIRTIO_MMIO_CONFIG + 4), 0);
}

Test(vsock_connect, a_reset_ends_every_connection)
{
    int client;
    uint32_t port = request(&client);

    vg_send(&guest, VIRTIO_VSOCK_OP_RESPONSE, port, 52);
    vg_start(&guest, 0, VG_QUEUE);
    vg_expect_nothing(&guest);
    vg_data(&guest, "x", 1, port, 52);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    vg_assert_alive(&guest);
}
