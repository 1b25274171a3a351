#include "tests/guest-kernel/task_fake.h"

#include "guest-kernel/lib/errno.h"
#include "guest-kernel/task/futex.h"
#include "guest-kernel/task/task_syscalls.h"

#include <criterion/criterion.h>

enum {
    WAIT = 0,
    WAKE = 1,
    CMP_REQUEUE = 4,
    WAKE_OP = 5,
    LOCK_PI = 6,
    UNLOCK_PI = 7,
    WAIT_BITSET = 9
};

static u32 word, other;
static long woken;

static u64 at(u32 *w)
{
    return (u64)(uintptr_t)w;
}

static long futex(u32 *w, int command, u32 value, u64 timeout_or_count, u32 *second, u32 value3)
{
    const u64 args[6] = {at(w), (u64)command, value, timeout_or_count, at(second), value3};

    return sys_futex(args);
}

static void wake_word(void)
{
    woken = futex(&word, WAKE, 1, 0, NULL, 0);
}

static void wake_other(void)
{
    woken = futex(&other, WAKE, 1, 0, NULL, 0);
}

TestSuite(futex, .init = fake_reset);

enum { PRIVATE = 128 };
static _Alignas(8192) u32 two_pages[2048];

static void wake_second_place(void)
{
    woken = futex(&two_pages[1024], WAKE, 1, 0, NULL, 0);
}

static void wake_second_place_private(void)
{
    woken = futex(&two_pages[1024], WAKE | PRIVATE, 1, 0, NULL, 0);
}

Test(futex, a_shared_word_is_the_same_wherever_its_page_is_mapped)
{
    struct area a = {.start = at(two_pages),
                     .end = at(two_pages + 2048),
                     .kind = AREA_FILE,
                     .flags = AREA_SHARED};

    fake_area = &a;
    fake_pte = 0x1234000;
    fake_while_asleep = wake_second_place;
    cr_assert_eq(futex(two_pages, WAIT, 0, 0, NULL, 0), 0);
    cr_assert_eq(woken, 1);
    fake_while_asleep = wake_second_place_private;
    cr_assert_eq(futex(two_pages, WAIT | PRIVATE, 0, 0, NULL, 0), -EINTR);
    cr_assert_eq(woken, 0);
}

Test(futex, a_wake_leaves_those_who_are_handed_a_mutex)
{
    word = (u32)fake_tasks[1].tid;
    fake_while_asleep = wake_word;
    cr_assert_eq(futex(&word, LOCK_PI, 0, 0, NULL, 0), -EINTR);
    cr_assert_eq(woken, 0);
}

Test(futex, a_word_that_changed_is_not_waited_for)
{
    word = 1;
    cr_assert_eq(futex(&word, WAIT, 2, 0, NULL, 0), -EAGAIN);
}

Test(futex, a_wake_ends_a_wait_at_the_same_address)
{
    fake_while_asleep = wake_word;
    cr_assert_eq(futex(&word, WAIT, 0, 0, NULL, 0), 0);
    cr_assert_eq(woken, 1);
}

Test(futex, a_wake_elsewhere_does_not)
{
    fake_while_asleep = wake_other;
    cr_assert_eq(futex(&word, WAIT, 0, 0, NULL, 0), -EINTR);
    cr_assert_eq(woken, 0);
    cr_assert_eq(futex(&word, WAKE, 1, 0, NULL, 0), 0, "an interrupted waiter has left its bucket");
}

Test(futex, a_timeout_ends_a_wait)
{
    const u64 timeout[2] = {0, 10};

    cr_assert_eq(futex(&word, WAIT, 0, (u64)(uintptr_t)timeout, NULL, 0), -ETIMEDOUT);
}

static void requeue_then_wake(void)
{
    cr_assert_eq(futex(&word, CMP_REQUEUE, 0, 1, &other, 7), -EAGAIN);
    cr_assert_eq(futex(&word, CMP_REQUEUE, 0, 1, &other, 0), 1);
    wake_word();
    cr_assert_eq(woken, 0);
    wake_other();
}

