/*
 * The vsock driver above its queues: connections of messages, listeners, credit. The test is the
 * device, and what lies under vsock_queue.h.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "guest-kernel/drivers/vsock_state.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"

enum { CID = 3, PORT = 80, MINE = 1000, QUEUED = 4096 };
enum { BYTES = VIRTIO_VSOCK_TYPE_STREAM, MESSAGES = VIRTIO_VSOCK_TYPE_SEQPACKET };
enum { EOM = VIRTIO_VSOCK_SEQ_EOM, EOR = VIRTIO_VSOCK_SEQ_EOR };

struct packet {
    struct virtio_vsock_hdr hdr;
    u8 *data;
};

struct packets {
    struct packet at[QUEUED];
    unsigned first, end;
};

static struct packets to_guest, to_host;
static u32 buffer_size;
static unsigned slots; /* packets with payload that there is room for */
static bool messages_offered, all_sent;
static int live_buffers;
struct wait_queue poll_waiters;

/* --- what the driver calls --- */

void *kmalloc(size_t size)
{
    return malloc(size);
}

void *kzalloc(size_t size)
{
    return calloc(1, size);
}

void kfree(void *block)
{
    free(block);
}

void file_wake(struct wait_queue *q)
{
    (void)q;
}

static void put(struct packets *p, const struct virtio_vsock_hdr *hdr, const void *data)
{
    struct packet *packet = &p->at[p->end++ % QUEUED];

    cr_assert_leq(p->end - p->first, QUEUED);
    packet->hdr = *hdr;
    packet->data = malloc(hdr->len + 1);
    if (hdr->len > 0)
        memcpy(packet->data, data, hdr->len);
}

static bool get(struct packets *p, struct packet *out)
{
    if (p->first == p->end)
        return false;
    *out = p->at[p->first++ % QUEUED];
    return true;
}

bool vsockq_init(const struct boot_info *info, void (*handler)(void *arg))
{
    (void)info, (void)handler;
    return true;
}

void vsockq_acknowledge(void)
{
}

u32 vsockq_cid(void)
{
    return CID;
}

bool vsockq_has_messages(void)
{
    return messages_offered;
}

u32 vsockq_buffer_size(void)
{
    return buffer_size;
}

static struct vsock_buffer *buffer_new(u32 room)
{
    struct vsock_buffer *b = calloc(1, sizeof(*b) + room);

    b->data = (u8 *)(b + 1);
    b->room = room;
    live_buffers++;
    return b;
}

struct vsock_buffer *vsockq_small_buffer(u32 room)
{
    return buffer_new(room);
}

struct vsock_buffer *vsockq_receive(struct virtio_vsock_hdr *header)
{
    struct packet packet;
    struct vsock_buffer *b;

    if (!get(&to_guest, &packet))
        return NULL;
    cr_assert_leq(packet.hdr.len, buffer_size);
    b = buffer_new(buffer_size);
    memcpy(b->data, packet.data, packet.hdr.len);
    free(packet.data);
    b->end = packet.hdr.len;
    *header = packet.hdr;
    return b;
}

void vsockq_recycle(struct vsock_buffer *b)
{
    live_buffers--;
    free(b);
}

void vsockq_offer(bool all)
{
    (void)all;
}

bool vsockq_arm_receive(void)
{
    return false;
}

bool vsockq_arm_send(void)
{
    return false;
}

bool vsockq_send(const struct virtio_vsock_hdr *header, const void *payload)
{
    cr_assert_leq(header->len, buffer_size);
    if (header->len > 0 && slots == 0)
        return false;
    slots -= header->len > 0;
    put(&to_host, header, payload);
    return true;
}

/* A payload that the device reads where it is, once it is asked to. */
static struct {
    u32 most;
    unsigned asks, late; /* how often it was asked, and has to be */
    const struct virtio_vsock_hdr *hdr;
    const void *data; /* NULL: it has been read */
    bool given_up;
} place;

static void ask_device(void)
{
    if (place.data == NULL || place.asks++ < place.late)
        return;
    put(&to_host, place.hdr, place.data);
    place.data = NULL;
}

u32 vsockq_in_place_most(void)
{
    return place.most;
}

