/*
 * What a VM needs that takes the caller's rights: every path, every inherited descriptor. See vm.h.
 * It is opened by the keeper and used by the monitor, which has no such rights any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "monitor/disk_open.h"
#include "monitor/fd_close.h"
#include "monitor/runtime_dir.h"
#include "monitor/vm_setup.h"

/* --- standard streams --- */

/* Of no use for its direction: main()'s placeholder for one that the caller had closed, or opened
 * for the other direction only. Reading or writing either says EBADF. */
static bool is_useless(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    int mode = flags & O_ACCMODE;

    return flags >= 0 &&
           ((flags & O_PATH) || (mode != O_RDWR && mode != (fd ? O_WRONLY : O_RDONLY)));
}

static int open_stdio(struct vm *vm, struct err *err)
{
    for (int fd = 0; fd < 3; fd++) {
        if (is_useless(fd))
            vm->opened.closed_flags |= (uint32_t)SAMARA_FLAG_STDIN_CLOSED << fd;
        else if (stream_open(&vm->opened.stdio[fd], fd, fd ? STREAM_WRITES : STREAM_READS, err) !=
                 0)
            return -1;
        vm->opened.files_grow |= fd > 0 && vm->opened.stdio[fd].kind == STREAM_FILE;
    }
    return 0;
}

static int give_up_stdio(struct vm_opened *o, struct err *err)
{
    o->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    o->proc =
        open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC); /* a measure less if it is not there */
    return o->null < 0 ? err_sys(err, "/dev/null") : vm_use_null(o, err);
}

/* --- cgroups --- */

static bool is_cgroup(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 &&
           (fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
}

static int open_cgroup(const char *dir, struct err *err)
{
    char path[PATH_MAX];
    int fd = -1;

    errno = ENAMETOOLONG;
    if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", dir) < sizeof(path))
        fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && !is_cgroup(fd)) {
        fd_close(&fd);
        errno = ENOENT;
    }
    if (fd < 0 && errno == ENOENT)
        return err_set(err, "cgroup %s: no cgroup (make it first: a directory in /sys/fs/cgroup)",
                       dir);
    return fd < 0 ? err_sys(err, "cgroup %s: open cgroup.procs", dir) : fd;
}

static int open_cgroups(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->cgroup_count; i++) {
        vm->opened.cgroups[i] = open_cgroup(vm->config->cgroups[i], err);
        if (vm->opened.cgroups[i] < 0)
            return -1;
    }
    return 0;
}

void vm_close_cgroups(struct vm *vm)
{
    for (unsigned i = 0; i < VM_CGROUPS; i++)
        fd_close(&vm->opened.cgroups[i]);
}

/* --- all of it --- */

#define SEQPACKET_SUFFIX ".seqpacket"

_Static_assert(VSOCK_PATH_MAX + sizeof("_4294967295") <= UNIX_PATH_MAX + 1, "PATH_N");
_Static_assert(VSOCK_PATH_MAX + sizeof(SEQPACKET_SUFFIX) <= UNIX_PATH_MAX + 1, "PATH.seqpacket");

/* A script that clears the way for a machine removes the path it knows of. Where that was free, and
 * nobody listens at the other, that is of a machine whose keeper was killed. */
static int listen_for_messages(struct unix_listener *at, const char *path, struct err *err)
{
    struct stat there;
    int fd;

    if (unix_listen_type(at, SOCK_SEQPACKET, path, UNIX_PATH_MAX, err) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -1;
    fd = unix_connect_type(SOCK_SEQPACKET, path);
    if (fd == -ECONNREFUSED && lstat(path, &there) == 0 && S_ISSOCK(there.st_mode) &&
        unlink(path) == 0)
        return unix_listen_type(at, SOCK_SEQPACKET, path, UNIX_PATH_MAX, err);
    fd_close(&fd);
    return -1;
}

static int listen_for_vsock(struct vm *vm, struct err *err)
{
    const char *path = vm->config->vsock_path;
    struct unix_listener *at = vm->opened.vsock_listeners;
    char second[UNIX_PATH_MAX + 1];

    if (!path)
        return 0;
    snprintf(second, sizeof(second), "%s" SEQPACKET_SUFFIX, path);
    if (unix_listen(&at[VSOCK_BYTES], path, VSOCK_PATH_MAX, err) != 0 ||
        listen_for_messages(&at[VSOCK_MESSAGES], second, err) != 0)
        return err_in(err, "vsock");
    return 0;
}

static int open_disks(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        struct disk *disk = &vm->opened.disks[i];

        if (disk_check_apart(vm->config->disks, i, err) != 0 ||
            disk_open(disk, &vm->config->disks[i], err) != 0)
            return err_in(err, "disk %u", i);
        vm->opened.files_grow |= !disk->read_only; /* the limit is for writing at all */
    }
    return 0;
}

static int open_trace(struct vm *vm, struct err *err)
{
    if (!vm->trace.wanted)
        return 0;
    vm->opened.trace = trace_open(vm->config->trace_path, err);
    vm->opened.files_grow = true;
    return vm->opened.trace < 0 ? -1 : 0;
}

static int open_program(struct vm *vm, struct err *err)
{
    struct vm_opened *o = &vm->opened;

    vm->program_status = program_open(&o->program, vm->config->program, err);
    return vm->program_status == 0 ? kernel_image_open(&o->kernel, vm->config->kernel_path, err)
                                   : -1;
}

int vm_open(struct vm *vm, struct err *err)
{
    struct vm_opened *o = &vm->opened;

    trace_step(&vm->trace, TRACE_KEEPER, "start");
    if (open_trace(vm, err) != 0)
        return -1;
    if (!vm->restored && open_program(vm, err) != 0)
        return -1;
    if (open_disks(vm, err) != 0 || vm_open_nets(vm, err) != 0 || open_cgroups(vm, err) != 0)
        return -1;
    cpuid_cache_find(&o->cpuid_cache, vm->kvm, runtime_dir_open());
    terminal_find(&o->terminal);
    if (listen_for_vsock(vm, err) != 0 || open_stdio(vm, err) != 0 || give_up_stdio(o, err) != 0)
        return -1;
    trace_step(&vm->trace, TRACE_KEEPER, "open");
    return 0;
}

void vm_close(struct vm *vm)
{
    terminal_close(&vm->opened.terminal);
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        unix_unlisten(&vm->opened.vsock_listeners[i]);
    vm_close_peers(vm);
}
