/* setitimer and POSIX timers: when they fire again, and what they say went by. */
#include "tests/guest-kernel/task_fake.h"

#include "guest-kernel/task/clock_id.h"
#include "guest-kernel/task/signal_action.h"
#include "guest-kernel/task/task_syscalls.h"
#include "guest-kernel/task/timer.h"

#include <criterion/criterion.h>

enum { HANDLER = 0x401000, MS = 1000000, RT = SIGRTMIN + 3 };

static struct siginfo taken;

static u64 at(const void *object)
{
    return (u64)(uintptr_t)object;
}

static void start(void)
{
    fake_reset();
    fake_now = 1000 * MS;
    process.actions[SIGALRM - 1].handler = HANDLER;
    process.actions[RT - 1].handler = HANDLER;
    signal_set_blocked(~0ull);
    fake_tasks[1].signals.blocked = ~0ull;
}

TestSuite(alarm, .init = start);

static void set_itimer(u64 us)
{
    const struct timespec64 spec[2] = {{0, (s64)us}, {0, (s64)us}};
    const u64 args[6] = {0, at(spec)};

    cr_assert_eq(sys_setitimer(args), 0);
}

static int make_timer(int clock, int signo)
{
    const s32 event[16] = {77, 0, signo};
    int id = -1;
    const u64 args[6] = {(u64)clock, at(event), at(&id)};

    cr_assert_eq(sys_timer_create(args), 0);
    return id;
}

static void set_timer(int id, u64 ns)
{
    const struct timespec64 spec[2] = {{0, (s64)ns}, {0, (s64)ns}};
    const u64 args[6] = {(u64)id, 0, at(spec)};

    cr_assert_eq(sys_timer_settime(args), 0);
}

static void pass(u64 ns)
{
    fake_now += ns;
    timer_expire();
}

/* How many interrupts of 10 us a program sees in a millisecond. */
static unsigned interrupts_in_a_ms(void)
{
    unsigned before = fake_arms;

    for (int i = 0; i < 100; i++)
        if (fake_armed <= fake_now + 10000)
            pass(10000);
        else
            fake_now += 10000;
    return fake_arms - before;
}

Test(alarm, an_untaken_signal_stops_its_interval_timer)
{
    set_itimer(1);
    pass(1000);
    cr_assert(process.pending.set & sig_bit(SIGALRM));
    cr_assert_leq(interrupts_in_a_ms(), 1);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), SIGALRM);
    cr_assert_gt(fake_armed, fake_now, "taken: the next period has begun");
    cr_assert_leq(interrupts_in_a_ms(), 2);
}

Test(alarm, an_ignored_timer_leaves_time_to_run)
{
    process.actions[SIGALRM - 1].handler = SIG_IGN;
    fake_tasks[0].signals.blocked = 0;
    set_itimer(1);
    cr_assert_leq(interrupts_in_a_ms(), 12);
    cr_assert_geq(interrupts_in_a_ms(), 5, "it goes on for a handler that may come");
}

Test(alarm, periods_nobody_took_are_counted_as_overrun)
{
    int id = make_timer(CLOCK_MONOTONIC, RT);
    const u64 args[6] = {(u64)id};

    set_timer(id, 10 * MS);
    pass(10 * MS);
    pass(95 * MS);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), RT);
    cr_assert_eq(taken.timer.overrun, 9);
    cr_assert_eq(sys_timer_getoverrun(args), 9);
    pass(4 * MS);
    cr_assert_not(signal_timer_pending(id));
    pass(MS);
    cr_assert(signal_timer_pending(id), "in step with the first period");
}

Test(alarm, two_timers_of_one_signal_do_not_stop_each_other)
{
    int id = make_timer(CLOCK_MONOTONIC, SIGALRM);

    set_itimer(1000);
    set_timer(id, MS);
    pass(MS);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), SIGALRM);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), SIGALRM);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), 0);
    pass(MS);
    cr_assert(process.pending.set & sig_bit(SIGALRM));
    cr_assert(signal_timer_pending(id));
}

Test(alarm, a_timer_set_anew_is_not_moved_by_its_old_signal)
{
    int id = make_timer(CLOCK_MONOTONIC, RT);

    set_timer(id, MS);
    pass(MS);
    set_timer(id, 500 * MS);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), RT);
    pass(499 * MS);
    cr_assert_not(signal_timer_pending(id));
    pass(MS);
    cr_assert(signal_timer_pending(id));
}

Test(alarm, a_deleted_timers_signal_does_not_stand_for_a_new_one)
{
    int id = make_timer(CLOCK_MONOTONIC, RT);
    const u64 args[6] = {(u64)id};

    set_timer(id, MS);
    pass(MS);
    cr_assert_eq(sys_timer_delete(args), 0);
    id = make_timer(CLOCK_MONOTONIC, RT);
    set_timer(id, MS);
    pass(MS);
    cr_assert(signal_timer_pending(id));
}
