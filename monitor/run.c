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
#include "monitor/warn.h"

#define GRACE_NS 1000000000ull /* between SIGTERM at the time limit and the end */

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

struct run {
    struct vm *vm;
    sigset_t before; /* the signals that were blocked when we came */
    int signal_fd;
    int killed_by; /* a signal that nobody in the guest was there to take */
    struct loop_timer timer;
    bool timed_out;
};

/* What ends a process that does nothing about it. */
static bool is_fatal(int sig)
{
    return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT;
}

static void on_signal(void *arg, uint32_t events)
{
    struct run *run = arg;
    struct signalfd_siginfo info;

    (void)events;
    while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        int sig = (int)info.ssi_signo;

        if (sig == SIGWINCH)
            vm_resize(run->vm);
        if (!vm_signal(run->vm, sig) && is_fatal(sig)) {
            run->killed_by = sig;
            vm_abandon(run->vm);
        }
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

/* From here on signals wait for the loop: none comes between making something and owning it. */
static int catch_signals(struct run *run, struct err *err)
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
    if (sigprocmask(SIG_BLOCK, &set, &run->before) != 0)
        return err_sys(err, "sigprocmask");
    run->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return run->signal_fd < 0 ? err_sys(err, "signalfd") : 0;
}

/* A signal that nobody took ends us now, as it would any process. */
static void release_signals(const struct run *run)
{
    if (run->signal_fd >= 0)
        close(run->signal_fd);
    sigprocmask(SIG_SETMASK, &run->before, NULL);
}

static int watch(struct run *run, const struct run_options *options, struct err *err)
{
    struct vm *vm = run->vm;
    int r = 0;

    device_lock_take(&vm->lock);
    if (loop_add(&vm->loop, run->signal_fd, EPOLLIN, on_signal, run) < 0)
        r = err_sys(err, "watch signals");
    if (options->timeout_ns) {
        run->timer = (struct loop_timer){.fn = on_time, .arg = run};
        loop_timer_set(&vm->loop, &run->timer, loop_now_ns() + options->timeout_ns);
    }
    device_lock_release(&vm->lock);
    return r;
}

/* --- a file that became shorter --- */

/*
 * Kernel and program are mapped into guest memory: if somebody truncates the file, an access of
 * ours beyond its end raises SIGBUS. (The guest's own ends in KVM_RUN with EFAULT.)
 */
static struct vm *bus_error_vm;

static void on_bus_error(int sig)
{
    (void)sig;
    warn_now("a file mapped into the guest became shorter while it ran");
    if (bus_error_vm->config->vsock_path)
        unlink(bus_error_vm->config->vsock_path);
    terminal_restore(&bus_error_vm->terminal);
    _exit(EXIT_SAMARA);
}

static void catch_bus_errors(struct vm *vm)
{
    struct sigaction action = {.sa_handler = on_bus_error};

    bus_error_vm = vm;
    sigaction(SIGBUS, &action, NULL);
}

/* --- the outcome --- */

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
        why[strcspn(why, "\n")] = '\0'; /* a guest does not write further lines in our name */
        err_set(&report->err, "%s: %s", program, why);
        return EXIT_NOT_RUNNABLE;
    default:
        take_guest_text(report, page.panic_text, page.panic_length);
        err_set(&report->err, "the guest kernel gave up%s", page.ready ? "" : " during boot");
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
    if (run->killed_by)
        return 128 + run->killed_by;
    return guest_status(vm, program, report);
}

static int run_vm(struct run *run, const struct run_options *options, struct report *report)
{
    struct err *err = &report->err;
    struct err trouble = {.text = ""};
    int status;

    catch_bus_errors(run->vm);
    if (watch(run, options, err) != 0) {
        vm_destroy(run->vm);
        return EXIT_SAMARA;
    }
    vm_run(run->vm);
    status = outcome(run, options->vm.program, report);
    if (status == 0 && run->vm->output_lost)
        status = EXIT_SAMARA; /* the program does not know; who relies on its output must */
    if (vm_write_trace(run->vm, &trouble) != 0 && !err->text[0])
        *err = trouble; /* the status stays the program's */
    vm_leave(run->vm);
    return status;
}

static int run_program(const struct run_options *options, struct report *report)
{
    static struct vm vm;
    struct run run = {.vm = &vm, .signal_fd = -1};
    int status;

    if (vm_config_check(&options->vm, &report->err) != 0)
        return EXIT_SAMARA;
    if (catch_signals(&run, &report->err) != 0)
        status = EXIT_SAMARA;
    else if (vm_create(&vm, &options->vm, &report->err) != 0)
        status = vm.program_status ? vm.program_status : EXIT_SAMARA;
    else
        status = run_vm(&run, options, report);
    release_signals(&run);
    return status;
}

int run_command(int argc, char **argv, struct report *report)
{
    struct run_options options;
    int status = EXIT_SAMARA;

    if (options_parse(&options, argc, argv, &report->err) == 0) {
        status = options.help ? 0 : run_program(&options, report);
        if (options.help)
            options_help();
    }
    vm_config_close(&options.vm);
    return status;
}
