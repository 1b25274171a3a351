#include "tests/guest-kernel/task_fake.h"

#include "guest-kernel/arch/irq.h"
#include "guest-kernel/task/signal_action.h"
#include "guest-kernel/task/signal_frame.h"

#include "guest-kernel/lib/string.h"

#include <criterion/criterion.h>

enum { HANDLER = 0x401000, RT = SIGRTMIN + 5 };

static struct siginfo taken;

static void send(int sig, u64 value)
{
    const struct siginfo info = {.signo = sig, .code = SI_QUEUE, .user = {.value = value}};

    signal_send_process(&info);
}

static void start(void)
{
    fake_reset();
    for (int i = 0; i < SIGNAL_COUNT; i++)
        process.actions[i].handler = HANDLER;
}

TestSuite(signal, .init = start);

Test(signal, real_time_signals_queue_in_order)
{
    fake_tasks[0].signals.blocked = fake_tasks[1].signals.blocked = ~0ull;
    send(RT, 1);
    send(RT, 2);
    cr_assert_eq(signal_take(&fake_tasks[0], sig_bit(RT), &taken), RT);
    cr_assert_eq(taken.user.value, 1);
    cr_assert_eq(signal_take(&fake_tasks[0], sig_bit(RT), &taken), RT);
    cr_assert_eq(taken.user.value, 2);
    cr_assert_eq(signal_take(&fake_tasks[0], sig_bit(RT), &taken), 0);
}

Test(signal, a_standard_signal_is_pending_once)
{
    send(SIGUSR1, 1);
    send(SIGUSR1, 2);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), SIGUSR1);
    cr_assert_eq(taken.user.value, 1);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), 0);
}

Test(signal, a_thread_that_does_not_block_it_is_woken)
{
    fake_tasks[0].signals.blocked = sig_bit(SIGUSR1);
    send(SIGUSR1, 0);
    cr_assert_eq(fake_tasks[1].state, TASK_RUNNABLE);
    cr_assert(signal_waiting(&fake_tasks[1]));
    cr_assert_not(signal_waiting(&fake_tasks[0]));
}

Test(signal, an_ignored_signal_is_forgotten)
{
    process.actions[SIGCHLD - 1].handler = SIG_DFL;
    process.actions[SIGUSR1 - 1].handler = SIG_IGN;
    send(SIGCHLD, 0);
    send(SIGUSR1, 0);
    cr_assert_not(signal_waiting(&fake_tasks[0]));
    cr_assert_eq(work_pending, 0);
}

Test(signal, sigkill_cannot_be_blocked)
{
    signal_set_blocked(~0ull);
    send(SIGKILL, 0);
    cr_assert(signal_waiting(&fake_tasks[0]));
}

Test(signal, a_forced_signal_that_is_blocked_loses_its_handler)
{
    const struct siginfo fault = {.signo = SIGSEGV, .code = SEGV_MAPERR, .fault = {.addr = 8}};

    fake_tasks[0].signals.blocked = sig_bit(SIGSEGV);
    signal_force(&fault);
    cr_assert_eq(process.actions[SIGSEGV - 1].handler, SIG_DFL);
    cr_assert(signal_waiting(&fake_tasks[0]));
}

Test(signal, faults_come_first)
{
    send(SIGHUP, 0);
    send(SIGSEGV, 0);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), SIGSEGV);
    cr_assert_eq(signal_take(&fake_tasks[0], ~0ull, &taken), SIGHUP);
}

Test(signal_frame, it_lies_below_the_stack_pointer_and_is_aligned)
{
    struct signal_frame_place place;

    for (u64 sp = 0x10000; sp < 0x10100; sp++) {
        cr_assert(signal_frame_place(&place, sp, 2696, 0xe7));
        cr_assert_leq(place.end, sp);
        cr_assert_eq(place.fpu % 64, 0);
        cr_assert_eq(place.end - place.fpu, 2696 + 4);
        cr_assert_eq(place.frame % 16, 8, "as after a call");
        cr_assert_leq(place.frame + sizeof(struct signal_frame), place.fpu);
    }
}

Test(signal_frame, a_stack_at_the_bottom_of_memory_is_refused)
{
    struct signal_frame_place place;

    cr_assert_not(signal_frame_place(&place, 100, 512, 0));
}

Test(signal_frame, registers_survive_the_round_trip)
{
    struct regs in, out;
    struct sigcontext context;

    for (unsigned i = 0; i < sizeof(in) / sizeof(u64); i++)
        ((u64 *)&in)[i] = 0x1000 + i;
    in.cs = 0x33;
    in.ss = 0x2b;
    in.rflags = 0x246;
    signal_context_save(&context, &in);
    cr_assert(signal_context_restore(&context, &out));
    in.orig_rax = UINT64_MAX; /* not part of it: nothing is to be restarted */
    cr_assert_arr_eq(&in, &out, sizeof(in));
}

Test(signal_frame, the_kernel_is_not_reachable_through_sigreturn)
{
    struct sigcontext context = {.rip = 0x7f8000100000};
    struct regs regs;

    cr_assert_not(signal_context_restore(&context, &regs));
}

Test(signal_frame, privileged_flags_and_selectors_are_ours)
{
    struct sigcontext context = {.rip = 0x1000, .rflags = ~0ull, .cs = 0x10, .ss = 0x18};
    struct regs regs;

    cr_assert(signal_context_restore(&context, &regs));
    cr_assert_eq(regs.cs, 0x33);
    cr_assert_eq(regs.ss, 0x2b);
    cr_assert_eq(regs.rflags & 0x3000, 0, "IOPL");
    cr_assert_eq(regs.rflags & 0x4000, 0, "NT");
    context.rflags = 0;
    cr_assert(signal_context_restore(&context, &regs));
    cr_assert_eq(regs.rflags & 0x200, 0x200, "IF");
}

Test(signal_frame, reserved_bits_of_an_fpu_image_are_cleared)
{
    enum { SIZE = 832 };
    u64 image[(SIZE + 8) / 8];
    u64 *header = image + 512 / 8;
    u32 mxcsr;

    memset(image, 0xff, sizeof(image));
    signal_fpu_mark(image, SIZE, 7);
    cr_assert(signal_fpu_marked(image, SIZE, 7));
    cr_assert_not(signal_fpu_marked(image, SIZE - 64, 7));
    signal_fpu_sanitize(image, SIZE, 7, true);
    memcpy(&mxcsr, (u8 *)image + 24, sizeof(mxcsr));
    cr_assert_eq(mxcsr, 0xffff);
    cr_assert_eq(header[0], 7);
    for (unsigned i = 1; i < 8; i++)
        cr_assert_eq(header[i], 0);
}

Test(signal_frame, an_image_without_marks_keeps_its_fxsave_part)
{
    enum { SIZE = 832 };
    u64 image[(SIZE + 8) / 8];

    memset(image, 0xff, sizeof(image));
    signal_fpu_sanitize(image, SIZE, 7, false);
    cr_assert_eq(image[512 / 8], 3, "x87 and SSE are there");
    cr_assert_eq(image[576 / 8], 0, "the rest is as at the start");
}
