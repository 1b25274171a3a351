/* Other guest kernels: what --kernel takes, and what one can do to the monitor. */
#include <string.h>
#include "tests/vm/runner.h"

static void run_kernel(const char *kernel, const char *option, const char *value, struct outcome *o)
{
    struct job job = {.argv = {samara(), "run", "--kernel", program(kernel), option, value,
                               "/bin/busybox", "true"}};

    job_run(&job, o);
}

static void a_kernel_with_our_note_is_entered_and_exits(void)
{
    struct outcome o;

    run_kernel("kernel-exit.elf", "--mem", "16M", &o);
    STATUS(&o, 42);
    CHECK(o.err_len == 0);
}

static void memory_beyond_the_device_hole_is_no_obstacle(void)
{
    struct outcome o;

    run_kernel("kernel-exit.elf", "--mem", "5G", &o);
    STATUS(&o, 42);
}

static void a_pvh_kernel_is_entered_with_its_start_info(void)
{
    struct outcome o;

    run_kernel("kernel-pvh.elf", "--mem", "64M", &o);
    STATUS(&o, 43);
}

static void a_panic_cannot_drive_the_terminal(void)
{
    struct outcome o;

    run_kernel("kernel-panic.elf", "--mem", "64M", &o);
    STATUS(&o, 125);
    ERROR_HAS(&o,
              "samara: guest kernel: one\nsamara: guest kernel: \\x1b[2Jtwo\ttab\\x0d\\x07bell");
    ERROR_HAS(&o, "\\xc2\\x9bcsi\\xff \303\251t\303\251\n");
}

static void a_triple_fault_is_reported_with_registers(void)
{
    struct outcome o;

    run_kernel("kernel-triple-fault.elf", "--mem", "64M", &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: guest kernel: ");
    ERROR_HAS(&o, "rip ");
}

static void a_guest_that_never_leaves_is_stopped_in_time(void)
{
    struct outcome o;

    run_kernel("kernel-spin.elf", "--timeout", "100ms", &o);
    STATUS(&o, 124);
}

const struct vm_test kernel_tests[] = {
    {"kernel/a_kernel_with_our_note_is_entered_and_exits",
     a_kernel_with_our_note_is_entered_and_exits},
    {"kernel/memory_beyond_the_device_hole_is_no_obstacle",
     memory_beyond_the_device_hole_is_no_obstacle},
    {"kernel/a_pvh_kernel_is_entered_with_its_start_info",
     a_pvh_kernel_is_entered_with_its_start_info},
    {"kernel/a_panic_cannot_drive_the_terminal", a_panic_cannot_drive_the_terminal},
    {"kernel/a_triple_fault_is_reported_with_registers", a_triple_fault_is_reported_with_registers},
    {"kernel/a_guest_that_never_leaves_is_stopped_in_time",
     a_guest_that_never_leaves_is_stopped_in_time},
    {NULL, NULL},
};
