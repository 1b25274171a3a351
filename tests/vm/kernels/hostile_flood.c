/* Attacks without an end: see hostile.h. Each is up when it has gone round once. */
#include "tests/vm/kernels/hostile.h"

#include "abi/platform.h"
#include "abi/virtio_blk.h"
#include "abi/virtio_net.h"
#include "abi/virtio_vsock.h"

enum { RX = 0, TX = 1, SIZE = 128, LARGE = 4 << 20 };

static const unsigned slots[] = {VSOCK_SLOT, DISK_SLOT, NET_SLOT};

/* --- all devices --- */

static void kick_all(void)
{
    for (unsigned s = 0; s < 3; s++) {
        for (unsigned queue = 0; queue < queues_of(slots[s]); queue++)
            kick(slots[s], queue);
    }
}

/* With vsock as it was when it said that all is well, so that it is active as well. */
void kick_for_ever(void)
{
    start_device(DISK_SLOT, 0, SIZE);
    start_device(NET_SLOT, 0, SIZE);
    say("up\n");
    for (;;)
        kick_all();
}

static void request(uint16_t head, uint32_t type, uint32_t len)
{
    struct virtio_blk_header *header = (struct virtio_blk_header *)data;

    header->type = type;
    put_desc(0, head, gpa_of(header), sizeof(*header), VIRTQ_DESC_F_NEXT, (uint16_t)(head + 1));
    put_desc(0, (uint16_t)(head + 1), gpa_of(data + 4096), len, VIRTQ_DESC_F_WRITE, 0);
    add(0, head);
}

static void reset_once(void)
{
    start_device(DISK_SLOT, 0, SIZE);
    for (uint16_t head = 0; head < SIZE; head += 2)
        request(head, VIRTIO_BLK_T_IN, (1 << 20) + 1);
    kick(DISK_SLOT, 0);
    set_reg(DISK_SLOT, VIRTIO_MMIO_STATUS, 0);
    start_device(NET_SLOT, 0, SIZE);
    for (uint16_t head = 0; head < SIZE; head++) {
        put_desc(TX, head, gpa_of(data + 4096), 60000, 0, 0);
        add(TX, head);
    }
    kick(NET_SLOT, TX);
    set_reg(NET_SLOT, VIRTIO_MMIO_STATUS, 0);
}

void reset_for_ever(void)
{
    reset_once();
    say("up\n");
    for (;;)
        reset_once();
}

/* --- disk --- */

static void refused_round(void)
{
    struct virtq_used_elem elem;

    for (uint16_t head = 0; head < SIZE; head += 2)
        request(head, 99, LARGE - 16);
    kick(DISK_SLOT, 0);
    for (unsigned i = 0; i < SIZE / 2; i++)
        must(await_used(0, &elem), 70);
}

void costly_for_ever(void)
{
    say("up\n");
    start_device(DISK_SLOT, 0, SIZE);
    for (;;)
        refused_round();
}

/* The first is above the disk's limit, so that the second waits and those behind it are served by
 * the loop, while this goes on: there are always more of them. Whenever that stops it begins anew.
 */
static void free_round(void)
{
    struct virtio_blk_header *header = (struct virtio_blk_header *)data;
    struct ring *r = &rings[0];
    uint16_t before = 0;

    start_device(DISK_SLOT, 0, SIZE);
    request(0, VIRTIO_BLK_T_IN, (1 << 20) + 1);
    request(2, VIRTIO_BLK_T_IN, 513);
    kick(DISK_SLOT, 0);
    header->type = VIRTIO_BLK_T_GET_ID;
    for (unsigned i = 2; i < SIZE + 2; i++)
        r->avail->ring[i % SIZE] = 2;
    for (const uint64_t since = cycles(); cycles() - since < UINT64_C(1) << 29;) {
        for (unsigned i = 0; i < 1 << 22; i++)
            r->avail->idx = (uint16_t)(r->used->idx + SIZE / 2);
        if (r->used->idx == before && before > 1)
            break;
        before = r->used->idx;
    }
}

void free_for_ever(void)
{
    say("up\n");
    for (;;)
        free_round();
}

/* --- interface --- */

static uint32_t random_word(void)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void garbage_round(void)
{
    struct virtq_used_elem elem;

    for (uint16_t head = 0; head < SIZE; head++) {
        uint32_t *words = (uint32_t *)(data + head * 2048);

        for (unsigned i = 0; i < 16; i++)
            words[i] = head & 1 ? random_word() : 0;
        put_desc(TX, head, gpa_of(words), 12 + random_word() % 2000, 0, 0);
        add(TX, head);
    }
    kick(NET_SLOT, TX);
    for (unsigned i = 0; i < SIZE; i++)
        must(await_used(TX, &elem), 80);
    must(!needs_reset(NET_SLOT), 81);
}

