/*
 * `samara run`: options, VM, and while it runs signals and the time limit. Signals arrive through a
 * signalfd in the loop; all threads have them blocked.
 */
#include "monitor/run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
    while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info))
        vm_signal(run->vm, (int)info.ssi_signo);
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

/* The guest's words on the terminal: printable, one prefix a line. */
static void print_guest_text(const char *text, size_t len)
{
    bool line_start = true;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (line_start)
            fputs("samara: guest kernel: ", stderr);
        line_start = c == '\n';
        if (c == '\n' || c == '\t' || (c >= ' ' && c != 127))
            fputc(c, stderr);
        else
            fprintf(stderr, "\\x%02x", c);
    }
    if (!line_start)
        fputc('\n', stderr);
}

static int guest_status(struct vm *vm, const char *program, struct err *err)
{
    static struct samara_platform page;

    platform_read(&vm->platform, &page);
    switch (page.exit_kind) {
    case SAMARA_EXIT_STATUS:
        return page.exit_code & 0xff;
    case SAMARA_EXIT_SIGNAL:
        return 128 + (int)(page.exit_code & 0x7f);
    case SAMARA_EXIT_NOEXEC:
        err_set(err, "%s: %.*s", program, (int)page.panic_length, page.panic_text);
        return EXIT_NOT_RUNNABLE;
    default:
        print_guest_text(page.panic_text, page.panic_length);
        err_set(err, "the guest kernel gave up");
        return EXIT_SAMARA;
    }
}

static int outcome(struct run *run, const char *program, struct err *err)
{
    struct vm *vm = run->vm;

    if (vm->end == VM_FAILED) {
        print_guest_text(vm->report, strlen(vm->report));
        err_set(err, "the virtual machine stopped");
        return EXIT_SAMARA;
    }
    if (run->timed_out)
        return EXIT_TIMEOUT;
    return guest_status(vm, program, err);
}

static int run_vm(struct run *run, const struct run_options *options, struct err *err)
{
    int status;

    if (watch_signals(run, err) != 0)
        return EXIT_SAMARA;
    if (options->timeout_ns) {
        run->timer = (struct loop_timer){.fn = on_time, .arg = run};
        loop_timer_set(&run->vm->loop, &run->timer, loop_now_ns() + options->timeout_ns);
    }
    if (vm_run(run->vm, err) != 0)
        return EXIT_SAMARA;
    status = outcome(run, options->program, err);
    if (vm_write_trace(run->vm, err) != 0)
        return EXIT_SAMARA;
    return status;
}

int run_command(int argc, char **argv, struct err *err)
{
    static struct vm vm;
    struct run_options options;
    struct run run = {.vm = &vm, .signal_fd = -1};
    int status;

    if (options_parse(&options, argc, argv, err) != 0)
        return EXIT_SAMARA;
    if (options.help) {
        options_help();
        return 0;
    }
    status = program_open(&options.vm, options.program, err);
    if (status != 0)
        return status;
    if (vm_config_check(&options.vm, err) != 0 || vm_create(&vm, &options.vm, err) != 0)
        return EXIT_SAMARA;
    status = run_vm(&run, &options, err);
    vm_destroy(&vm);
    return status;
}
