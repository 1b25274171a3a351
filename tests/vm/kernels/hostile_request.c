/* Requests that are wrong in chains that are not, and resets in the midst of those that are right:
 * see hostile.h. */
#include "tests/vm/kernels/hostile.h"

#include "abi/platform.h"
#include "abi/virtio_blk.h"
#include "abi/virtio_net.h"
#include "abi/virtio_vsock.h"

enum { SIZE = 128, UNTOUCHED = 0xee, TX = 1, RX = 0, CTRL = 2, LARGE = 256 << 10 };
enum { BUFFERS = 64 << 10, MIDWAY_TURNS = 50 };

static void must_break(unsigned slot, uint32_t step)
{
    must(comes_to_need_reset(slot), step);
    start_device(slot, 0, SIZE);
    must(!needs_reset(slot), step);
}

/* --- disk --- */

/* Header, so many bytes of data that the device writes, and a status, as chain `at` of three. */
static volatile uint8_t *put_request(uint16_t at, uint32_t type, uint64_t sector, uint8_t *to,
                                     uint32_t len)
{
    struct virtio_blk_header *header = (struct virtio_blk_header *)data + at;
    volatile uint8_t *status = data + 8192 + at;

    *header = (struct virtio_blk_header){.type = type, .sector = sector};
    *status = UNTOUCHED;
    put_desc(0, at, gpa_of(header), sizeof(*header), VIRTQ_DESC_F_NEXT, (uint16_t)(at + 1));
    put_desc(0, (uint16_t)(at + 1), gpa_of(to), len, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE,
             (uint16_t)(at + 2));
    put_desc(0, (uint16_t)(at + 2), gpa_of(status), 1, VIRTQ_DESC_F_WRITE, 0);
    add(0, at);
    return status;
}

static void is_answered(uint32_t type, uint64_t sector, uint32_t len, uint8_t want, uint32_t step)
{
    struct virtq_used_elem elem;
    volatile uint8_t *status;

    start_device(DISK_SLOT, 0, SIZE);
    status = put_request(0, type, sector, data + BUFFERS, len);
    kick(DISK_SLOT, 0);
    must(await_used(0, &elem) && elem.id == 0 && elem.len == len + 1, step);
    must(*status == want && !needs_reset(DISK_SLOT), step);
}

static void bad_disk_requests(void)
{
    is_answered(VIRTIO_BLK_T_IN, 0, 512, VIRTIO_BLK_S_OK, 10);
    is_answered(99, 0, 512, VIRTIO_BLK_S_UNSUPP, 11);
    is_answered(VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR, 12);
    is_answered(VIRTIO_BLK_T_IN, UINT64_MAX / 512, 1024, VIRTIO_BLK_S_IOERR, 13);
    is_answered(VIRTIO_BLK_T_IN, 0, 511, VIRTIO_BLK_S_IOERR, 14);
    is_answered(VIRTIO_BLK_T_GET_ID, 0, 21, VIRTIO_BLK_S_IOERR, 15);
    is_answered(VIRTIO_BLK_T_DISCARD, 0, 16, VIRTIO_BLK_S_IOERR, 16);
    put_desc(0, 0, gpa_of(data), 15, VIRTQ_DESC_F_NEXT, 1); /* a header cut off */
    put_desc(0, 1, gpa_of(data + 64), 1, VIRTQ_DESC_F_WRITE, 0);
    add(0, 0);
    kick(DISK_SLOT, 0);
    must_break(DISK_SLOT, 17);
    put_desc(0, 0, gpa_of(data), 64, 0, 0); /* no status */
    add(0, 0);
    kick(DISK_SLOT, 0);
    must_break(DISK_SLOT, 18);
}

/* --- vsock --- */

static struct virtio_vsock_hdr packet(uint16_t op, uint32_t port, uint32_t len)
{
    return (struct virtio_vsock_hdr){.src_cid = SAMARA_GUEST_CID,
                                     .dst_cid = VSOCK_HOST_CID,
                                     .src_port = 7,
                                     .dst_port = port,
                                     .len = len,
                                     .type = VIRTIO_VSOCK_TYPE_STREAM,
                                     .op = op,
                                     .buf_alloc = 4096};
}

