/*
 * `samara run`: options, VM, and while it runs signals and the time limit. Signals arrive through a
 * signalfd in the loop; all threads have them blocked.
 */
#include "monitor/run.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "monitor/options.h"
#include "monitor/program.h"
#include "monitor/vm.h"

#define GRACE_NS 1000000000ull /* between SIGTERM at the time limit and the end */

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

struct run {
    struct vm *vm;
    int signal_fd;
    struct loop_timer timer;
    bool timed_out;
};

static void on_signal(void *arg, uint32_t events)
{
    struct run *run = arg;
    struct signalfd_siginfo info;

    (void)events;
    while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGWINCH)
            vm_resize(run->vm);
        vm_signal(run->vm, (int)info.ssi_signo);
    }
}

static void on_time(void *arg)
{
    struct run *run = arg;

    if (run->timed_out) {
        vm_abandon(run->vm);
        return;
    }
    run->timed_out = true;
    vm_signal(run->vm, SIGTERM);
    loop_timer_set(&run->vm->loop, &run->timer, loop_now_ns() + GRACE_NS);
}

static int watch_signals(struct run *run, struct err *err)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
        struct sigaction now;

        /* What the caller told us to ignore (nohup) stays ignored. */
        if (sigaction(forwarded[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            continue;
        sigaddset(&set, forwarded[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return err_sys(err, "sigprocmask");
    run->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (run->signal_fd < 0)
        return err_sys(err, "signalfd");
    if (loop_add(&run->vm->loop, run->signal_fd, EPOLLIN, on_signal, run) < 0)
        return err_sys(err, "watch signals");
    return 0;
}

static int watch(struct run *run, const struct run_options *options, struct err *err)
{
    int r;

    device_lock_take(&run->vm->lock);
    r = watch_signals(run, err);
    if (options->timeout_ns) {
        run->timer = (struct loop_timer){.fn = on_time, .arg = run};
        loop_timer_set(&run->vm->loop, &run->timer, loop_now_ns() + options->timeout_ns);
    }
    device_lock_release(&run->vm->lock);
    return r;
}

static void take_guest_text(struct report *report, const char *text, size_t len)
{
    printable_copy(report->guest, sizeof(report->guest), text, len);
}

static int guest_status(struct vm *vm, const char *program, struct report *report)
{
    static struct samara_platform page;
    char why[ERR_TEXT];

    platform_read(&vm->platform, &page);
    switch (page.exit_kind) {
    case SAMARA_EXIT_STATUS:
        return page.exit_code & 0xff;
    case SAMARA_EXIT_SIGNAL:
        return 128 + (int)(page.exit_code & 0x7f);
    case SAMARA_EXIT_NOEXEC:
        printable_copy(why, sizeof(why), page.panic_text, page.panic_length);
        err_set(&report->err, "%s: %s", program, why);
        return EXIT_NOT_RUNNABLE;
    default:
        take_guest_text(report, page.panic_text, page.panic_length);
        err_set(&report->err, "the guest kernel gave up");
        return EXIT_SAMARA;
    }
}

static int outcome(struct run *run, const char *program, struct report *report)
{
    struct vm *vm = run->vm;

    if (vm->end == VM_FAILED) {
        take_guest_text(report, vm->report, strlen(vm->report));
        err_set(&report->err, "the virtual machine stopped");
        return EXIT_SAMARA;
    }
    if (run->timed_out)
        return EXIT_TIMEOUT;
    return guest_status(vm, program, report);
}

static int run_vm(struct run *run, const struct run_options *options, struct report *report)
{
    struct err *err = &report->err;
    int status;

    if (watch(run, options, err) != 0)
        return EXIT_SAMARA;
    vm_run(run->vm);
    status = outcome(run, options->program, report);
    if (vm_write_trace(run->vm, err) != 0)
        return EXIT_SAMARA;
    return status;
}

static int run_program(const struct run_options *options, struct report *report)
{
    static struct vm vm;
    struct run run = {.vm = &vm, .signal_fd = -1};
    int status;

    if (vm_config_check(&options->vm, &report->err) != 0 ||
        vm_create(&vm, &options->vm, &report->err) != 0)
        return EXIT_SAMARA;
    status = run_vm(&run, options, report);
    if (!getenv("SPX"))
        vm_destroy(&vm);
    return status;
}

int run_command(int argc, char **argv, struct report *report)
{
    struct run_options options;
    int status = EXIT_SAMARA;

    if (options_parse(&options, argc, argv, &report->err) == 0) {
        status = options.help ? 0 : program_open(&options.vm, options.program, &report->err);
        if (options.help)
            options_help();
        else if (status == 0)
            status = run_program(&options, report);
    }
    vm_config_close(&options.vm);
    return status;
}
