/* What the keeper has opened, on its way to the monitor. See vm.h. */
#include <errno.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/link.h"
#include "monitor/role_fd.h"
#include "monitor/vm.h"
#include "monitor/vm_setup.h"

enum { DESCRIPTORS = 11 + VSOCK_KINDS + VM_CGROUPS + 2 * VM_DISKS + VM_NETS };

/* Each that goes along, in this order, if it is open. */
static void list(struct vm_opened *o, int *fields[DESCRIPTORS])
{
    int *const all[] = {&o->null,
                        &o->proc,
                        &o->trace,
                        &o->terminal.fd,
                        &o->stdio[0].fd,
                        &o->stdio[1].fd,
                        &o->stdio[2].fd,
                        &o->program.fd,
                        &o->kernel.fd,
                        &o->cpuid_cache.dir,
                        &o->cpuid_cache.file};
    unsigned count = sizeof(all) / sizeof(all[0]);

    _Static_assert(sizeof(all) / sizeof(all[0]) + VSOCK_KINDS + VM_CGROUPS + 2 * VM_DISKS +
                           VM_NETS ==
                       DESCRIPTORS,
                   "all are listed");
    for (unsigned i = 0; i < count; i++)
        fields[i] = all[i];
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        fields[count++] = &o->vsock_listeners[i].fd;
    for (unsigned i = 0; i < VM_CGROUPS; i++)
        fields[count++] = &o->cgroups[i];
    for (unsigned i = 0; i < VM_DISKS; i++) {
        fields[count++] = &o->disks[i].fd;
        fields[count++] = &o->disks[i].overlay_fd;
    }
    for (unsigned i = 0; i < VM_NETS; i++)
        fields[count++] = &o->nets[i].port.fd;
}

/* Both processes' descriptors 0 and 1. */
int vm_use_null(struct vm_opened *o, struct err *err)
{
    if (dup2(o->null, STDIN_FILENO) < 0 || dup2(o->null, STDOUT_FILENO) < 0)
        return err_sys(err, "/dev/null");
    return 0;
}

/* --- the keeper --- */

/* But the terminal, whose modes are put back. */
static void close_passed(struct vm *vm, int *const fields[DESCRIPTORS])
{
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        if (fields[i] != &vm->opened.terminal.fd)
            fd_close(fields[i]);
    }
    fd_close(&vm->kvm);
}

int vm_pass(struct vm *vm, int end, struct err *err)
{
    struct vm_opened *o = &vm->opened;
    int *fields[DESCRIPTORS], fds[DESCRIPTORS];
    unsigned count = 0;
    bool sent;

    list(o, fields);
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        if (*fields[i] >= 0)
            fds[count++] = *fields[i];
    }
    o->steps = vm->trace.tracks[TRACE_KEEPER];
    sent = link_pass(end, o, sizeof(*o), fds, count);
    if (!sent && errno == EPIPE)
        sent = true; /* the monitor has ended, and said why */
    if (!sent)
        err_sys(err, "pass on what was opened");
    close_passed(vm, fields);
    return sent ? 0 : -1;
}

/* --- the monitor --- */

/* What came says which are open, by the keeper's numbers. */
static bool renumber(struct vm_opened *o, const int *fds, int passed)
{
    int *fields[DESCRIPTORS], next = 0;

    list(o, fields);
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        if (*fields[i] >= 0)
            *fields[i] = next < passed ? fds[next++] : -1;
    }
    return next == passed;
}

static int take_opened(struct vm *vm, struct err *err)
{
    struct vm_opened *o = &vm->opened;
    int fds[DESCRIPTORS], passed = link_await(vm->opener, o, sizeof(*o), fds, DESCRIPTORS);

    if (passed < 0)
        return -1;
    if (!renumber(o, fds, passed))
        return err_set(err, "not all that the keeper has opened arrived");
    vm->trace.tracks[TRACE_KEEPER] = o->steps;
    if (vm_use_null(o, err) != 0)
        return -1;
    fd_close(&o->null);
    return 0;
}

int vm_receive(struct vm *vm, struct err *err)
{
    int *terminal = &vm->opened.terminal.fd;

    if (vm->opener >= 0 && take_opened(vm, err) != 0)
        return -1;
    return *terminal >= 0 ? role_fd(terminal, FD_TERMINAL, err) : 0;
}

/* --- both --- */

/* Beside what the keeper opens and may be open at the same time: the standard three, KVM, the VM,
 * the vCPU, the link and a loop's three; and what is open only for a moment. */
enum { OTHERS = 3 + 3 + 1 + 3, MOMENTARY = 3, SNAPSHOT_FILES = 10 };

unsigned vm_count_descriptors(const struct vm_config *c)
{
    unsigned count =
        OTHERS + MOMENTARY + SNAPSHOT_FILES + DESCRIPTORS - VM_CGROUPS - 2 * VM_DISKS - VM_NETS;

    for (unsigned i = 0; i < c->disk_count; i++)
        count += c->disks[i].overlay ? 2 : 1;
    return count + c->cgroup_count + c->net_count;
}
