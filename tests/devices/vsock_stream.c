/* vsock: data, credit to the byte, half-close, and guests that break the rules. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock_state.h"
#include "tests/devices/vsock_guest.h"

enum { PORT = 80, MINE = 1000, BUF = 512 << 10 };
enum { RCV = VIRTIO_VSOCK_SHUTDOWN_RCV, SEND = VIRTIO_VSOCK_SHUTDOWN_SEND };

static struct vsock_guest guest;
static int server, peer; /* of the connection MINE -> PORT */
static uint8_t block[64 << 10];

static void setup(void)
{
    vg_open(&guest, -1, -1, -1);
    server = vg_server(&guest, PORT);
    peer = vg_connect(&guest, server, PORT, MINE);
}

static void teardown(void)
{
    vg_close(&guest);
}

TestSuite(vsock_stream, .init = setup, .fini = teardown, .timeout = 60);

static bool data(const void *from, uint32_t len)
{
    return vg_data(&guest, from, len, PORT, MINE);
}

static bool op(uint16_t operation)
{
    return vg_send(&guest, operation, PORT, MINE);
}

static void assert_reset(void)
{
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    cr_assert(vg_host_eof(&guest, peer));
    vg_assert_alive(&guest);
}

/* --- the guest's credit, which we keep --- */

Test(vsock_stream, no_more_is_sent_than_the_guest_can_take)
{
    uint32_t got = 0;
    struct packet packet;

    guest.buf_alloc = 1000;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(write(peer, block, 5000), 5000);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    cr_assert_eq(packet.hdr.len, 1000);
    vg_expect_nothing(&guest);
    guest.fwd_cnt = 1;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 1);
    guest.fwd_cnt = 1001;
    guest.buf_alloc = 700; /* shrinking is allowed */
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 700);
    guest.buf_alloc = 0;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    vg_expect_nothing(&guest);
    guest.buf_alloc = 1 << 20;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    while (got < 5000 - 1701)
        got += vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len;
    cr_assert_eq(got, 5000 - 1701);
}

Test(vsock_stream, packets_are_as_large_as_the_guests_buffers)
{
    cr_assert_eq(write(peer, block, 5000), 5000);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 4096 - 44);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 5000 - (4096 - 44));
}

/* A byte each, from `at` on; what is left of len behind them. */
static void divide(unsigned queue, uint64_t at, unsigned parts, uint32_t len, uint16_t flags)
{
    for (uint16_t i = 0; i < parts; i++)
        fake_desc(&guest.fake, queue, i, at + i, 1, (uint16_t)(flags | VIRTQ_DESC_F_NEXT),
                  (uint16_t)(i + 1));
    fake_desc(&guest.fake, queue, (uint16_t)parts, at + parts, len - parts, flags, 0);
    fake_add(&guest.fake, queue, 0);
}

Test(vsock_stream, packets_may_be_divided_anywhere)
{
    enum { BYTES = 20, TO = FAKE_DATA, FROM = FAKE_DATA + 0x1000 };
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT, MINE);
    struct virtq_used_elem used;
    char text[BYTES];

    vg_start(&guest, 0, 1);
    cr_assert(vg_send_raw(&guest, &hdr, NULL, 0));
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    peer = accept(server, NULL, NULL);
    hdr.op = VIRTIO_VSOCK_OP_RW;
    hdr.len = BYTES;
    memcpy(fake_at(&guest.fake, FROM), &hdr, sizeof(hdr));
    memcpy(fake_at(&guest.fake, FROM + sizeof(hdr)), block, BYTES);
    divide(TX, FROM, sizeof(hdr) + 5, sizeof(hdr) + BYTES, 0);
    fake_kick(&guest.fake, TX);
    vg_read_host(&guest, peer, text, BYTES);
    cr_assert_arr_eq(text, block, BYTES);

    vg_start(&guest, 0, 0);
    divide(RX, TO, sizeof(hdr) + 5, 4096, VIRTQ_DESC_F_WRITE);
    cr_assert(vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9999, 7));
    cr_assert(fake_used(&guest.fake, RX, &used));
    memcpy(&hdr, fake_at(&guest.fake, TO), sizeof(hdr));
    cr_assert_eq(used.len, sizeof(hdr));
    cr_assert_eq(hdr.op, VIRTIO_VSOCK_OP_RST);
    cr_assert_eq(hdr.dst_port, 7);
}