Test(futex, a_requeued_waiter_is_woken_at_its_new_address)
{
    fake_while_asleep = requeue_then_wake;
    cr_assert_eq(futex(&word, WAIT, 0, 0, NULL, 0), 0);
    cr_assert_eq(woken, 1);
}

static void wake_bit_2(void)
{
    woken = futex_wake(at(&word), 1, 2);
}

Test(futex, bits_choose_who_is_woken)
{
    fake_while_asleep = wake_bit_2;
    cr_assert_eq(futex(&word, WAIT_BITSET, 0, 0, NULL, 1), -EINTR);
    cr_assert_eq(woken, 0);
    cr_assert_eq(futex(&word, WAIT_BITSET, 0, 0, NULL, 3), 0);
    cr_assert_eq(futex(&word, WAIT_BITSET, 0, 0, NULL, 0), -EINVAL);
}

Test(futex, wake_op_changes_the_second_word)
{
    const u32 add_5_if_equal_3 = 1u << 28 | 0u << 24 | 5u << 12 | 3u;

    other = 3;
    cr_assert_eq(futex(&word, WAKE_OP, 1, 1, &other, add_5_if_equal_3), 0);
    cr_assert_eq(other, 8);
}

static void unlock_as_other(void)
{
    task_running = &fake_tasks[1];
    cr_assert_eq(futex(&word, UNLOCK_PI, 0, 0, NULL, 0), 0);
    task_running = &fake_tasks[0];
}

Test(futex, an_unlocked_pi_mutex_belongs_to_the_next_waiter)
{
    word = (u32)fake_tasks[1].tid;
    fake_while_asleep = unlock_as_other;
    cr_assert_eq(futex(&word, LOCK_PI, 0, 0, NULL, 0), 0);
    cr_assert_eq(word, (u32)fake_tasks[0].tid);
    cr_assert_eq(futex(&word, LOCK_PI, 0, 0, NULL, 0), -EDEADLK);
}

Test(futex, bad_addresses_are_refused)
{
    const u64 unaligned[6] = {at(&word) + 1, WAIT};
    const u64 absent[6] = {16, WAIT};

    cr_assert_eq(sys_futex(unaligned), -EINVAL);
    const u64 wake_absent[6] = {16, WAKE, 1}, wake_private[6] = {16, WAKE | PRIVATE, 1};

    cr_assert_eq(sys_futex(absent), -EFAULT);
    cr_assert_eq(sys_futex(wake_absent), -EFAULT);
    cr_assert_eq(sys_futex(wake_private), 0);
}

Test(futex, a_robust_mutex_learns_that_its_owner_died)
{
    struct {
        u64 next;
        u32 lock;
    } entry = {.lock = (u32)fake_tasks[0].tid | 0x80000000u};
    u64 head[3] = {(u64)(uintptr_t)&entry, sizeof(u64), 0};

    entry.next = (u64)(uintptr_t)head;
    fake_tasks[0].robust_list = (u64)(uintptr_t)head;
    futex_exit(&fake_tasks[0]);
    cr_assert_eq(entry.lock, 0xc0000000u);
}

static struct {
    u64 next;
    u32 lock;
} held;

static void owner_exits(void)
{
    static u64 head[3];

    head[0] = (u64)(uintptr_t)&held | 1;
    head[1] = sizeof(u64);
    held.next = (u64)(uintptr_t)head;
    fake_tasks[1].robust_list = (u64)(uintptr_t)head;
    futex_exit(&fake_tasks[1]);
}

Test(futex, the_next_waiter_owns_a_robust_pi_mutex_whose_owner_died)
{
    held.lock = (u32)fake_tasks[1].tid;
    fake_while_asleep = owner_exits;
    cr_assert_eq(futex(&held.lock, LOCK_PI, 0, 0, NULL, 0), 0);
    cr_assert_eq(held.lock, (u32)fake_tasks[0].tid | 0x40000000u);
}

Test(futex, a_pi_mutex_of_nobody_is_not_waited_for)
{
    word = 12345678;
    cr_assert_eq(futex(&word, LOCK_PI, 0, 0, NULL, 0), -ESRCH);
}
