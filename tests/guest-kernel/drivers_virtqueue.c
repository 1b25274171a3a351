/* The driver's side of a virtqueue, with the test as the device: a good one, then hostile ones. */
#include <criterion/criterion.h>
#include <string.h>
#include "abi/virtio.h"
#include "guest-kernel/drivers/virtqueue.h"

enum { SIZE = 8 };

static _Alignas(16) char memory[4096];
static struct vq vq;
static char data[64];

static void setup(void)
{
    memset(memory, 0, sizeof(memory));
    vq_init(&vq, SIZE, memory, 0, true);
}

static bool add(void *token, bool writes, unsigned parts)
{
    struct vq_part part[SIZE + 1];

    for (unsigned i = 0; i < parts; i++)
        part[i] = (struct vq_part){data, 16, writes};
    return vq_add(&vq, part, parts, token);
}

static void device_uses(uint32_t id, uint32_t len)
{
    volatile uint32_t *elem = (volatile uint32_t *)(volatile void *)(vq.used + 2);
    uint16_t idx = vq.used[1];

    elem[2 * (idx % SIZE)] = id;
    elem[2 * (idx % SIZE) + 1] = len;
    vq.used[1] = (uint16_t)(idx + 1);
}

TestSuite(virtqueue_driver, .init = setup);

Test(virtqueue_driver, a_chain_is_laid_out_for_the_device)
{
    const struct vq_part parts[] = {{data, 10, false}, {data + 10, 20, true}};
    uint16_t head;

    cr_assert(vq_add(&vq, parts, 2, data));
    cr_assert_eq(vq.avail[1], 1);
    head = vq.avail[2];
    cr_expect_eq(vq.desc[head].addr, (uintptr_t)data);
    cr_expect_eq(vq.desc[head].len, 10);
    cr_expect_eq(vq.desc[head].flags, VIRTQ_DESC_F_NEXT);
    cr_expect_eq(vq.desc[vq.desc[head].next].flags, VIRTQ_DESC_F_WRITE);
}

Test(virtqueue_driver, a_used_request_comes_back_once)
{
    struct vq_used used;

    cr_assert(add(data, true, 2));
    cr_expect_not(vq_pop(&vq, &used));
    device_uses(vq.avail[2], 32);
    cr_assert(vq_pop(&vq, &used));
    cr_expect_eq(used.token, data);
    cr_expect_eq(used.len, 32);
    cr_expect_not(vq_pop(&vq, &used));
    cr_expect_eq(vq.free_count, SIZE);
}

Test(virtqueue_driver, a_full_ring_refuses_and_recovers)
{
    struct vq_used used;

    for (int i = 0; i < SIZE / 2; i++)
        cr_assert(add(data, false, 2));
    cr_expect_not(add(data, false, 1));
    device_uses(vq.avail[2], 0);
    cr_assert(vq_pop(&vq, &used));
    cr_expect_not(add(data, false, 3));
    cr_expect(add(data, false, 2));
}

Test(virtqueue_driver, a_hundred_thousand_requests_wrap_the_index)
{
    struct vq_used used;

    for (int i = 0; i < 100000; i++) {
        cr_assert(add(data, true, 1 + (unsigned)i % 3));
        device_uses(vq.avail[2 + i % SIZE], 16);
        cr_assert(vq_pop(&vq, &used));
    }
    cr_expect_eq(vq.free_count, SIZE);
}

Test(virtqueue_driver, an_id_out_of_range_breaks_the_queue)
{
    struct vq_used used;

    cr_assert(add(data, true, 1));
    device_uses(SIZE, 0);
    cr_expect_not(vq_pop(&vq, &used));
    cr_expect(vq.broken);
    cr_expect_not(add(data, true, 1));
}

Test(virtqueue_driver, an_id_not_in_flight_breaks_the_queue)
{
    struct vq_used used;

    cr_assert(add(data, true, 2));
    device_uses(vq.desc[vq.avail[2]].next, 0);
    cr_expect_not(vq_pop(&vq, &used));
    cr_expect(vq.broken);
}

Test(virtqueue_driver, an_id_used_twice_breaks_the_queue)
{
    struct vq_used used;

    cr_assert(add(data, true, 1));
    device_uses(vq.avail[2], 0);
    device_uses(vq.avail[2], 0);
    cr_assert(vq_pop(&vq, &used));
    cr_expect_not(vq_pop(&vq, &used));
    cr_expect(vq.broken);
}

Test(virtqueue_driver, a_length_beyond_the_writable_part_breaks_the_queue)
{
    const struct vq_part parts[] = {{data, 10, false}, {data + 10, 20, true}};
    struct vq_used used;

    cr_assert(vq_add(&vq, parts, 2, data));
    device_uses(vq.avail[2], 21);
    cr_expect_not(vq_pop(&vq, &used));
    cr_expect(vq.broken);
}

Test(virtqueue_driver, an_index_that_runs_ahead_breaks_the_queue)
{
    struct vq_used used;

    cr_assert(add(data, true, 1));
    vq.used[1] = SIZE + 1;
    cr_expect_not(vq_pop(&vq, &used));
    cr_expect(vq.broken);
}

Test(virtqueue_driver, a_kick_is_due_only_when_asked_for)
{
    volatile uint16_t *avail_event = &vq.used[2 + 4 * SIZE];

    cr_expect_not(vq_kick_due(&vq));
    cr_assert(add(data, true, 1));
    cr_expect(vq_kick_due(&vq));
    cr_expect_not(vq_kick_due(&vq));
    cr_assert(add(data, true, 1));
    cr_expect_not(vq_kick_due(&vq));
    *avail_event = 3;
    cr_assert(add(data, true, 1));
    cr_expect_not(vq_kick_due(&vq));
    cr_assert(add(data, true, 1));
    cr_expect(vq_kick_due(&vq));
}

Test(virtqueue_driver, arming_tells_of_what_finished_meanwhile)
{
    struct vq_used used;

    cr_assert(add(data, true, 1));
    cr_expect_not(vq_arm(&vq));
    device_uses(vq.avail[2], 0);
    cr_expect(vq_arm(&vq));
    cr_assert(vq_pop(&vq, &used));
    cr_expect_not(vq_arm(&vq));
    cr_expect_eq(vq.avail[2 + SIZE], 1);
}