Test(vsock_stream, consuming_what_was_never_sent_is_a_reset)
{
    cr_assert_eq(write(peer, block, 10), 10);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    guest.fwd_cnt = 11;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    guest.fwd_cnt = 0;
    assert_reset();
}

Test(vsock_stream, counts_that_arrive_out_of_order_are_no_offence)
{
    cr_assert_eq(write(peer, block, 10), 10);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
    guest.fwd_cnt = 10;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    guest.fwd_cnt = 5;
    op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    vg_expect_nothing(&guest);
    vg_assert_alive(&guest);
}

/* --- our credit, which the guest has to keep --- */

/* Fills the server's socket until nothing goes directly any more. Returns what was sent. */
static uint32_t send_until_held(void)
{
    uint32_t sent = 0;
    struct packet packet;

    while (vg_held(&guest) == 0) {
        cr_assert(data(block, 4096));
        sent += 4096;
        while (vg_take(&guest, &packet))
            cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    }
    return sent;
}

/* What the guest may still send, learnt by asking. */
static uint32_t allowance(uint32_t sent)
{
    struct packet packet;

    op(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    cr_assert_eq(packet.hdr.buf_alloc, BUF);
    return BUF - (sent - packet.hdr.fwd_cnt);
}

static void use_up(uint32_t left)
{
    while (left > 0) {
        uint32_t len = left < sizeof(block) ? left : (uint32_t)sizeof(block);

        cr_assert(data(block, len));
        left -= len;
    }
}

Test(vsock_stream, the_whole_credit_may_be_used)
{
    uint32_t sent = send_until_held(), left = allowance(sent);

    use_up(left);
    cr_assert_eq(vg_held(&guest), BUF);
    vg_expect_nothing(&guest);
    vg_assert_alive(&guest);
}

Test(vsock_stream, one_byte_more_than_the_credit_is_a_reset)
{
    use_up(allowance(send_until_held()));
    data(block, 1);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    cr_assert_eq(vg_held(&guest), 0);
    vg_assert_alive(&guest);
}

Test(vsock_stream, credit_comes_back_as_the_host_reads)
{
    uint32_t sent = send_until_held(), left = allowance(sent), got = 0, updates = 0;
    struct packet packet;
    ssize_t n;

    use_up(left);
    sent += left;
    while (got < sent) {
        n = read(peer, block, sizeof(block));
        got += n > 0 ? (uint32_t)n : 0;
        while (vg_take(&guest, &packet)) {
            cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
            updates++;
        }
    }
    cr_assert_geq(updates, 1, "without being asked");
    cr_assert_leq(updates, 4, "and not for every byte");
    cr_assert_eq(allowance(sent), BUF);
    cr_assert_eq(vg_held(&guest), 0);
}

Test(vsock_stream, bulk_arrives_unharmed_in_both_directions)
{
    enum { TOTAL = 64 << 20 };
    uint32_t to_send = 0, told = 0, received = 0, host_sent = 0, host_got = 0;
    struct packet packet;
    uint32_t chunk = 1;

    fcntl(peer, F_SETFL, O_NONBLOCK);
    while (host_got < TOTAL || received < TOTAL) {
        static uint32_t words[16 << 10];
        ssize_t n;

        chunk = chunk * 1103515245 + 12345;
        if (to_send < TOTAL) { /* what the guest sends: counting words, in odd pieces */
            uint32_t len = 4 * (1 + chunk / 65536 % 16000), room = BUF - (to_send - told);

            len = len < TOTAL - to_send ? len : TOTAL - to_send;
            len = len < room ? len : room / 4 * 4;
            for (uint32_t i = 0; i < len / 4; i++)
                words[i] = to_send / 4 + i;
            if (len > 0)
                cr_assert(data(words, len));
            to_send += len;
        }
        while ((n = read(peer, words, chunk / 65536 % 3 ? 60000 : 0)) > 0) {
            for (ssize_t i = 0; i < n; i++)
                if (((uint8_t *)words)[i] != (uint8_t)(host_got / 4 >> host_got % 4 * 8))
                    cr_assert_fail("byte %u to the host", host_got);
                else
                    host_got++;
        }
        if (host_sent < TOTAL) {
            for (uint32_t i = 0; i < 8192; i++)
                words[i] = host_sent / 4 + i;
            n = write(peer, words, host_sent % 4 ? 4 - host_sent % 4 : 32768);
            host_sent += n > 0 ? (uint32_t)n & ~3u : 0;
            cr_assert(n < 0 || n % 4 == 0);
        }
        while (vg_take(&guest, &packet)) {
            told = packet.hdr.fwd_cnt;
            for (uint32_t i = 0; i < packet.hdr.len; i++, received++)
                if (packet.data[i] != (uint8_t)(received / 4 >> received % 4 * 8))
                    cr_assert_fail("byte %u to the guest", received);
            guest.fwd_cnt = received;
            if (packet.hdr.op == VIRTIO_VSOCK_OP_RW && to_send == TOTAL)
                op(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
        }
    }
    vg_assert_alive(&guest);
}

Test(vsock_stream, connections_take_turns)
{
    int peers[20];
    unsigned seen[20] = {0};
    struct packet packet;

    guest.rx_bytes = 200;
    vg_start(&guest, 0, VG_QUEUE);
    peer = vg_connect(&guest, server, PORT, MINE);
    for (uint32_t i = 0; i < 20; i++)
        peers[i] = vg_connect(&guest, server, PORT, 2000 + i);
    cr_assert_eq(write(peer, block, 20000), 20000);
    loop_turn(&guest.loop, 0, NULL); /* which takes all the rx buffers */
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(write(peers[i], block, 2000), 2000);
    loop_turn(&guest.loop, 0, NULL);
    for (unsigned i = 0; i < VG_QUEUE + 42; i++) {
        packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RW);
        if (i >= VG_QUEUE && packet.hdr.dst_port >= 2000)
            seen[packet.hdr.dst_port - 2000]++;
    }
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(seen[i], 2);
}

/* Sends to PORT until the guest has no credit left even when it asks. Returns the whole credit. */
static uint32_t use_all_credit(uint32_t my_port)
{
    uint32_t sent = 0, told = 0, credit = 0, left;
    struct packet packet;

    do {
        vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_REQUEST, PORT, my_port);
        while (vg_take(&guest, &packet)) {
            cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
            told = packet.hdr.fwd_cnt;
            credit = packet.hdr.buf_alloc;
        }
        left = credit - (sent - told);
        for (uint32_t len = left; len > 0; len -= len < sizeof(block) ? len : sizeof(block))
            vg_data(&guest, block, len < sizeof(block) ? len : sizeof(block), PORT, my_port);
        sent += left;
    } while (left > 0);
    return credit;
}

