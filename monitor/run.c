/*
 * `samara run` and `restore`: options, then two processes (keeper.h), and in the monitor the VM,
 * and while it runs signals, which the keeper passes on, and the time limit.
 */
#include "monitor/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "monitor/control_dir.h"
#include "monitor/control_ops.h"
#include "monitor/inherited.h"
#include "monitor/keeper.h"
#include "monitor/fd_close.h"
#include "monitor/kvm.h"
#include "monitor/link.h"
#include "monitor/options.h"
#include "monitor/program.h"
#include "monitor/vm.h"
#include "monitor/warn.h"
#include "seccomp/enter.h"

#define GRACE_NS 1000000000ull /* between SIGTERM at the time limit and the end */

struct run {
    struct vm *vm;
    int link;      /* to the keeper */
    int killed_by; /* a signal that nobody in the guest was there to take */
    struct loop_timer timer;
    bool timed_out;
    struct control_ops control;
};

/* What ends a process that does nothing about it. */
static bool is_fatal(int sig)
{
    return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT;
}

static void take_signal(struct run *run, int sig)
{
    if (sig == SIGWINCH)
        vm_resize(run->vm);
    if (!vm_signal(run->vm, sig) && is_fatal(sig)) {
        run->killed_by = sig;
        vm_abandon(run->vm);
    }
}

static void kill_vm(void *arg)
{
    struct run *run = arg;

    run->killed_by = SIGKILL;
    vm_abandon(run->vm);
}

/* --- the keeper --- */

static void on_link(void *arg, uint32_t events)
{
    struct run *run = arg;
    struct link_message message;
    int fd, got;

    (void)events;
    while ((got = link_receive(run->link, &message, &fd)) > 0) {
        if (message.kind == LINK_SIGNAL)
            take_signal(run, (int)message.value);
        else if (message.kind == LINK_LISTEN)
            control_ops_listen(&run->control, fd);
        else if (message.kind == LINK_NET_CONNECTED)
            vm_net_connected(run->vm, message.value, fd);
        else
            vsock_dialled(run->vm->vsock, message.ticket, fd >= 0 ? fd : -(int)message.value);
    }
    if (got < 0)
        vm_abandon(run->vm); /* nobody is left to be told how it ends */
}

static bool dial(void *arg, uint32_t port, enum vsock_kind kind, uint64_t ticket)
{
    const struct run *run = arg;
    const struct link_message message = {.kind = kind == VSOCK_MESSAGES ? LINK_DIAL_MESSAGES
                                                                        : LINK_DIAL,
                                         .value = port,
                                         .ticket = ticket};

    return link_send(run->link, &message, -1);
}

static bool find_peer(void *arg, unsigned number)
{
    const struct run *run = arg;
    const struct link_message message = {.kind = LINK_NET, .value = number};

    return link_send(run->link, &message, -1);
}

/* --- the time limit --- */

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

static int watch(struct run *run, const struct run_options *options, struct err *err)
{
    struct vm *vm = run->vm;
    int r = 0;

    device_lock_take(&vm->lock);
    if (loop_add(&vm->loop, run->link, EPOLLIN, on_link, run) < 0)
        r = err_sys(err, "watch the keeper");
    if (options->timeout_ns) {
        run->timer = (struct loop_timer){.fn = on_time, .arg = run};
        loop_timer_set(&vm->loop, &run->timer, loop_now_ns() + options->timeout_ns);
    }
    device_lock_release(&vm->lock);
    return r;
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

    if (options->park)
        vm_park(run->vm); /* before anybody can ask it to go on */
    if (watch(run, options, err) != 0)
        return EXIT_SAMARA;
    vm_run(run->vm);
    status = outcome(run, options->vm.program, report);
    if (status == 0 && run->vm->output_lost)
        status = EXIT_SAMARA; /* the program does not know; who relies on its output must */
    if (vm_write_trace(run->vm, &trouble) != 0 && !err->text[0])
        *err = trouble; /* the status stays the program's */
    return status;
}

/* --- the two processes --- */

/* Set singly: the whole is larger than what is set. Nobody uses it before the guest runs. */
static void init_run(struct run *run, struct vm *vm, const struct keeper *keeper,
                     const struct run_options *options)
{
    run->vm = vm;
    run->link = keeper->ends[1];
    run->control.vm = vm;
    run->control.name = options->vm.name;
    run->control.pid = keeper->pid;
    run->control.owner = keeper->user;
    run->control.kill = kill_vm;
    run->control.arg = run;
    control_ops_init(&run->control);
}

static int be_monitor(struct vm *vm, const struct keeper *keeper, const struct run_options *options,
                      struct report *report)
{
    static struct confinement confinement;
    static struct run run;

    confine_init(&confinement, keeper->namespaces, options->vm.require_confinement, keeper->user);
    confine_process(&confinement);
    vm->opener = keeper->ends[1];
    vm->processors = keeper->processors;
    vm->confinement = &confinement;
    vm->dial = dial;
    vm->dial_arg = vm->find_peer_arg = &run;
    vm->find_peer = find_peer;
    if (seccomp_prepare(options->vm.seccomp, &report->err) != 0)
        return EXIT_SAMARA;
    if (vm_create(vm, &report->err) != 0)
        return vm->program_status ? vm->program_status : EXIT_SAMARA;
    init_run(&run, vm, keeper, options);
    return run_vm(&run, options, report);
}

struct keeping {
    struct keeper *keeper;
    struct unix_listener *control;
    const char *name;
};

/* A VM that was not named is hardly looked for in its first milliseconds. */
static void offer_control(void *arg)
{
    const struct keeping *k = arg;

    if (k->control->fd < 0)
        control_listen(k->control, k->name, NULL);
    if (k->control->fd >= 0)
        keeper_offer_control(k->keeper, k->control->fd);
}