/* With `room` bytes in its chain, whatever it says of itself. */
static void send_packet(const struct virtio_vsock_hdr *hdr, uint32_t room)
{
    copy(data + BUFFERS, hdr, sizeof(*hdr));
    put_desc(TX, 0, gpa_of(data + BUFFERS), room, 0, 0);
    add(TX, 0);
    kick(VSOCK_SLOT, TX);
}

static void start_vsock(void)
{
    start_device(VSOCK_SLOT, 0, SIZE);
    for (uint16_t i = 0; i < 4; i++) {
        put_desc(RX, i, gpa_of(data + i * 1024), 1024, VIRTQ_DESC_F_WRITE, 0);
        add(RX, i);
    }
    kick(VSOCK_SLOT, RX);
}

/* The next packet to us is one of these. */
static void must_hear(uint16_t op, uint32_t step)
{
    struct virtq_used_elem elem;

    must(await_used(RX, &elem) && elem.len == sizeof(struct virtio_vsock_hdr), step);
    must(((struct virtio_vsock_hdr *)(data + elem.id * 1024))->op == op, step);
}

static void lengths_lie(void)
{
    struct virtio_vsock_hdr hdr = packet(VIRTIO_VSOCK_OP_RW, 80, 1000);

    start_vsock();
    send_packet(&hdr, sizeof(hdr) + 999);
    must_break(VSOCK_SLOT, 20);
    hdr.len = UINT32_MAX;
    send_packet(&hdr, sizeof(hdr) + 1000);
    must_break(VSOCK_SLOT, 21);
    send_packet(&hdr, sizeof(hdr) - 1);
    must_break(VSOCK_SLOT, 22);
    put_desc(RX, 0, gpa_of(data), sizeof(hdr), VIRTQ_DESC_F_WRITE, 0); /* no room for data */
    add(RX, 0);
    hdr = packet(VIRTIO_VSOCK_OP_RW, 80, 0);
    send_packet(&hdr, sizeof(hdr));
    must_break(VSOCK_SLOT, 23);
}

/* Each is its connection's end, and no more. */
static void ends_stdout(struct virtio_vsock_hdr hdr, uint32_t step)
{
    const struct virtio_vsock_hdr request =
        packet(VIRTIO_VSOCK_OP_REQUEST, SAMARA_STDIO_PORT + 1, 0);

    start_vsock();
    send_packet(&request, sizeof(request));
    must_hear(VIRTIO_VSOCK_OP_RESPONSE, step);
    send_packet(&hdr, (uint32_t)sizeof(hdr) + hdr.len);
    must_hear(VIRTIO_VSOCK_OP_RST, step);
    must(!needs_reset(VSOCK_SLOT), step);
}

static void bad_packets(void)
{
    struct virtio_vsock_hdr hdr = packet(VIRTIO_VSOCK_OP_RW, 80, 0);

    lengths_lie();
    for (uint16_t op = 0; op < 20; op++) { /* to nobody */
        hdr.op = op == VIRTIO_VSOCK_OP_RST ? UINT16_MAX : op;
        start_vsock();
        send_packet(&hdr, sizeof(hdr));
        must_hear(VIRTIO_VSOCK_OP_RST, 24);
    }
    /* More than the credit that there is: the one thing that ends stdout, so the last. */
    ends_stdout(packet(VIRTIO_VSOCK_OP_RW, SAMARA_STDIO_PORT + 1, 3 << 20), 25);
}

/* --- interface --- */

static void send_frame(const struct virtio_net_header *header, uint32_t len)
{
    copy(data + BUFFERS, header, sizeof(*header));
    put_desc(TX, 0, gpa_of(data + BUFFERS), len, 0, 0);
    add(TX, 0);
    kick(NET_SLOT, TX);
}

/* Dropped, which is told as any frame's end is. */
static void frame_is_taken(struct virtio_net_header header, uint32_t len, uint32_t step)
{
    struct virtq_used_elem elem;

    start_device(NET_SLOT, 0, SIZE);
    send_frame(&header, (uint32_t)sizeof(header) + len);
    must(await_used(TX, &elem) && elem.id == 0 && elem.len == 0, step);
    must(!needs_reset(NET_SLOT), step);
}