bool vsockq_send_in_place(const struct virtio_vsock_hdr *header, const void *payload)
{
    static struct virtio_vsock_hdr copy;

    cr_assert_null(place.data);
    cr_assert_leq(header->len, place.most);
    if (place.given_up)
        return false;
    copy = *header;
    place.hdr = &copy;
    place.data = payload;
    return true;
}

bool vsockq_is_taken(void)
{
    return place.data == NULL || place.given_up;
}

void vsockq_press(void)
{
    ask_device();
}

void vsockq_give_up(void)
{
    place.given_up = true;
}

bool vsockq_kick_send(void)
{
    if (place.asks == 0)
        ask_device();
    return false;
}

bool vsockq_reclaim(void)
{
    return false;
}

bool vsockq_can_send(unsigned count)
{
    return slots >= count;
}

bool vsockq_all_sent(void)
{
    return all_sent;
}

/* --- the device --- */

static struct vsock_stream *s;
static u8 block[80 << 10], got[80 << 10];

static struct virtio_vsock_hdr header(u16 type, u16 op)
{
    return (struct virtio_vsock_hdr){.src_cid = VSOCK_CID_HOST,
                                     .dst_cid = CID,
                                     .src_port = PORT,
                                     .dst_port = MINE,
                                     .type = type,
                                     .op = op,
                                     .buf_alloc = 64512};
}

static void tell(u16 op)
{
    const struct virtio_vsock_hdr hdr = header(MESSAGES, op);

    put(&to_guest, &hdr, NULL);
}

static void part(const void *data, u32 len, u32 flags)
{
    struct virtio_vsock_hdr hdr = header(MESSAGES, VIRTIO_VSOCK_OP_RW);

    hdr.len = len;
    hdr.flags = flags;
    put(&to_guest, &hdr, data);
}

static struct packet expect(u16 op)
{
    struct packet packet;

    cr_assert(get(&to_host, &packet), "nothing, operation %u expected", op);
    cr_assert_eq(packet.hdr.op, op, "operation %u instead of %u", packet.hdr.op, op);
    return packet;
}

static void expect_nothing(void)
{
    cr_assert_eq(to_host.first, to_host.end);
}

static void connect_as(enum vsock_kind kind)
{
    int error;

    s = vsock_request(MINE, PORT, kind, false, &error);
    cr_assert_not_null(s);
    expect(VIRTIO_VSOCK_OP_REQUEST);
}