Test(vsock_stream, the_credit_of_every_connection_is_there)
{
    uint64_t promised = 0;

    for (uint32_t i = 0; i < 270; i++) {
        uint32_t credit;

        vg_connect(&guest, server, PORT, 2000 + i);
        credit = use_all_credit(2000 + i);
        cr_assert_eq(credit, i < VSOCK_LARGE - VSOCK_STDIO - 1 ? BUF : 64 << 10);
        promised += credit;
        cr_assert_eq(vg_held(&guest), promised);
    }
    vg_assert_alive(&guest);
}

/* --- ends --- */

Test(vsock_stream, the_hosts_end_of_file_shuts_one_direction)
{
    struct packet packet;
    char text[3];

    cr_assert_eq(write(peer, "end", 3), 3);
    shutdown(peer, SHUT_WR);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 3);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN);
    cr_assert_eq(packet.hdr.flags, SEND);
    data("yes", 3);
    vg_read_host(&guest, peer, text, 3);
    vg_expect_nothing(&guest);
}

Test(vsock_stream, a_host_that_is_gone_shuts_both_directions)
{
    close(peer);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, RCV | SEND);
    data("lost", 4); /* was on its way */
    vg_expect_nothing(&guest);
    op(VIRTIO_VSOCK_OP_RST);
    vg_expect_nothing(&guest);
    data("x", 1);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
}

