#include "tests/guest-kernel/task_fake.h"

#include "guest-kernel/task/timer.h"

#include <criterion/criterion.h>

static struct timer *order[8];
static unsigned fired;

static void note(struct timer *timer)
{
    order[fired++] = timer;
}

static struct timer a = {.fire = note}, b = {.fire = note}, c = {.fire = note};

TestSuite(timer, .init = fake_reset);

Test(timer, timers_fire_in_the_order_of_their_deadlines)
{
    timer_set(&a, 300);
    timer_set(&b, 100);
    timer_set(&c, 200);
    fake_now = 250;
    timer_expire();
    cr_assert_eq(fired, 2);
    cr_assert_eq(order[0], &b);
    cr_assert_eq(order[1], &c);
    cr_assert_eq(fake_armed, 300);
}

Test(timer, a_cancelled_timer_does_not_fire)
{
    timer_set(&a, 100);
    timer_set(&b, 200);
    timer_cancel(&a);
    fake_now = 500;
    timer_expire();
    cr_assert_eq(fired, 1);
    cr_assert_eq(order[0], &b);
}

Test(timer, setting_again_moves_a_timer)
{
    timer_set(&a, 100);
    timer_set(&b, 200);
    timer_set(&a, 300);
    fake_now = 250;
    timer_expire();
    cr_assert_eq(fired, 1);
    cr_assert_eq(order[0], &b);
}

Test(timer, the_apic_is_told_only_of_earlier_deadlines)
{
    timer_set(&a, 100);
    timer_set(&b, 200);
    timer_cancel(&a);
    timer_set(&c, 150);
    cr_assert_eq(fake_arms, 1);
    cr_assert_eq(fake_armed, 100);
    fake_now = 100;
    timer_expire(); /* for nobody */
    cr_assert_eq(fired, 0);
    cr_assert_eq(fake_armed, 150);
}

static void again(struct timer *timer)
{
    note(timer);
    timer_set(timer, timer->deadline + 100);
}

Test(timer, a_callback_may_arm_its_own_timer)
{
    a.fire = again;
    timer_set(&a, 100);
    fake_now = 100;
    timer_expire();
    cr_assert_eq(fired, 1);
    cr_assert(a.armed);
    cr_assert_eq(fake_armed, 200);
}