static void setup(void)
{
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (u8)(i * 7 + i / 251);
    buffer_size = 64 << 10;
    slots = 24;
    messages_offered = all_sent = true;
    vsock_init(NULL);
    connect_as(VSOCK_MESSAGES);
    tell(VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_eq(vsock_state(s), 0);
}

TestSuite(vsock_driver, .init = setup, .timeout = 20);

static void expect_message(const void *want, size_t len)
{
    struct vsock_message about;
    long n = vsock_receive_message(s, got, sizeof(got), false, &about);

    cr_assert_eq(n, (long)len, "%ld bytes instead of %zu", n, len);
    cr_assert_eq(about.whole, len);
    cr_assert_arr_eq(got, want, len);
}

static long receive(void)
{
    struct vsock_message about;

    return vsock_receive_message(s, got, sizeof(got), false, &about);
}

/* --- receiving --- */

Test(vsock_driver, messages_end_where_the_device_says)
{
    part("one", 3, EOM);
    part("tw", 2, 0);
    part("", 0, 0);
    part("o", 1, EOM);
    part("", 0, EOM);
    part("left", 4, 0);
    expect_message("one", 3);
    expect_message("two", 3);
    expect_message("", 0);
    cr_assert_eq(receive(), -EAGAIN);
    cr_assert_not(vsock_poll(s) & POLLIN);
    part("", 0, EOM);
    cr_assert(vsock_poll(s) & POLLIN);
    expect_message("left", 4);
    cr_assert_eq(live_buffers, 0);
}

Test(vsock_driver, what_there_is_no_room_for_is_gone_and_counted)
{
    struct vsock_message about;

    part("abcdef", 6, EOM | EOR);
    part("next", 4, EOM);
    cr_assert_eq(vsock_receive_message(s, got, 2, true, &about), 2);
    cr_assert_eq(about.whole, 6);
    cr_assert_eq(vsock_receive_message(s, got, 2, false, &about), 2);
    cr_assert_eq(about.whole, 6);
    cr_assert(about.record);
    cr_assert_eq(s->consumed, 6);
    cr_assert_eq(vsock_receive_message(s, got, 9, false, &about), 4);
    cr_assert_not(about.record);
}

/* Any division into packets, small and large ones; buffers and credit are exact at each step. */
Test(vsock_driver, any_parts_give_the_messages_that_were_sent)
{
    u32 lengths[64], sent = 0, received = 0, in_flight = 0;
    unsigned seed = 1;

    while (received < 3000) {
        u32 len = rand_r(&seed) % 3 ? (u32)rand_r(&seed) % 600 : (u32)rand_r(&seed) % 20000;

        if (sent - received < 64 && in_flight + len <= s->credit && rand_r(&seed) % 8) {
            u32 first = len > 0 ? (u32)rand_r(&seed) % len : 0;

            part(block + sent % 1000, first, 0);
            part(block + sent % 1000 + first, len - first, EOM);
            lengths[sent++ % 64] = len;
            in_flight += len;
            continue;
        }
        vsock_readable(s);
        cr_assert_eq(s->waiting, in_flight);
        for (u32 n = (u32)rand_r(&seed) % 70; n > 0 && received < sent; n--, received++) {
            expect_message(block + received % 1000, lengths[received % 64]);
            in_flight -= lengths[received % 64];
            cr_assert_eq(s->waiting, in_flight);
        }
        for (struct packet packet; get(&to_host, &packet);)
            cr_assert_eq(packet.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
        cr_assert_leq(s->consumed - s->consumed_told, s->credit / 2);
    }
    while (received < sent) {
        expect_message(block + received % 1000, lengths[received % 64]);
        received++;
    }
    cr_assert_eq(live_buffers, 0);
    cr_assert_eq(s->waiting, 0);
    cr_assert_eq(s->credit, 128 << 10, "which bounds a message");
}

Test(vsock_driver, a_byte_beyond_the_credit_is_a_reset)
{
    for (unsigned i = 0; i < 2; i++)
        part(block, 64 << 10, EOM);
    cr_assert_eq(vsock_readable(s), 128 << 10);
    part(block, 1, EOM);
    vsock_readable(s);
    expect(VIRTIO_VSOCK_OP_RST);
    cr_assert_eq(receive(), 64 << 10, "what came before can be read");
}

Test(vsock_driver, more_empty_ones_than_are_kept_are_a_reset)
{
    for (unsigned i = 0; i < 1024; i++)
        part("", 0, EOM);
    vsock_readable(s);
    expect_nothing();
    part("", 0, EOM);
    vsock_readable(s);
    expect(VIRTIO_VSOCK_OP_RST);
}

Test(vsock_driver, a_sender_in_mid_message_hears_of_what_was_consumed)
{
    part(block, 1000, EOM);
    expect_message(block, 1000);
    expect_nothing();
    part(block, 10, 0);
    vsock_readable(s);
    cr_assert_eq(expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE).hdr.fwd_cnt, 1000);
}

/* --- sending --- */

Test(vsock_driver, a_message_takes_as_many_packets_as_it_needs)
{
    struct packet packet;

    buffer_size = 16 << 10;
    cr_assert_eq(vsock_send_message(s, block, 40000, true), 40000);
    for (u32 at = 0; at < 40000; at += packet.hdr.len) {
        packet = expect(VIRTIO_VSOCK_OP_RW);
        cr_assert_eq(packet.hdr.type, MESSAGES);
        cr_assert_arr_eq(packet.data, block + at, packet.hdr.len);
        cr_assert_eq(packet.hdr.flags, at + packet.hdr.len == 40000 ? EOM | EOR : 0);
    }
    cr_assert_eq(vsock_send_message(s, "", 0, false), 0);
    expect_nothing();
}

Test(vsock_driver, one_goes_whole_or_not_at_all)
{
    cr_assert_eq(vsock_send_message(s, block, 64513, false), -EMSGSIZE);
    buffer_size = 16 << 10;
    slots = 2;
    all_sent = false;
    cr_assert_eq(vsock_send_message(s, block, 40000, false), -EAGAIN);
    expect_nothing();
    cr_assert(s->stalled, "it is woken when there is room, although there is some");
    cr_assert_not(vsock_poll(s) & POLLOUT);
    all_sent = true;
    cr_assert_eq(vsock_send_message(s, block, 40000, false), -ENOBUFS);
    slots = 3;
    cr_assert_eq(vsock_send_message(s, block, 40000, false), 40000);
}

Test(vsock_driver, credit_that_is_too_little_is_asked_for_once)
{
    struct virtio_vsock_hdr hdr = header(MESSAGES, VIRTIO_VSOCK_OP_CREDIT_UPDATE);

    cr_assert_eq(vsock_send_message(s, block, 40000, false), 40000);
    expect(VIRTIO_VSOCK_OP_RW);
    cr_assert_eq(vsock_send_message(s, block, 30000, false), -EAGAIN);
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    cr_assert_not(vsock_poll(s) & POLLOUT, "although there is some");
    tell(VIRTIO_VSOCK_OP_CREDIT_UPDATE); /* the same as before */
    cr_assert_eq(vsock_send_message(s, block, 30000, false), -EAGAIN);
    expect_nothing();
    hdr.fwd_cnt = 100; /* more, and not enough */
    put(&to_guest, &hdr, NULL);
    cr_assert_eq(vsock_send_message(s, block, 30000, false), -EAGAIN);
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    hdr.fwd_cnt = 40000;
    put(&to_guest, &hdr, NULL);
    cr_assert(vsock_poll(s) & POLLOUT);
    cr_assert_eq(vsock_send_message(s, block, 30000, false), 30000);
}

Test(vsock_driver, the_peers_end_is_behind_what_waits)
{
    struct virtio_vsock_hdr hdr = header(MESSAGES, VIRTIO_VSOCK_OP_SHUTDOWN);

    part("one", 3, EOM);
    part("lost", 4, 0);
    hdr.flags = VSOCK_SHUT_SEND;
    put(&to_guest, &hdr, NULL);
    expect_message("one", 3);
    cr_assert_eq(receive(), 0);
    hdr.flags = VSOCK_SHUT_RECEIVE;
    put(&to_guest, &hdr, NULL);
    cr_assert_eq(vsock_send_message(s, "x", 1, false), -EPIPE);
}

/* --- connecting --- */

Test(vsock_driver, without_the_feature_there_are_no_messages)
{
    struct virtio_vsock_hdr hdr = header(MESSAGES, VIRTIO_VSOCK_OP_REQUEST);
    int error;

    messages_offered = false;
    cr_assert_null(vsock_request(MINE + 1, PORT, VSOCK_MESSAGES, false, &error));
    cr_assert_eq(error, -ESOCKTNOSUPPORT);
    cr_assert_not_null(vsock_listen(MINE + 1, VSOCK_MESSAGES, 8, &error));
    hdr.dst_port = MINE + 1;
    put(&to_guest, &hdr, NULL);
    vsock_flush();
    cr_assert_eq(expect(VIRTIO_VSOCK_OP_RST).hdr.type, BYTES);
}

Test(vsock_driver, a_packet_of_the_other_type_is_a_reset)
{
    const struct virtio_vsock_hdr hdr = header(BYTES, VIRTIO_VSOCK_OP_CREDIT_UPDATE);

    put(&to_guest, &hdr, NULL);
    vsock_flush();
    cr_assert_eq(expect(VIRTIO_VSOCK_OP_RST).hdr.type, MESSAGES);
    cr_assert_eq(vsock_state(s), -ECONNRESET);
}

static void request(u16 type, u32 from)
{
    struct virtio_vsock_hdr hdr = header(type, VIRTIO_VSOCK_OP_REQUEST);

    hdr.src_port = from;
    hdr.dst_port = 5000;
    put(&to_guest, &hdr, NULL);
    vsock_flush();
}

Test(vsock_driver, a_listener_is_of_one_type)
{
    int error;
    struct vsock_listener *l = vsock_listen(5000, VSOCK_MESSAGES, 8, &error);

    cr_assert_null(vsock_listen(5000, VSOCK_BYTES, 8, &error));
    cr_assert_eq(error, -EADDRINUSE);
    request(BYTES, 1);
    expect(VIRTIO_VSOCK_OP_RST);
    request(MESSAGES, 1);
    cr_assert_eq(expect(VIRTIO_VSOCK_OP_RESPONSE).hdr.type, MESSAGES);
    cr_assert_not_null(vsock_accept(l));
}

Test(vsock_driver, one_more_than_the_backlog_waits)
{
    int error;
    struct vsock_listener *l = vsock_listen(5000, VSOCK_BYTES, 1, &error);

    for (u32 i = 0; i < 2; i++) {
        request(BYTES, i);
        expect(VIRTIO_VSOCK_OP_RESPONSE);
    }
    request(BYTES, 2);
    expect(VIRTIO_VSOCK_OP_RST);
    vsock_set_backlog(l, 2);
    request(BYTES, 2);
    expect(VIRTIO_VSOCK_OP_RESPONSE);
    cr_assert_eq(vsock_peer_port(vsock_accept(l)), 0);
}

/* --- bytes that stay where they are --- */

enum { OTHER = MINE + 1, PLACE_MOST = 32 << 10 };

static void tell_bytes(u16 op, u32 credit)
{
    struct virtio_vsock_hdr hdr = header(BYTES, op);

    hdr.dst_port = OTHER;
    hdr.buf_alloc = credit;
    put(&to_guest, &hdr, NULL);
}

static struct vsock_stream *bytes_with_credit(u32 credit)
{
    int error;
    struct vsock_stream *bytes = vsock_request(OTHER, PORT, VSOCK_BYTES, false, &error);

    cr_assert_not_null(bytes);
    expect(VIRTIO_VSOCK_OP_REQUEST);
    tell_bytes(VIRTIO_VSOCK_OP_RESPONSE, credit);
    cr_assert_eq(vsock_state(bytes), 0);
    place.most = PLACE_MOST;
    return bytes;
}

static void expect_bytes(const void *want, u32 len)
{
    struct packet packet = expect(VIRTIO_VSOCK_OP_RW);

    cr_assert_eq(packet.hdr.len, len, "%u bytes instead of %u", packet.hdr.len, len);
    cr_assert_arr_eq(packet.data, want, len);
    free(packet.data);
}

Test(vsock_driver, long_writes_are_read_where_they_are_as_far_as_credit_goes)
{
    struct vsock_stream *bytes = bytes_with_credit(60 << 10);

    slots = 0; /* no memory for a copy */
    cr_assert_eq(vsock_send(bytes, block, sizeof(block)), 60 << 10);
    expect_bytes(block, PLACE_MOST);
    expect_bytes(block + PLACE_MOST, (60 << 10) - PLACE_MOST);
    expect_nothing();
}

Test(vsock_driver, short_writes_and_those_to_slow_devices_are_copied)
{
    struct vsock_stream *bytes = bytes_with_credit(60 << 10);

    cr_assert_eq(vsock_send(bytes, block, 100), 100);
    place.most = 0;
    cr_assert_eq(vsock_send(bytes, block, PLACE_MOST), PLACE_MOST);
    cr_assert_eq(place.asks, 0);
    expect_bytes(block, 100);
    expect_bytes(block, PLACE_MOST);
}

Test(vsock_driver, a_write_is_over_once_the_device_has_taken_it)
{
    struct vsock_stream *bytes = bytes_with_credit(60 << 10);

    place.late = 5;
    cr_assert_eq(vsock_send(bytes, block, PLACE_MOST), PLACE_MOST);
    memset(block, 0, sizeof(block)); /* the program goes on */
    for (u32 i = 0; i < PLACE_MOST; i++)
        got[i] = (u8)(i * 7 + i / 251);
    expect_bytes(got, PLACE_MOST);
}

Test(vsock_driver, a_device_that_has_stopped_does_not_stop_the_kernel)
{
    struct vsock_stream *bytes = bytes_with_credit(60 << 10);

    place.late = UINT32_MAX;
    cr_assert_eq(vsock_send(bytes, block, PLACE_MOST), PLACE_MOST);
    cr_assert(place.given_up);
    expect_nothing();
}