/* What is asked for by name has to be there; without a name the VM runs without a control socket
 * where there is no place for one. */
static int open_all(struct vm *vm, struct unix_listener *control, bool named, struct err *err)
{
    if (vm_open(vm, err) != 0)
        return -1;
    return named ? control_listen(control, vm->config->name, err) : 0;
}

static int be_keeper(struct vm *vm, struct keeper *keeper, bool named, struct inherited *inherited,
                     struct working_keep *working, struct err *err)
{
    struct unix_listener control = UNIX_LISTENER_NONE;
    struct keeping keeping = {keeper, &control, vm->config->name};
    struct ready ready = READY_NONE;
    const struct keeper_services services = {.vsock_path = vm->config->vsock_path,
                                             .ready = &ready,
                                             .working = working,
                                             .peers = vm->peers,
                                             .peer_count = vm->config->net_count,
                                             .later = offer_control,
                                             .arg = &keeping};
    int status = EXIT_SAMARA;
    bool good = open_all(vm, &control, named || vm->config->snapshot_path, err) == 0;

    ready.name = vm->config->name;
    ready.out = vm->config->snapshot_path;

    inherited_close(inherited);
    if (good) {
        keeper_make_way(keeper);
        good = vm_pass(vm, keeper->ends[0], err) == 0;
    }
    if (good)
        status = keeper_attend(keeper, &services, err);
    else
        keeper_give_up(keeper);
    vm_close(vm);
    unix_unlisten(&control);
    return vm->program_status ? vm->program_status : status;
}

/* Before anything is opened, and could be taken for what was inherited. */
static int keep_named(struct inherited *kept, const struct vm_config *c, struct err *err)
{
    inherited_keep(kept, c->program);
    inherited_keep(kept, c->kernel_path);
    inherited_keep(kept, c->trace_path);
    for (unsigned i = 0; i < c->disk_count; i++)
        inherited_keep(kept, c->disks[i].path);
    for (unsigned i = 0; i < c->net_count; i++) {
        if (c->nets[i].backend != NET_CONFIG_FD)
            continue;
        if (fcntl(c->nets[i].fd, F_GETFD) < 0)
            return err_set(err, "net %u: fd %d: not open", i, c->nets[i].fd);
        inherited_keep_fd(kept, c->nets[i].fd);
    }
    return 0;
}

/* What the snapshot says about its memory, for both processes; and whether it is to be recorded
 * what the clone does with it. No clone writes to an image. */
static int open_snapshot(struct run_options *options, struct restored *r, struct working_keep *keep,
                         struct err *err)
{
    if (options->kind != RUN_SNAPSHOT)
        return 0;
    if (chain_open(&r->chain, options->vm.program, options->vm.disk_count, err) != 0 ||
        chain_use(&r->chain, err) != 0 ||
        working_keep_open(keep, &r->chain, options->record, &r->record_fd, err) != 0)
        return -1;
    if (options->record)
        fd_close(&r->chain.working_fd); /* what it brings along would be recorded, too */
    for (unsigned i = 0; i < options->vm.disk_count; i++)
        options->vm.disks[i].of_snapshot = true;
    options->vm.memory = r->chain.layers[0].header.memory;
    return vm_config_check(&options->vm, err);
}

static int run_vm_of(struct run_options *options, struct report *report)
{
    static struct restored restored; /* large, so no initialiser: it would be in the file */
    static struct working_keep keep;
    struct inherited inherited = {.count = 0};
    static struct vm vm;
    static char name[VM_NAME_MAX + 1];
    struct keeper keeper = KEEPER_CLOSED;
    bool named = options->vm.name != NULL;
    int status = EXIT_SAMARA, kvm = -1, role = -1;

    restored.record_fd = keep.fd = -1;
    if (vm_config_check(&options->vm, &report->err) != 0 ||
        keep_named(&inherited, &options->vm, &report->err) != 0)
        return EXIT_SAMARA;
    if (!named) {
        vm_name_default(name, options->vm.program);
        options->vm.name = name;
    }
    inherited_close_others(&inherited);
    if (open_snapshot(options, &restored, &keep, &report->err) == 0 &&
        keeper_open(&keeper, &report->err) == 0)
        kvm = kvm_open(&report->err);
    if (kvm >= 0) {
        vm_init(&vm, &options->vm, kvm);
        vm.restored = options->kind == RUN_SNAPSHOT ? &restored : NULL;
        role = keeper_split(&keeper, &report->err);
    }
    if (role == 0) {
        inherited_close(&inherited);
        fd_close(&keep.fd);
        return be_monitor(&vm, &keeper, options, report);
    }
    chain_close(&restored.chain);
    fd_close(&restored.record_fd);
    if (role == 1)
        status = be_keeper(&vm, &keeper, named, &inherited, &keep, &report->err);
    keeper_close(&keeper);
    return status;
}

static int command(enum run_kind kind, int argc, char **argv, struct report *report)
{
    static struct run_options options; /* threads may use it as long as the process is there */
    int status = EXIT_SAMARA;

    if (options_parse(&options, kind, argc, argv, &report->err) == 0) {
        status = options.help ? 0 : run_vm_of(&options, report);
        if (options.help)
            options_help(kind);
    }
    return status; /* what options has allocated goes with the process: the monitor cannot free */
}

int run_command(int argc, char **argv, struct report *report)
{
    return command(RUN_PROGRAM, argc, argv, report);
}

int restore_command(int argc, char **argv, struct report *report)
{
    return command(RUN_SNAPSHOT, argc, argv, report);
}