Test(vsock_stream, a_host_that_goes_after_its_end_of_file_shuts_the_rest)
{
    shutdown(peer, SHUT_WR);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, SEND);
    close(peer);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN).hdr.flags, RCV | SEND);
}

Test(vsock_stream, the_guests_end_of_file_reaches_the_host)
{
    data("bye", 3);
    vg_shutdown(&guest, SEND, PORT, MINE);
    vg_read_host(&guest, peer, block, 3);
    cr_assert(vg_host_eof(&guest, peer));
    cr_assert_eq(write(peer, "ack", 3), 3);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 3);
}

Test(vsock_stream, the_guests_end_of_file_waits_for_what_is_held)
{
    uint32_t sent = send_until_held(), got = 0;
    ssize_t n;

    vg_shutdown(&guest, SEND, PORT, MINE);
    do {
        n = read(peer, block, sizeof(block));
        got += n > 0 ? (uint32_t)n : 0;
        loop_turn(&guest.loop, 0, NULL);
    } while (n != 0);
    cr_assert_eq(got, sent);
}

Test(vsock_stream, data_after_the_guests_end_of_file_is_a_reset)
{
    vg_shutdown(&guest, SEND, PORT, MINE);
    data("x", 1);
    assert_reset();
}

Test(vsock_stream, a_guest_that_receives_no_more_gets_no_more)
{
    vg_shutdown(&guest, RCV, PORT, MINE);
    loop_turn(&guest.loop, 0, NULL);
    cr_assert_eq(send(peer, "x", 1, MSG_NOSIGNAL), -1);
    vg_expect_nothing(&guest);
    data("still", 5);
    vg_read_host(&guest, peer, block, 5);
}

Test(vsock_stream, shutting_both_directions_is_answered_with_rst)
{
    vg_shutdown(&guest, SEND, PORT, MINE);
    vg_shutdown(&guest, RCV, PORT, MINE);
    assert_reset();
    vg_connect(&guest, server, PORT, MINE);
}

Test(vsock_stream, rst_from_the_guest_still_delivers_what_came_before)
{
    uint32_t sent = send_until_held(), got = 0;
    ssize_t n;

    op(VIRTIO_VSOCK_OP_RST);
    vg_expect_nothing(&guest);
    do {
        n = read(peer, block, sizeof(block));
        got += n > 0 ? (uint32_t)n : 0;
        loop_turn(&guest.loop, 0, NULL);
    } while (n != 0);
    cr_assert_eq(got, sent);
}

/* --- packets that make no sense --- */

Test(vsock_stream, bogus_operations_are_a_reset)
{
    static const uint16_t bogus[] = {0, 8, 255, 0xffff};

    for (unsigned i = 0; i < 4; i++) {
        op(bogus[i]);
        assert_reset();
        close(peer);
        peer = vg_connect(&guest, server, PORT, MINE);
    }
}

Test(vsock_stream, an_unknown_type_is_a_reset)
{
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, PORT, MINE);

    hdr.type = 2;
    vg_send_raw(&guest, &hdr, NULL, 0);
    assert_reset();
    hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT, MINE + 1);
    hdr.type = 7;
    vg_send_raw(&guest, &hdr, NULL, 0);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
}

Test(vsock_stream, a_second_request_is_a_reset)
{
    op(VIRTIO_VSOCK_OP_REQUEST);
    assert_reset();
}

Test(vsock_stream, a_response_nobody_waits_for_is_a_reset)
{
    op(VIRTIO_VSOCK_OP_RESPONSE);
    assert_reset();
}

Test(vsock_stream, data_without_a_connection_is_a_reset)
{
    struct packet packet;

    vg_data(&guest, "x", 1, 1, 2);
    packet = vg_expect(&guest, VIRTIO_VSOCK_OP_RST);
    cr_assert_eq(packet.hdr.src_port, 1);
    cr_assert_eq(packet.hdr.dst_port, 2);
    vg_send(&guest, VIRTIO_VSOCK_OP_RST, 1, 2);
    vg_expect_nothing(&guest);
}

