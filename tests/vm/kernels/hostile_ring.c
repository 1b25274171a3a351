/* Queues and chains that are wrong: see hostile.h. A device takes none of it, says so, and works
 * after the reset that it asks for. Steps: what was tried, and for whom. */
#include "tests/vm/kernels/hostile.h"

#include "abi/platform.h"
#include "abi/virtio_net.h"
#include "abi/virtio_vsock.h"

enum { SIZE = 8, ELSEWHERE = 9 /* a CID */ };
#define INDIRECT VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC)

static const unsigned slots[] = {VSOCK_SLOT, DISK_SLOT, NET_SLOT};

/* Wants the verdict, and a device that works again. */
static void must_break(unsigned slot, uint32_t step)
{
    must(comes_to_need_reset(slot), step);
    start_device(slot, 0, SIZE);
    must(!needs_reset(slot), step);
}

/* --- queues --- */

static void refused_at_ready(unsigned slot, unsigned queue, uint32_t where, uint32_t value)
{
    begin(slot, 0);
    place(slot, queue, SIZE);
    set_reg(slot, where, value);
    make_ready(slot);
    must(reg(slot, VIRTIO_MMIO_QUEUE_READY) == 0, 10 + slot);
    must_break(slot, 20 + slot);
}

static void bad_sizes(unsigned slot, unsigned queue)
{
    static const uint32_t sizes[] = {0, 3, 2 * QUEUE_MAX, 0xffff, 1 << 16 | 8, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        refused_at_ready(slot, queue, VIRTIO_MMIO_QUEUE_NUM, sizes[i]);
}

/* Low halves: misaligned, half beyond the end, in device space. High ones: far away, and wrapping.
 */
static void bad_addresses(unsigned slot, unsigned queue)
{
    static const uint32_t parts[] = {VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
                                     VIRTIO_MMIO_QUEUE_USED_LOW};

    for (unsigned i = 0; i < 3; i++) {
        refused_at_ready(slot, queue, parts[i], 1);
        refused_at_ready(slot, queue, parts[i], MEMORY - 16);
        refused_at_ready(slot, queue, parts[i], SAMARA_GPA_VIRTIO);
        refused_at_ready(slot, queue, parts[i] + 4, 1);
        refused_at_ready(slot, queue, parts[i] + 4, UINT32_MAX);
    }
}

static void changed_when_ready(unsigned slot, unsigned queue)
{
    static const uint32_t frozen[] = {VIRTIO_MMIO_QUEUE_NUM,        VIRTIO_MMIO_QUEUE_DESC_LOW,
                                      VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
                                      VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW,
                                      VIRTIO_MMIO_QUEUE_USED_HIGH};

    for (unsigned i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
        start_device(slot, 0, SIZE);
        set_reg(slot, VIRTIO_MMIO_QUEUE_SEL, queue);
        set_reg(slot, frozen[i], SIZE);
        must_break(slot, 30 + slot);
    }
}

static void ready_at_the_wrong_time(unsigned slot, unsigned queue)
{
    set_reg(slot, VIRTIO_MMIO_STATUS, 0);
    place(slot, queue, SIZE);
    make_ready(slot);
    must_break(slot, 40 + slot);
    begin(slot, 0);
    driver_ok(slot);
    place(slot, queue, SIZE);
    make_ready(slot);
    must_break(slot, 50 + slot);
}

void bad_queues(void)
{
    for (unsigned s = 0; s < 3; s++) {
        must(is_there(slots[s]), 1);
        for (unsigned queue = 0; queue < queues_of(slots[s]); queue++) {
            bad_sizes(slots[s], queue);
            bad_addresses(slots[s], queue);
            changed_when_ready(slots[s], queue);
            ready_at_the_wrong_time(slots[s], queue);
        }
        start_device(slots[s], 0, SIZE);
        kick(slots[s], queues_of(slots[s]));
        must_break(slots[s], 60 + slots[s]);
    }
    say("good after all\n");
}

/* --- chains --- */

/* An indirect table of so many descriptors of 16 bytes each, behind one another. */
static struct virtq_desc *put_table(unsigned queue, unsigned count, uint16_t flags)
{
    struct virtq_desc *table = (struct virtq_desc *)(data + DATA_BYTES / 2);

    for (unsigned i = 0; i < count; i++)
        table[i] = (struct virtq_desc){gpa_of(data), 16,
                                       (uint16_t)(flags | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0)),
                                       (uint16_t)(i + 1)};
    put_desc(queue, 0, gpa_of(table), count * 16, VIRTQ_DESC_F_INDIRECT, 0);
    return table;
}

static void head_out_of_range(unsigned queue, uint16_t flags)
{
    (void)flags;
    add(queue, SIZE);
}

static void index_runs_ahead(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, gpa_of(data), 64, flags, 0);
    rings[queue].avail->idx = SIZE + 1;
}

static void index_runs_back(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, gpa_of(data), 64, flags, 0);
    rings[queue].avail->idx = UINT16_MAX;
}

static void chain_loops(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, gpa_of(data), 64, flags | VIRTQ_DESC_F_NEXT, 1);
    put_desc(queue, 1, gpa_of(data), 64, flags | VIRTQ_DESC_F_NEXT, 0);
    add(queue, 0);
}