static void obeyed(uint8_t class, uint8_t want, uint32_t step)
{
    struct virtq_used_elem elem;

    data[0] = class;
    data[1] = 0;
    data[2] = UNTOUCHED;
    start_device(NET_SLOT, VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ), SIZE);
    put_desc(CTRL, 0, gpa_of(data), 2, VIRTQ_DESC_F_NEXT, 1);
    put_desc(CTRL, 1, gpa_of(data + 2), 1, VIRTQ_DESC_F_WRITE, 0);
    add(CTRL, 0);
    kick(NET_SLOT, CTRL);
    must(await_used(CTRL, &elem) && elem.len == 1 && data[2] == want, step);
}

static void bad_frames(void)
{
    static const struct virtio_net_header headers[] = {
        {.flags = 0xff,
         .gso_type = 0xff,
         .header_len = UINT16_MAX,
         .gso_size = UINT16_MAX,
         .csum_start = UINT16_MAX,
         .csum_offset = UINT16_MAX,
         .buffers = UINT16_MAX},
        {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = UINT16_MAX},
        {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4},
        {.gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 1},
    };

    for (unsigned i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        frame_is_taken(headers[i], 100, 30 + i);
    frame_is_taken((struct virtio_net_header){0}, 0, 34); /* no frame behind it */
    frame_is_taken((struct virtio_net_header){0}, 1 << 20, 35);
    send_frame(&headers[0], sizeof(headers[0]) - 1);
    must_break(NET_SLOT, 36);
    obeyed(0, VIRTIO_NET_ERR, 37);
    obeyed(255, VIRTIO_NET_ERR, 38);
    put_desc(CTRL, 0, gpa_of(data), 2, 0, 0); /* no room for an answer */
    add(CTRL, 0);
    kick(NET_SLOT, CTRL);
    must_break(NET_SLOT, 39);
}

void bad_requests(void)
{
    bad_disk_requests();
    bad_frames();
    bad_packets();
}

/* --- resets --- */

/* Reads that the disk's thread does, each of a place of its own. */
static void read_much(void)
{
    for (uint16_t i = 0; i < 16; i++)
        put_request((uint16_t)(3 * i), VIRTIO_BLK_T_IN, 0, data + BUFFERS + i * LARGE, LARGE);
    kick(DISK_SLOT, 0);
}

static void must_be_untouched(uint32_t step)
{
    for (uint32_t i = 0; i < 16 * LARGE; i += 512)
        must(data[BUFFERS + i] == UNTOUCHED, step);
}

/* What is the guest's again is written by nobody: the disk is full of zeroes. */
static void reset_the_disk_midway(bool by_queue)
{
    struct virtq_used_elem elem;

    start_device(DISK_SLOT, 0, SIZE);
    read_much();
    if (by_queue)
        set_reg(DISK_SLOT, VIRTIO_MMIO_QUEUE_READY, 0);
    else
        set_reg(DISK_SLOT, VIRTIO_MMIO_STATUS, 0);
    while (take_used(0, &elem))
        ;
    fill(data + BUFFERS, UNTOUCHED, 16 * LARGE);
    must(!needs_reset(DISK_SLOT), 50);
    for (const uint64_t since = cycles(); cycles() - since < 1 << 20;)
        ;
    must_be_untouched(51);
    must(!take_used(0, &elem), 52);
}

/* Nobody reads at the other end: some of them wait in the queue. */
static void reset_the_interface_midway(void)
{
    struct virtq_used_elem elem;

    start_device(NET_SLOT, 0, SIZE);
    fill(data, 0, 64 << 10);
    for (uint16_t i = 0; i < SIZE; i++) {
        put_desc(TX, i, gpa_of(data), 60000, 0, 0);
        add(TX, i);
    }
    kick(NET_SLOT, TX);
    set_reg(NET_SLOT, VIRTIO_MMIO_STATUS, 0);
    while (take_used(TX, &elem))
        ;
    must(rings[TX].seen < SIZE, 60);
    for (const uint64_t since = cycles(); cycles() - since < 1 << 20;)
        ;
    must(!take_used(TX, &elem), 61);
}

void reset_midway(void)
{
    for (unsigned i = 0; i < MIDWAY_TURNS; i++) {
        reset_the_disk_midway(i & 1);
        reset_the_interface_midway();
    }
    is_answered(VIRTIO_BLK_T_IN, 0, 512, VIRTIO_BLK_S_OK, 62);
    say("good after all\n");
}
