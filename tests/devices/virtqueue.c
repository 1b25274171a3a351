/* The device's side of a virtqueue against a guest that keeps no rule. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/virtqueue.h"
#include "tests/devices/fake_guest.h"

enum { SIZE = 8, NEXT = VIRTQ_DESC_F_NEXT, WRITE = VIRTQ_DESC_F_WRITE };
enum { INDIRECT = VIRTQ_DESC_F_INDIRECT };

static struct fake_guest guest;
static struct virtqueue vq;
static struct vq_request req;

static void setup_with(bool event_idx, bool indirect)
{
    fake_open(&guest);
    vq_init(&vq, &guest.mem, VQ_MAX_SIZE);
    fake_place(&guest, 0, SIZE, &vq.state);
    cr_assert(vq_make_ready(&vq, event_idx, indirect));
}

static void setup(void)
{
    setup_with(false, true);
}

static void teardown(void)
{
    fake_close(&guest);
}

TestSuite(virtqueue, .init = setup, .fini = teardown);

static void desc(uint16_t at, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
    fake_desc(&guest, 0, at, gpa, len, flags, next);
}

static void assert_broken(const char *why)
{
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_BROKEN);
    cr_assert_str_eq(vq.broken, why);
    cr_assert(!vq_live(&req));
    cr_assert_eq(vq_pop(&vq, &req), VQ_BROKEN, "it stays broken");
}

/* --- good chains --- */

Test(virtqueue, an_empty_queue_gives_nothing)
{
    cr_assert_eq(vq_pop(&vq, &req), VQ_EMPTY);
    cr_assert(!vq_pending(&vq));
}

Test(virtqueue, a_chain_is_read_and_answered)
{
    struct virtq_used_elem used;
    char text[8];

    memcpy(fake_at(&guest, FAKE_DATA), "hello", 5);
    desc(0, FAKE_DATA, 3, NEXT, 3);
    desc(3, FAKE_DATA + 3, 2, NEXT, 1);
    desc(1, FAKE_DATA + 100, 4, NEXT | WRITE, 2);
    desc(2, FAKE_DATA + 200, 4, WRITE, 0);
    fake_add(&guest, 0, 0);
    cr_assert(vq_pending(&vq));
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert_eq(vq_readable(&req), 5);
    cr_assert_eq(vq_writable(&req), 8);
    cr_assert(vq_read(&req, text, 5));
    cr_assert_arr_eq(text, "hello", 5);
    cr_assert(!vq_read(&req, text, 1), "nothing is left");
    cr_assert(vq_write(&req, "answer", 6));
    cr_assert(!vq_write(&req, "123", 3), "only two bytes are left");
    vq_complete(&req);
    cr_assert(fake_used(&guest, 0, &used));
    cr_assert_eq(used.id, 0);
    cr_assert_eq(used.len, 6);
    cr_assert_arr_eq(fake_at(&guest, FAKE_DATA + 100), "answ", 4);
    cr_assert_arr_eq(fake_at(&guest, FAKE_DATA + 200), "er", 2);
    cr_assert_arr_eq(fake_at(&guest, FAKE_DATA), "hello", 6, "what is read is as it was");
}

Test(virtqueue, an_indirect_table_is_followed)
{
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA);
    char byte;

    table[0] = (struct virtq_desc){FAKE_DATA + 0x1000, 1, NEXT, 1};
    table[1] = (struct virtq_desc){FAKE_DATA + 0x2000, 10, WRITE, 0};
    memset(fake_at(&guest, FAKE_DATA + 0x1000), 'x', 1);
    desc(0, FAKE_DATA, 32, INDIRECT, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert(vq_read(&req, &byte, 1));
    cr_assert_eq(byte, 'x');
    cr_assert_eq(vq_writable(&req), 10);
}