static void next_out_of_range(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, gpa_of(data), 64, flags | VIRTQ_DESC_F_NEXT, SIZE);
    add(queue, 0);
}

static void length_zero(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, gpa_of(data), 0, flags, 0);
    add(queue, 0);
}

static void beyond_memory(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, MEMORY - 16, 32, flags, 0);
    add(queue, 0);
}

static void in_device_space(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, SAMARA_GPA_VIRTIO, 256, flags, 0);
    add(queue, 0);
}

static void address_wraps(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, UINT64_MAX - 15, 4096, flags, 0);
    add(queue, 0);
}

static void too_many_bytes(unsigned queue, uint16_t flags)
{
    put_desc(queue, 0, gpa_of(data), DATA_BYTES, flags, 0);
    add(queue, 0);
}

static void readable_after_writable(unsigned queue, uint16_t flags)
{
    (void)flags;
    put_desc(queue, 0, gpa_of(data), 64, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
    put_desc(queue, 1, gpa_of(data), 64, 0, 0);
    add(queue, 0);
}

static void table_loops(unsigned queue, uint16_t flags)
{
    struct virtq_desc *table = put_table(queue, 4, flags);

    table[3].flags |= VIRTQ_DESC_F_NEXT;
    table[3].next = 0;
    add(queue, 0);
}

static void table_in_a_table(unsigned queue, uint16_t flags)
{
    struct virtq_desc *table = put_table(queue, 2, flags);

    table[0] = (struct virtq_desc){gpa_of(table), 32, VIRTQ_DESC_F_INDIRECT, 0};
    add(queue, 0);
}

static void table_with_a_next(unsigned queue, uint16_t flags)
{
    put_table(queue, 2, flags);
    rings[queue].desc[0].flags |= VIRTQ_DESC_F_NEXT;
    add(queue, 0);
}

static void table_longer_than_a_chain_may_be(unsigned queue, uint16_t flags)
{
    put_table(queue, 1000, flags);
    add(queue, 0);
}

static void table_of_odd_length(unsigned queue, uint16_t flags)
{
    put_table(queue, 2, flags);
    rings[queue].desc[0].len = 24;
    add(queue, 0);
}

static void table_beyond_memory(unsigned queue, uint16_t flags)
{
    (void)flags;
    put_desc(queue, 0, MEMORY - 16, 64, VIRTQ_DESC_F_INDIRECT, 0);
    add(queue, 0);
}

static void (*const chains[])(unsigned queue, uint16_t flags) = {
    head_out_of_range,   index_runs_ahead,        index_runs_back,
    chain_loops,         next_out_of_range,       length_zero,
    beyond_memory,       in_device_space,         address_wraps,
    too_many_bytes,      readable_after_writable, table_loops,
    table_in_a_table,    table_with_a_next,       table_longer_than_a_chain_may_be,
    table_of_odd_length, table_beyond_memory,
};

/* Makes the device want a buffer of rx: to vsock, a packet for a host that is not there. Frames for
 * the interface have to be there already. */
static void want_buffer(unsigned slot)
{
    const struct virtio_vsock_hdr hdr = {.src_cid = SAMARA_GUEST_CID,
                                         .dst_cid = ELSEWHERE,
                                         .type = VIRTIO_VSOCK_TYPE_STREAM,
                                         .op = VIRTIO_VSOCK_OP_REQUEST};

    if (slot != VSOCK_SLOT)
        return;
    copy(data + 4096, &hdr, sizeof(hdr));
    put_desc(VIRTIO_VSOCK_QUEUE_TX, 0, gpa_of(data + 4096), sizeof(hdr), 0, 0);
    add(VIRTIO_VSOCK_QUEUE_TX, 0);
    kick(slot, VIRTIO_VSOCK_QUEUE_TX);
}

static void bad_chains_of(unsigned slot, unsigned queue, uint16_t flags)
{
    for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
        start_device(slot, INDIRECT, SIZE);
        chains[i](queue, flags);
        kick(slot, queue);
        if (flags)
            want_buffer(slot);
        must_break(slot, 100 + 20 * (slot == DISK_SLOT) + 40 * (slot == NET_SLOT) + i);
    }
    start_device(slot, 0, SIZE);
    put_table(queue, 2, flags);
    add(queue, 0);
    kick(slot, queue);
    if (flags)
        want_buffer(slot);
    must_break(slot, 160 + slot); /* a table without having agreed upon tables */
}

void bad_chains(void)
{
    bad_chains_of(DISK_SLOT, 0, 0);
    bad_chains_of(VSOCK_SLOT, VIRTIO_VSOCK_QUEUE_TX, 0);
    bad_chains_of(VSOCK_SLOT, VIRTIO_VSOCK_QUEUE_RX, VIRTQ_DESC_F_WRITE);
    bad_chains_of(NET_SLOT, VIRTIO_NET_QUEUE_TX, 0);
    bad_chains_of(NET_SLOT, VIRTIO_NET_QUEUE_RX, VIRTQ_DESC_F_WRITE);
    bad_chains_of(NET_SLOT, VIRTIO_NET_QUEUE_CTRL, 0);
    say("good after all\n");
}
