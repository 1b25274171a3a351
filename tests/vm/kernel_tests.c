/* Other guest kernels: what --kernel takes, and what one can do to the monitor. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
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
    ERROR_HAS(&o, "gave up during boot"); /* it never said that it was up */
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

/* The first is sent on, in vain; from the second a second later it is clear that nobody is there.
 */
static void a_guest_that_takes_no_signals_is_ended_by_the_second(void)
{
    struct job job = {
        .argv = {samara(), "run", "--kernel", program("kernel-spin.elf"), "/bin/busybox", "true"}};
    struct running r;
    struct outcome o;

    job_start(&job, &r);
    usleep(300000);
    kill(r.pid, SIGTERM);
    usleep(1500000);
    kill(r.pid, SIGTERM);
    job_finish(&r, &o);
    STATUS(&o, 143);
}

/* The guest can fill the pipe itself; the monitor must not wait for its reader. */
static void a_full_standard_error_does_not_stop_the_monitor(void)
{
    struct job job = {.argv = {samara(), "run", "--timeout", "500ms", "--kernel",
                               program("kernel-bad-access.elf"), "/bin/busybox", "true"}};
    int status, err[2];
    pid_t pid;

    CHECK(pipe(err) == 0 && fcntl(err[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(err[1], "0123456789abcdef", 16) > 0)
        ;
    CHECK(fcntl(err[1], F_SETFL, 0) == 0);
    pid = fork();
    if (pid == 0) {
        dup2(err[1], 2);
        execv(job.argv[0], (char *const *)(unsigned long)job.argv);
        _exit(99);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 124);
}

static void a_program_file_that_shrinks_is_reported(void)
{
    const char *path = scratch("shrinks"), *address = scratch("shrinks.sock");
    struct job job = {.argv = {samara(), "run", "--vsock", address, "--kernel",
                               program("kernel-rings-in-program.elf"), path}};
    char command[400];
    struct running r;
    struct outcome o;

    snprintf(command, sizeof(command), "cp %s %s && truncate -s 4M %s", program("hello"), path,
             path);
    CHECK(system(command) == 0);
    job_start(&job, &r);
    usleep(500000);
    CHECK(access(address, F_OK) == 0);
    CHECK(truncate(path, 0) == 0);
    job_finish(&r, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "became shorter");
    CHECK(access(address, F_OK) != 0);
}

static void a_vcpu_pauses_and_resumes(void)
{
    struct job job = {.argv = {program("pause"), program("kernel-count.elf"), program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
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
    {"kernel/a_guest_that_takes_no_signals_is_ended_by_the_second",
     a_guest_that_takes_no_signals_is_ended_by_the_second},
    {"kernel/a_full_standard_error_does_not_stop_the_monitor",
     a_full_standard_error_does_not_stop_the_monitor},
    {"kernel/a_vcpu_pauses_and_resumes", a_vcpu_pauses_and_resumes},
    {"kernel/a_program_file_that_shrinks_is_reported", a_program_file_that_shrinks_is_reported},
    {NULL, NULL},
};