Test(virtqueue, a_direct_part_may_come_before_an_indirect_one)
{
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA);

    table[0] = (struct virtq_desc){FAKE_DATA + 0x1000, 7, 0, 0};
    desc(0, FAKE_DATA + 0x2000, 5, NEXT, 1);
    desc(1, FAKE_DATA, 16, INDIRECT, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert_eq(vq_readable(&req), 12);
}

Test(virtqueue, the_write_flag_of_an_indirect_table_means_nothing)
{
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA);

    table[0] = (struct virtq_desc){FAKE_DATA + 0x1000, 7, 0, 0};
    desc(0, FAKE_DATA, 16, INDIRECT | WRITE, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert_eq(vq_readable(&req), 7);
    cr_assert_eq(vq_writable(&req), 0);
}

Test(virtqueue, indices_wrap)
{
    struct virtq_used_elem used;

    desc(0, FAKE_DATA, 16, WRITE, 0);
    for (unsigned i = 0; i < 70000; i++) {
        fake_add(&guest, 0, 0);
        cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
        cr_assert(vq_write(&req, &i, sizeof(i)));
        vq_complete(&req);
        cr_assert(fake_used(&guest, 0, &used));
        cr_assert_eq(used.len, sizeof(i));
    }
}

/* --- hostile chains --- */

Test(virtqueue, a_chain_that_loops_is_broken)
{
    desc(0, FAKE_DATA, 16, NEXT, 1);
    desc(1, FAKE_DATA, 16, NEXT, 0);
    assert_broken("chain loops");
}

Test(virtqueue, an_indirect_table_that_loops_is_broken)
{
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA);

    for (uint16_t i = 0; i < 4; i++)
        table[i] = (struct virtq_desc){FAKE_DATA, 1, NEXT, (uint16_t)((i + 1) % 4)};
    desc(0, FAKE_DATA, 64, INDIRECT, 0);
    assert_broken("chain loops");
}

Test(virtqueue, a_long_indirect_chain_is_broken)
{
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA);

    for (uint16_t i = 0; i < 1000; i++)
        table[i] = (struct virtq_desc){FAKE_DATA, 1, NEXT, (uint16_t)(i + 1)};
    desc(0, FAKE_DATA, 16000, INDIRECT, 0);
    assert_broken("chain too long");
}

Test(virtqueue, a_head_out_of_range_is_broken)
{
    fake_add(&guest, 0, SIZE);
    assert_broken("head out of range");
}

Test(virtqueue, a_next_out_of_range_is_broken)
{
    desc(0, FAKE_DATA, 16, NEXT, SIZE);
    assert_broken("descriptor index out of range");
}

Test(virtqueue, an_indirect_next_out_of_range_is_broken)
{
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA);

    table[0] = (struct virtq_desc){FAKE_DATA, 16, NEXT, 1};
    desc(0, FAKE_DATA, 16, INDIRECT, 0);
    assert_broken("descriptor index out of range");
}

Test(virtqueue, an_address_outside_of_memory_is_broken)
{
    desc(0, FAKE_BASE + FAKE_BYTES - 8, 16, 0, 0);
    assert_broken("descriptor outside of memory");
}

Test(virtqueue, an_address_below_memory_is_broken)
{
    desc(0, FAKE_BASE - 1, 16, 0, 0);
    assert_broken("descriptor outside of memory");
}

Test(virtqueue, an_address_that_wraps_is_broken)
{
    desc(0, UINT64_MAX - 7, 16, 0, 0);
    assert_broken("descriptor outside of memory");
}

Test(virtqueue, readable_after_writable_is_broken)
{
    desc(0, FAKE_DATA, 16, NEXT | WRITE, 1);
    desc(1, FAKE_DATA, 16, 0, 0);
    assert_broken("readable descriptor after a writable one");
}

Test(virtqueue, length_zero_is_broken)
{
    desc(0, FAKE_DATA, 0, 0, 0);
    assert_broken("descriptor of length zero");
}