Test(vsock_stream, other_hosts_are_refused_and_other_guests_ignored)
{
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT, 5);

    hdr.dst_cid = 77;
    vg_send_raw(&guest, &hdr, NULL, 0);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RST).hdr.src_cid, 77);
    hdr.dst_cid = VSOCK_HOST_CID;
    hdr.src_cid = 4;
    vg_send_raw(&guest, &hdr, NULL, 0);
    vg_expect_nothing(&guest);
    data("ok", 2);
    vg_read_host(&guest, peer, block, 2);
}

Test(vsock_stream, no_data_and_trailing_bytes_are_no_offence)
{
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, PORT, MINE);

    vg_send_raw(&guest, &hdr, NULL, 0);
    hdr.len = 2;
    vg_send_raw(&guest, &hdr, "yes and no", 10);
    vg_read_host(&guest, peer, block, 2);
    vg_expect_nothing(&guest);
    cr_assert(!vg_host_eof(&guest, peer));
}

Test(vsock_stream, a_length_beyond_the_chain_breaks_the_device)
{
    struct virtio_vsock_hdr hdr = vg_hdr(&guest, VIRTIO_VSOCK_OP_RW, PORT, MINE);

    hdr.len = 11;
    vg_send_raw(&guest, &hdr, "0123456789", 10);
    cr_assert(fake_needs_reset(&guest.fake));
    cr_assert_str_eq(guest.fake.line, "vsock: tx queue: packet longer than its buffers");
    vg_start(&guest, 0, VG_QUEUE);
    vg_assert_alive(&guest);
}

Test(vsock_stream, a_packet_without_a_header_breaks_the_device)
{
    fake_desc(&guest.fake, TX, 40, FAKE_DATA, 43, 0, 0);
    fake_add(&guest.fake, TX, 40);
    fake_kick(&guest.fake, TX);
    cr_assert(fake_needs_reset(&guest.fake));
    cr_assert_str_eq(guest.fake.line, "vsock: tx queue: packet shorter than its header");
    vg_start(&guest, 0, VG_QUEUE);
    vg_assert_alive(&guest);
}

Test(vsock_stream, a_malformed_tx_chain_breaks_the_device)
{
    fake_desc(&guest.fake, TX, 40, FAKE_DATA, 44, VIRTQ_DESC_F_NEXT, 40);
    fake_add(&guest.fake, TX, 40);
    fake_kick(&guest.fake, TX);
    cr_assert_str_eq(guest.fake.line, "vsock: tx queue: chain loops");
    cr_assert(fake_needs_reset(&guest.fake));
    vg_start(&guest, 0, VG_QUEUE);
    vg_assert_alive(&guest);
}

static void assert_rx_breaks(uint32_t len, uint16_t flags)
{
    vg_start(&guest, 0, 0);
    fake_desc(&guest.fake, RX, 0, FAKE_DATA, len, flags, 0);
    fake_add(&guest.fake, RX, 0);
    vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9999, 1);
    cr_assert(fake_needs_reset(&guest.fake));
    vg_start(&guest, 0, VG_QUEUE);
    vg_assert_alive(&guest);
}

Test(vsock_stream, bad_rx_buffers_break_the_device)
{
    assert_rx_breaks(44, VIRTQ_DESC_F_WRITE);
    assert_rx_breaks(4096, 0);
    assert_rx_breaks(0, VIRTQ_DESC_F_WRITE);
}

/* --- scarce buffers --- */

Test(vsock_stream, answers_wait_for_buffers_without_growing)
{
    unsigned taken = 0, answers = 0;
    struct packet packet;

    vg_start(&guest, 0, 0);
    for (uint32_t i = 0; i < VG_QUEUE; i++)
        taken += vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9999, i);
    for (uint32_t i = 0; i < VG_QUEUE / 2; i++)
        taken += vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9999, i);
    cr_assert_eq(taken, 64, "more than 64 refusals are not kept");
    vg_offer(&guest, 0);
    fake_kick(&guest.fake, RX);
    while (answers < VG_QUEUE * 3 / 2 && vg_take(&guest, &packet))
        answers++;
    cr_assert_eq(answers, VG_QUEUE * 3 / 2);
}