/* With all that is offered, so that a header may ask for as much as it can. */
static uint64_t offered(unsigned slot)
{
    uint64_t features;

    set_reg(slot, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    features = (uint64_t)reg(slot, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
    set_reg(slot, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    return (features | reg(slot, VIRTIO_MMIO_DEVICE_FEATURES)) &
           ~VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX);
}

void frames_for_ever(void)
{
    say("up\n");
    start_device(NET_SLOT, offered(NET_SLOT), SIZE);
    must(!needs_reset(NET_SLOT), 82);
    for (;;)
        garbage_round();
}

/* --- vsock --- */

static struct virtio_vsock_hdr *packet_at(uint16_t head)
{
    return (struct virtio_vsock_hdr *)(data + (1 << 20)) + head * 4;
}

static void send(uint16_t head, uint16_t op, uint32_t from, uint32_t to, uint32_t len)
{
    struct virtio_vsock_hdr *hdr = packet_at(head);

    *hdr = (struct virtio_vsock_hdr){.src_cid = SAMARA_GUEST_CID,
                                     .dst_cid = VSOCK_HOST_CID,
                                     .src_port = from,
                                     .dst_port = to,
                                     .len = len,
                                     .type = VIRTIO_VSOCK_TYPE_STREAM,
                                     .op = op};
    put_desc(TX, head, gpa_of(hdr), (uint32_t)sizeof(*hdr) + len, 0, 0);
    add(TX, head);
}

static void offer(uint16_t head)
{
    put_desc(RX, head, gpa_of(data + head * 256), 256, VIRTQ_DESC_F_WRITE, 0);
    add(RX, head);
}

static void start_vsock(void)
{
    start_device(VSOCK_SLOT, 0, SIZE);
    for (uint16_t head = 0; head < SIZE; head++)
        offer(head);
    kick(VSOCK_SLOT, RX);
}

/* Takes what came and gives the buffers back; counts what was a RESPONSE. */
static void receive(uint32_t *responses)
{
    struct virtq_used_elem elem;
    bool any = false;

    while (take_used(RX, &elem)) {
        const struct virtio_vsock_hdr *hdr = (struct virtio_vsock_hdr *)(data + elem.id * 256);

        *responses += hdr->op == VIRTIO_VSOCK_OP_RESPONSE;
        offer((uint16_t)elem.id);
        any = true;
    }
    if (any)
        kick(VSOCK_SLOT, RX);
}

static void packet_round(void)
{
    struct virtq_used_elem elem;
    uint32_t responses = 0;

    for (uint16_t head = 0; head < SIZE; head++) {
        send(head, (uint16_t)(random_word() % 10), random_word() % 64, 80 + random_word() % 4,
             random_word() % 100);
        if (random_word() % 8 == 0)
            packet_at(head)->type = (uint16_t)random_word();
        if (random_word() % 8 == 0)
            packet_at(head)->dst_cid = random_word();
        packet_at(head)->fwd_cnt = random_word() % 4 ? 0 : random_word();
    }
    kick(VSOCK_SLOT, TX);
    for (unsigned i = 0; i < SIZE; i++) {
        while (!take_used(TX, &elem))
            receive(&responses);
    }
    must(!needs_reset(VSOCK_SLOT), 90);
}

void packets_for_ever(void)
{
    say("up\n");
    start_vsock();
    for (;;)
        packet_round();
}

/* So many at once as there are chains; the host's server takes whoever comes. */
static void connect_some(uint32_t first, uint32_t *responses)
{
    struct virtq_used_elem elem;

    for (uint16_t head = 0; head < SIZE; head++)
        send(head, VIRTIO_VSOCK_OP_REQUEST, first + head, 80, 0);
    kick(VSOCK_SLOT, TX);
    for (unsigned i = 0; i < SIZE; i++) {
        while (!take_used(TX, &elem))
            receive(responses);
    }
}

/* None is ever closed. */
static void connect_to_no_end(uint32_t count)
{
    uint32_t responses = 0;

    start_vsock();
    for (uint32_t first = 0; first < count; first += SIZE)
        connect_some(first, &responses);
    for (const uint64_t since = cycles(); responses < 1000 && cycles() - since < UINT64_C(1) << 33;)
        receive(&responses);
    must(responses >= 1000 && responses <= 4096, 95);
    say("up\n");
    start_vsock();
    for (uint32_t first = 0;; first += SIZE)
        connect_some(first, &responses);
}

void connect_for_ever(void)
{
    connect_to_no_end(100000);
}

void connect_few(void)
{
    connect_to_no_end(10000);
}