Test(virtqueue, too_many_bytes_are_broken)
{
    desc(0, FAKE_DATA, VQ_MAX_BYTES, NEXT, 1);
    desc(1, FAKE_DATA, 1, 0, 0);
    assert_broken("chain of too many bytes");
}

Test(virtqueue, lengths_that_would_wrap_are_broken)
{
    desc(0, FAKE_DATA, 16, NEXT, 1);
    desc(1, FAKE_DATA, UINT32_MAX - 8, 0, 0);
    assert_broken("chain of too many bytes");
}

Test(virtqueue, a_nested_indirect_table_is_broken)
{
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA);

    table[0] = (struct virtq_desc){FAKE_DATA, 16, INDIRECT, 0};
    desc(0, FAKE_DATA, 16, INDIRECT, 0);
    assert_broken("nested indirect descriptor");
}

Test(virtqueue, an_indirect_descriptor_with_a_next_one_is_broken)
{
    desc(0, FAKE_DATA, 16, INDIRECT | NEXT, 1);
    assert_broken("indirect descriptor with a next one");
}

Test(virtqueue, an_indirect_table_of_odd_length_is_broken)
{
    desc(0, FAKE_DATA, 24, INDIRECT, 0);
    assert_broken("bad length of an indirect table");
}

Test(virtqueue, an_indirect_table_of_no_length_is_broken)
{
    desc(0, FAKE_DATA, 0, INDIRECT, 0);
    assert_broken("bad length of an indirect table");
}

Test(virtqueue, an_indirect_table_outside_of_memory_is_broken)
{
    desc(0, FAKE_BASE + FAKE_BYTES, 16, INDIRECT, 0);
    assert_broken("indirect table outside of memory");
}

Test(virtqueue, an_available_index_that_runs_ahead_is_broken)
{
    guest.queue[0].added = SIZE;
    assert_broken("available index runs ahead");
}

