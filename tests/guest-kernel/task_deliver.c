/* What becomes of an interrupted system call, and of a signal that finds no stack. */
#include "tests/guest-kernel/task_fake.h"

#include "guest-kernel/arch/regs.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/task/signal_action.h"
#include "guest-kernel/task/signal_frame.h"
#include "guest-kernel/task/task_syscalls.h"

#include "guest-kernel/lib/string.h"

#include <criterion/criterion.h>

enum { HANDLER = 0x401000, RESTORER = 0x402000, RIP = 0x400010 };
enum { READ = 0, NANOSLEEP = 35, FUTEX = 202, RESTART_SYSCALL = 219 };
enum { LOCK_PI = 6, WAIT = 0 };

static _Alignas(64) u8 stack[65536], fpu_image[512];
static struct regs regs;

static void start(void)
{
    fake_reset();
    regs = (struct regs){.rip = RIP, .rsp = (u64)(uintptr_t)(stack + sizeof(stack))};
    fake_tasks[0].arch.regs = &regs;
    fake_tasks[0].arch.fpu = fpu_image;
    fake_tasks[0].signals.altstack.flags = SS_DISABLE;
}

TestSuite(deliver, .init = start);

static void handle(int sig, u64 flags)
{
    process.actions[sig - 1] =
        (struct sigaction){.handler = HANDLER, .flags = SA_RESTORER | flags, .restorer = RESTORER};
}

/* A signal interrupts call, which waited until deadline (0: forever). */
static void interrupt(u64 call, u64 second, u64 deadline)
{
    regs.orig_rax = call;
    regs.rsi = second;
    regs.rax = (u64)-EINTR;
    fake_tasks[0].wait.interrupted = deadline;
    signal_self(SIGUSR1);
    signal_deliver(&regs);
}

/* What the handler's frame goes back to. */
static const struct sigcontext *context(void)
{
    const struct signal_frame *frame = (void *)(uintptr_t)regs.rsp;

    cr_assert_eq(regs.rip, HANDLER);
    return &frame->uc.context;
}

static bool starts_again(void)
{
    return context()->rip == RIP - 2;
}

Test(deliver, sa_restart_restarts_what_has_no_deadline)
{
    handle(SIGUSR1, SA_RESTART);
    interrupt(READ, 0, 0);
    cr_assert(starts_again());
    cr_assert_eq(context()->rax, READ);
    start();
    handle(SIGUSR1, SA_RESTART);
    interrupt(FUTEX, WAIT, 500);
    cr_assert_not(starts_again());
    cr_assert_eq(context()->rax, (u64)-EINTR);
}

Test(deliver, a_mutex_that_is_handed_over_is_waited_for_again)
{
    handle(SIGUSR1, 0);
    interrupt(FUTEX, LOCK_PI, 0);
    cr_assert(starts_again());
    start();
    handle(SIGUSR1, 0);
    interrupt(FUTEX, LOCK_PI | 128, 500);
    cr_assert(starts_again());
}

Test(deliver, a_wait_resumed_without_a_handler_keeps_its_deadline)
{
    const u64 none[6] = {0};

    process.actions[SIGUSR1 - 1].handler = SIG_IGN;
    interrupt(NANOSLEEP, 0, 500);
    cr_assert_eq(regs.rip, RIP - 2);
    cr_assert_eq(regs.rax, RESTART_SYSCALL);
    cr_assert_eq(sys_restart_syscall(none), 0);
    cr_assert_eq(fake_dispatched, NANOSLEEP);
    cr_assert_eq(fake_limit, 500);
    cr_assert_eq(fake_tasks[0].wait.limit, 0, "the next call has its own");
    cr_assert_eq(sys_restart_syscall(none), -EINTR, "the program's own call of it");
}

static u8 *alternate(u64 size)
{
    u8 *low = stack + 16384;

    fake_tasks[0].signals.altstack = (struct sigstack){.sp = (u64)(uintptr_t)low, .size = size};
    return low;
}

Test(deliver, a_frame_does_not_run_out_of_the_alternate_stack)
{
    u8 *low = alternate(800);

    memset(stack, 0x55, 32768);
    handle(SIGUSR1, SA_ONSTACK);
    if (setjmp(fake_end) == 0) {
        interrupt(READ, 0, 0);
        cr_assert_fail("a frame of more than 900 bytes was built in 800");
    }
    cr_assert_eq(fake_killed, SIGSEGV);
    for (u8 *p = stack; p < low; p++)
        cr_assert_eq(*p, 0x55);
}

Test(deliver, a_frame_fits_on_an_alternate_stack_of_2048_bytes)
{
    u8 *low = alternate(2048);

    handle(SIGUSR1, SA_ONSTACK);
    interrupt(READ, 0, 0);
    cr_assert_eq(regs.rip, HANDLER);
    cr_assert_gt(regs.rsp, (u64)(uintptr_t)low);
    cr_assert_lt(regs.rsp, (u64)(uintptr_t)low + 2048);
}

Test(deliver, without_room_for_a_frame_the_handler_of_sigsegv_runs_on_its_own_stack)
{
    alternate(8192);
    handle(SIGUSR1, 0);
    handle(SIGSEGV, SA_ONSTACK);
    regs.rsp = 16;
    interrupt(READ, 0, 0);
    cr_assert_eq(regs.rip, HANDLER);
    cr_assert_eq(regs.rdi, SIGSEGV);
}