/* Starts with a queue of 256 and `count` requests to nowhere in it, not kicked. */
static void queue_refused(uint16_t count)
{
    fake_start(&guest.fake, VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX), VIRTIO_VSOCK_QUEUES, 256);
    for (uint16_t i = 0; i < count; i++) {
        struct virtio_vsock_hdr hdr =
            vg_hdr(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9999, 2000u + i);

        vg_queue(&guest, i, &hdr, NULL, 0);
    }
}

static unsigned count_used(unsigned queue)
{
    struct virtq_used_elem used;
    unsigned count = 0;

    while (fake_used(&guest.fake, queue, &used))
        count++;
    return count;
}

static void let_it_work(void)
{
    for (unsigned i = 0; i < 10; i++)
        loop_turn(&guest.loop, 0, NULL);
}

Test(vsock_stream, refused_packets_behind_one_kick_are_all_answered)
{
    queue_refused(200);
    for (uint16_t i = 0; i < 250; i++)
        vg_offer(&guest, i);
    fake_kick(&guest.fake, TX);
    let_it_work();
    cr_assert_eq(count_used(TX), 200);
    cr_assert_eq(count_used(RX), 200);
    cr_assert_eq(fake_avail_event(&guest.fake, TX), 200, "the next packet needs a kick");
}

Test(vsock_stream, refused_packets_go_on_when_buffers_come)
{
    queue_refused(200);
    for (uint16_t i = 0; i < 10; i++)
        vg_offer(&guest, i);
    fake_kick(&guest.fake, TX);
    let_it_work();
    cr_assert_eq(count_used(TX), 74, "ten answered, 64 waiting");
    for (uint16_t i = 10; i < 200; i++)
        vg_offer(&guest, i);
    fake_kick(&guest.fake, RX);
    let_it_work();
    cr_assert_eq(count_used(TX), 126);
    cr_assert_eq(count_used(RX), 200);
}

Test(vsock_stream, data_waits_for_buffers)
{
    vg_start(&guest, 0, 0);
    close(peer);
    vg_send(&guest, VIRTIO_VSOCK_OP_REQUEST, PORT, MINE);
    vg_expect_nothing(&guest);
    peer = accept(server, NULL, NULL);
    cr_assert_eq(write(peer, "wait", 4), 4);
    vg_expect_nothing(&guest);
    vg_offer(&guest, 0);
    fake_kick(&guest.fake, RX);
    vg_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_eq(vg_expect(&guest, VIRTIO_VSOCK_OP_RW).hdr.len, 4);
}

Test(vsock_stream, a_batch_of_packets_is_one_interrupt)
{
    guest.fake.irqs = 0;
    cr_assert_eq(write(peer, block, 40000), 40000);
    loop_turn(&guest.loop, 100, NULL);
    cr_assert_gt(guest.fake.queue[RX].used->idx, 9);
    cr_assert_eq(guest.fake.irqs, 1);
}

Test(vsock_stream, with_event_idx_nobody_is_told_in_vain)
{
    vg_start(&guest, VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX), 0);
    cr_assert_eq(fake_avail_event(&guest.fake, RX), 0xffff, "rx buffers need no kick");
    for (uint16_t i = 0; i < VG_QUEUE; i++)
        vg_offer(&guest, i);
    guest.fake.irqs = 0;
    fake_set_used_event(&guest.fake, TX, 0x8000);
    fake_set_used_event(&guest.fake, RX, 0x8000);
    vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9999, 1);
    cr_assert_eq(guest.fake.irqs, 0);
    cr_assert_eq(fake_avail_event(&guest.fake, TX), 1, "the next packet needs one");
    fake_set_used_event(&guest.fake, RX, 1);
    vg_send(&guest, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9999, 1);
    cr_assert_eq(guest.fake.irqs, 1);
}