Test(virtqueue, a_chain_made_available_twice_is_broken)
{
    desc(0, FAKE_DATA, 16, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    assert_broken("chain made available twice");
}

Test(virtqueue, an_indirect_descriptor_not_negotiated_is_broken)
{
    vq_reset(&vq);
    fake_place(&guest, 0, SIZE, &vq.state);
    cr_assert(vq_make_ready(&vq, false, false));
    desc(0, FAKE_DATA, 16, INDIRECT, 0);
    assert_broken("indirect descriptor not negotiated");
}

/* --- what is taken stays taken --- */

Test(virtqueue, descriptors_changed_after_the_pop_have_no_effect)
{
    char text[4];

    memcpy(fake_at(&guest, FAKE_DATA), "good", 4);
    desc(0, FAKE_DATA, 4, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    desc(0, UINT64_MAX, UINT32_MAX, NEXT, 77);
    cr_assert_eq(vq_readable(&req), 4);
    cr_assert(vq_read(&req, text, 4));
    cr_assert_arr_eq(text, "good", 4);
}

Test(virtqueue, ring_indices_are_not_read_back_from_the_guest)
{
    struct virtq_used_elem used;

    desc(0, FAKE_DATA, 16, WRITE, 0);
    for (unsigned i = 0; i < 3; i++) {
        fake_add(&guest, 0, 0);
        cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
        guest.queue[0].used->idx = 0x7777;
        vq_complete(&req);
        cr_assert_eq(guest.queue[0].used->idx, i + 1);
        cr_assert(fake_used(&guest, 0, &used));
    }
}

Test(virtqueue, completing_twice_does_nothing)
{
    struct virtq_used_elem used;

    desc(0, FAKE_DATA, 16, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    vq_complete(&req);
    vq_complete(&req);
    cr_assert(fake_used(&guest, 0, &used));
    cr_assert(!fake_used(&guest, 0, &used));
}

Test(virtqueue, a_request_lapses_with_a_reset)
{
    struct virtq_used_elem used;
    char byte;

    desc(0, FAKE_DATA, 16, NEXT, 1);
    desc(1, FAKE_DATA, 16, WRITE, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    vq_reset(&vq);
    fake_place(&guest, 0, SIZE, &vq.state);
    cr_assert(vq_make_ready(&vq, false, false));
    cr_assert(!vq_read(&req, &byte, 1));
    cr_assert(!vq_write(&req, "x", 1));
    cr_assert(!vq_fill(&req, 0, "", 0));
    vq_complete(&req);
    cr_assert(!fake_used(&guest, 0, &used));
    cr_assert_eq(vq.state.next_used, 0);
}

Test(virtqueue, an_unpopped_chain_comes_again)
{
    desc(0, FAKE_DATA, 16, WRITE, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    vq_unpop(&req);
    cr_assert(!vq_live(&req));
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert_eq(vq_writable(&req), 16);
}

Test(virtqueue, a_header_is_filled_in_later)
{
    struct virtq_used_elem used;

    desc(0, FAKE_DATA, 3, NEXT | WRITE, 1);
    desc(1, FAKE_DATA + 0x100, 10, WRITE, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert(vq_reserve(&req, 5));
    cr_assert(vq_write(&req, "data", 4));
    cr_assert(vq_fill(&req, 0, "header", 5));
    cr_assert(!vq_fill(&req, 5, "12345", 5), "only four bytes have been passed there");
    vq_complete(&req);
    cr_assert(fake_used(&guest, 0, &used));
    cr_assert_eq(used.len, 9);
    cr_assert_arr_eq(fake_at(&guest, FAKE_DATA), "hea", 3);
    cr_assert_arr_eq(fake_at(&guest, FAKE_DATA + 0x100), "dedata", 6);
}

/* --- set-up --- */

static bool ready_with(uint16_t size, uint64_t desc_at, uint64_t avail, uint64_t used)
{
    vq_reset(&vq);
    vq.state.size = size;
    vq.state.desc = desc_at;
    vq.state.avail = avail;
    vq.state.used = used;
    return vq_make_ready(&vq, true, true) && vq.broken == NULL;
}

Test(virtqueue, sizes_and_addresses_are_checked_at_ready)
{
    const uint64_t end = FAKE_BASE + FAKE_BYTES;

    cr_assert(ready_with(8, 0x10000, 0x20000, 0x30000));
    cr_assert(ready_with(1, 0x10000, 0x20000, 0x30000));
    cr_assert(ready_with(256, 0x10000, 0x20000, 0x30000));
    cr_assert(!ready_with(0, 0x10000, 0x20000, 0x30000));
    cr_assert(!ready_with(7, 0x10000, 0x20000, 0x30000));
    cr_assert(!ready_with(512, 0x10000, 0x20000, 0x30000));
    cr_assert(!ready_with(8, 0x10008, 0x20000, 0x30000), "descriptors are aligned to 16");
    cr_assert(!ready_with(8, 0x10000, 0x20001, 0x30000));
    cr_assert(!ready_with(8, 0x10000, 0x20000, 0x30002));
    cr_assert(ready_with(8, end - 128, end - 22, end - 72));
    cr_assert(!ready_with(8, end - 112, 0x20000, 0x30000));
    cr_assert(!ready_with(8, 0x10000, end - 20, 0x30000));
    cr_assert(!ready_with(8, 0x10000, 0x20000, end - 68));
    cr_assert(!ready_with(8, UINT64_MAX - 15, 0x20000, 0x30000));
    cr_assert(!ready_with(8, 0, 0x20000, 0x30000));
    cr_assert_eq(vq_pop(&vq, &req), VQ_BROKEN);
}

Test(virtqueue, one_that_is_not_ready_is_not_touched)
{
    static uint8_t before[FAKE_RINGS];
    uint8_t *rings = fake_at(&guest, FAKE_RINGS);

    vq_reset(&vq);
    fake_place(&guest, 0, SIZE, &vq.state);
    fake_add(&guest, 0, 0);
    memcpy(before, rings, sizeof(before));
    cr_assert_eq(vq_pop(&vq, &req), VQ_EMPTY);
    cr_assert(!vq_pending(&vq));
    cr_assert(!vq_want_kick(&vq, true));
    cr_assert(!vq_want_kick(&vq, false));
    cr_assert(!vq_interrupt_due(&vq));
    cr_assert_arr_eq(rings, before, sizeof(before));
}

/* --- telling each other --- */

static void complete_one(void)
{
    desc(0, FAKE_DATA, 16, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    vq_complete(&req);
}

Test(virtqueue, without_event_idx_the_flag_decides)
{
    cr_assert(!vq_interrupt_due(&vq));
    complete_one();
    cr_assert(vq_interrupt_due(&vq));
    cr_assert(!vq_interrupt_due(&vq), "once for what was completed");
    guest.queue[0].avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
    complete_one();
    cr_assert(!vq_interrupt_due(&vq));
    cr_assert(!vq_want_kick(&vq, false));
    cr_assert_eq(guest.queue[0].used->flags, VIRTQ_USED_F_NO_NOTIFY);
    cr_assert(!vq_want_kick(&vq, true));
    cr_assert_eq(guest.queue[0].used->flags, 0);
    fake_add(&guest, 0, 0);
    cr_assert(vq_want_kick(&vq, true), "one is there already");
}

Test(virtqueue, without_event_idx_used_event_means_nothing)
{
    fake_set_used_event(&guest, 0, 1000);
    for (int i = 0; i < 3; i++) {
        complete_one();
        cr_assert(vq_interrupt_due(&vq));
    }
    guest.queue[0].avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
    fake_set_used_event(&guest, 0, 3);
    complete_one();
    cr_assert(!vq_interrupt_due(&vq));
}

Test(virtqueue, with_event_idx_the_flag_means_nothing)
{
    teardown();
    setup_with(true, true);
    guest.queue[0].avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
    complete_one();
    cr_assert(vq_interrupt_due(&vq));
    guest.queue[0].avail->flags = 0;
    complete_one();
    cr_assert(!vq_interrupt_due(&vq));
}

Test(virtqueue, the_used_rings_flags_are_those_agreed_upon)
{
    vq_want_kick(&vq, false);
    cr_assert_eq(guest.queue[0].used->flags, VIRTQ_USED_F_NO_NOTIFY);
    teardown();
    setup_with(true, true);
    for (int want = 0; want < 2; want++) {
        vq_want_kick(&vq, want);
        complete_one();
        cr_assert_eq(guest.queue[0].used->flags, 0);
    }
}

Test(virtqueue, with_event_idx_the_guest_is_told_when_it_asked)
{
    teardown();
    setup_with(true, true);
    fake_set_used_event(&guest, 0, 2);
    complete_one();
    cr_assert(!vq_interrupt_due(&vq));
    complete_one();
    cr_assert(!vq_interrupt_due(&vq));
    complete_one();
    cr_assert(vq_interrupt_due(&vq));
    complete_one();
    cr_assert(!vq_interrupt_due(&vq));
    vq_want_kick(&vq, true);
    cr_assert_eq(fake_avail_event(&guest, 0), 4);
    cr_assert(virtq_event_due(fake_avail_event(&guest, 0), 5, 4));
    vq_want_kick(&vq, false);
    cr_assert(!virtq_event_due(fake_avail_event(&guest, 0), 5, 4));
}

Test(virtqueue, a_kick_may_be_wanted_beyond_what_is_known)
{
    teardown();
    setup_with(true, true);
    fake_add(&guest, 0, 0);
    cr_assert(vq_want_kick(&vq, true));
    cr_assert(!vq_want_kick_beyond(&vq, 1));
    cr_assert_eq(fake_avail_event(&guest, 0), 1);
    fake_add(&guest, 0, 1);
    cr_assert(vq_want_kick_beyond(&vq, 1));
    vq.broken = "a test";
    cr_assert(!vq_want_kick_beyond(&vq, 1));
}

static struct vq_done done[3];

static void take_three(void)
{
    for (uint16_t i = 0; i < 3; i++) {
        cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
        cr_assert(vq_write(&req, "abc", i + 1u));
        done[i] = vq_set_aside(&req);
    }
    cr_assert(!vq_live(&req));
}

Test(virtqueue, chains_set_aside_are_given_back_in_one_step)
{
    struct virtq_used_elem used;

    for (uint16_t i = 0; i < 3; i++) {
        desc(i, FAKE_DATA + 0x100u * i, 16, WRITE, 0);
        fake_add(&guest, 0, i);
    }
    take_three();
    cr_assert(!fake_used(&guest, 0, &used));
    vq_unpop_together(&vq, done, 3);
    cr_assert_eq(guest.queue[0].used->idx, 0);
    take_three();
    vq_complete_together(&vq, done, 3);
    for (uint16_t i = 0; i < 3; i++)
        cr_assert(fake_used(&guest, 0, &used) && used.id == i && used.len == i + 1u);
    fake_add(&guest, 0, 1);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST, "it is the guest's again");
}

/* --- files --- */

static ssize_t to_file(const struct stream_fd *to, size_t max)
{
    return vq_read_to_fd(&req, to, max);
}

Test(virtqueue, data_goes_to_a_file_in_pieces)
{
    int ends[2];
    struct stream_fd to = {.kind = STREAM_NONBLOCKING};
    char text[16];

    cr_assert_eq(pipe(ends), 0);
    to.fd = ends[1];
    memcpy(fake_at(&guest, FAKE_DATA), "abcdef", 6);
    memcpy(fake_at(&guest, FAKE_DATA + 0x100), "ghij", 4);
    desc(0, FAKE_DATA, 6, NEXT, 1);
    desc(1, FAKE_DATA + 0x100, 4, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert_eq(to_file(&to, 4), 4);
    cr_assert_eq(to_file(&to, 4), 4);
    cr_assert_eq(to_file(&to, 4), 2);
    cr_assert_eq(to_file(&to, 4), -EINVAL);
    cr_assert_eq(read(ends[0], text, sizeof(text)), 10);
    cr_assert_arr_eq(text, "abcdefghij", 10);
}

Test(virtqueue, data_goes_to_a_file_behind_a_prefix)
{
    int ends[2];
    struct stream_fd to = {.kind = STREAM_NONBLOCKING};
    char text[16];

    cr_assert_eq(pipe(ends), 0);
    to.fd = ends[1];
    memcpy(fake_at(&guest, FAKE_DATA), "-abcdef", 7);
    desc(0, FAKE_DATA, 3, NEXT, 1);
    desc(1, FAKE_DATA + 3, 4, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert(vq_read(&req, text, 1));
    cr_assert_eq(vq_read_to_fd_behind(&req, &to, "12", 2), 8);
    cr_assert_eq(vq_readable(&req), 0);
    cr_assert_eq(vq_read_to_fd_behind(&req, &to, "12", 2), -EINVAL);
    cr_assert_eq(read(ends[0], text, sizeof(text)), 8);
    cr_assert_arr_eq(text, "12abcdef", 8);
}

Test(virtqueue, data_comes_from_a_file_behind_a_header)
{
    int ends[2];
    struct stream_fd from = {.kind = STREAM_NONBLOCKING};
    struct virtq_used_elem used;

    cr_assert_eq(pipe(ends), 0);
    from.fd = ends[0];
    cr_assert_eq(write(ends[1], "0123456789", 10), 10);
    desc(0, FAKE_DATA, 6, NEXT | WRITE, 1);
    desc(1, FAKE_DATA + 0x100, 16, WRITE, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert(vq_reserve(&req, 4));
    cr_assert_eq(vq_write_from_fd(&req, &from, 7), 7);
    cr_assert(vq_fill(&req, 0, "HEAD", 4));
    vq_complete(&req);
    cr_assert(fake_used(&guest, 0, &used));
    cr_assert_eq(used.len, 11);
    cr_assert_arr_eq(fake_at(&guest, FAKE_DATA), "HEAD01", 6);
    cr_assert_arr_eq(fake_at(&guest, FAKE_DATA + 0x100), "23456", 5);
}

/* --- what the device writes, for a snapshot --- */

static uint64_t written[FAKE_BYTES / 4096 / 64];

static void want_marks(void)
{
    memset(written, 0, sizeof(written));
    guest.mem.written = written;
}

static bool is_marked(uint64_t gpa)
{
    uint64_t page = (gpa - FAKE_BASE) / 4096;

    return written[page / 64] >> (page % 64) & 1;
}

static unsigned marks(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < sizeof(written) / sizeof(written[0]); i++)
        n += (unsigned)__builtin_popcountll(written[i]);
    return n;
}

enum { USED = FAKE_RINGS + 0x8000, OUT = FAKE_DATA + 0x10000 };

/* A page to read, and two pieces to write: three pages, and one. */
static void take_one(void)
{
    desc(0, FAKE_DATA, 16, NEXT, 1);
    desc(1, OUT + 100, 2 * 4096, NEXT | WRITE, 2);
    desc(2, OUT + 0x8000, 1, WRITE, 0);
    fake_add(&guest, 0, 0);
    want_marks();
    cr_assert_eq(vq_pop(&vq, &req), VQ_REQUEST);
    cr_assert_eq(marks(), 0, "nothing has been written yet");
}

static void assert_data_marked(void)
{
    for (unsigned i = 0; i < 3; i++)
        cr_assert(is_marked(OUT + i * 4096ul), "%u", i);
    cr_assert(is_marked(OUT + 0x8000));
    cr_assert(!is_marked(FAKE_DATA), "what is only read stays clean");
}

Test(virtqueue, what_is_completed_marks_its_buffers_and_the_used_ring)
{
    take_one();
    vq_complete(&req);
    assert_data_marked();
    cr_assert(is_marked(USED));
    cr_assert_eq(marks(), 5);
}

Test(virtqueue, what_is_set_aside_marks_its_buffers_and_then_the_used_ring)
{
    take_one();
    done[0] = vq_set_aside(&req);
    assert_data_marked();
    cr_assert(!is_marked(USED));
    vq_complete_together(&vq, done, 1);
    cr_assert(is_marked(USED));
}

Test(virtqueue, what_is_put_back_marks_its_buffers)
{
    take_one();
    vq_unpop(&req);
    assert_data_marked();
    cr_assert(!is_marked(USED));
}

/* A worker may have filled them before it heard of the reset. */
Test(virtqueue, what_lapses_by_a_reset_marks_its_buffers)
{
    take_one();
    cr_assert(vq_write(&req, "x", 1));
    vq_reset(&vq);
    vq_complete(&req);
    assert_data_marked();
    cr_assert(!is_marked(USED), "the ring is not touched any more");
}

Test(virtqueue, a_wish_for_kicks_marks_the_used_ring)
{
    for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
        for (unsigned want = 0; want < 2; want++) {
            teardown();
            setup_with(event_idx, true);
            want_marks();
            vq_want_kick(&vq, want);
            cr_assert(is_marked(USED));
            cr_assert_eq(marks(), 1);
        }
    }
}

/* Where avail_event lies on another page than the ring begins. */
Test(virtqueue, a_used_ring_over_two_pages_marks_both)
{
    fake_place(&guest, 0, SIZE, &vq.state);
    vq.state.used = USED + 0x1000 - 0x20 - 4;
    cr_assert(vq_make_ready(&vq, true, true));
    want_marks();
    vq_want_kick(&vq, true);
    cr_assert(is_marked(USED) && is_marked(USED + 0x1000));
    cr_assert_eq(marks(), 2);
}
