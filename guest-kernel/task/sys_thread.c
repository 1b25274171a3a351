/* System calls that make and end threads, and those of a process that can have no children. */
#include "abi/memory_map.h"
#include "guest-kernel/drivers/stdio.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/sched.h"
#include "guest-kernel/task/task_syscalls.h"

#define CLONE_VM             0x00000100ull
#define CLONE_SIGHAND        0x00000800ull
#define CLONE_PARENT_SETTID  0x00100000ull
#define CLONE_THREAD         0x00010000ull
#define CLONE_SETTLS         0x00080000ull
#define CLONE_CHILD_CLEARTID 0x00200000ull
#define CLONE_CHILD_SETTID   0x01000000ull
#define CLONE_THREAD_NEEDS   (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_KNOWN          0x01ff7f00ull /* no namespaces, pidfds or cgroups */

struct clone_request {
    u64 flags;
    u64 parent_tid, child_tid; /* program addresses */
    u64 stack;                 /* top; 0 keeps the caller's */
    u64 tls;
};

static long tell_tid(u64 addr, bool wanted)
{
    return wanted ? user_prepare(addr, sizeof(u32), true) : 0;
}

static void write_tid(u64 addr, bool wanted, int tid)
{
    if (wanted)
        memcpy(user_pointer(addr), &tid, sizeof(tid));
}

static void inherit(struct task *child, const struct clone_request *request)
{
    struct task *parent = task_current();
    struct regs *regs = child->arch.regs;

    *regs = *parent->arch.regs;
    regs->rax = 0;
    regs->orig_rax = UINT64_MAX;
    if (request->stack)
        regs->rsp = request->stack;
    arch_fpu_clean(child->arch.fpu); /* XSAVE writes only parts of the header */
    arch_fpu_save_to(child->arch.fpu);
    child->arch.fs_base = request->flags & CLONE_SETTLS ? request->tls : arch_get_fs();
    child->arch.gs_base = arch_get_gs();
    child->signals.blocked = parent->signals.blocked;
    task_set_name(child, parent->name);
    if (request->flags & CLONE_CHILD_CLEARTID)
        child->clear_child_tid = request->child_tid;
}

static long clone_thread(const struct clone_request *request)
{
    bool tell_parent = request->flags & CLONE_PARENT_SETTID;
    bool tell_child = request->flags & CLONE_CHILD_SETTID;
    struct task *child;

    if (request->flags & CLONE_SETTLS && request->tls >= SAMARA_WINDOW)
        return -EPERM;
    if (tell_tid(request->parent_tid, tell_parent) != 0 ||
        tell_tid(request->child_tid, tell_child) != 0)
        return -EFAULT;
    child = task_new();
    if (!child)
        return -EAGAIN;
    inherit(child, request);
    write_tid(request->parent_tid, tell_parent, child->tid);
    write_tid(request->child_tid, tell_child, child->tid);
    sched_wake(child);
    return child->tid;
}

static long clone_checked(const struct clone_request *request)
{
    if ((request->flags & CLONE_THREAD_NEEDS) != CLONE_THREAD_NEEDS)
        return request->flags & CLONE_THREAD ? -EINVAL : task_refuse_fork();
    if (request->flags & ~CLONE_KNOWN)
        return -EINVAL;
    return clone_thread(request);
}

long sys_clone(const u64 a[6])
{
    const u64 exit_signal = 0xff; /* a thread has none, whatever it says */
    const struct clone_request request = {.flags = a[0] & ~exit_signal,
                                          .stack = a[1],
                                          .parent_tid = a[2],
                                          .child_tid = a[3],
                                          .tls = a[4]};

    return clone_checked(&request);
}

long sys_clone3(const u64 a[6])
{
    /* struct clone_args, first version */
    struct {
        u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args;
    struct clone_request request;

    if (a[1] < sizeof(args))
        return -EINVAL;
    if (copy_from_user(&args, a[0], sizeof(args)) != 0)
        return -EFAULT;
    if (!args.stack != !args.stack_size || args.stack + args.stack_size < args.stack)
        return -EINVAL;
    request = (struct clone_request){.flags = args.flags,
                                     .stack = args.stack + args.stack_size,
                                     .parent_tid = args.parent_tid,
                                     .child_tid = args.child_tid,
                                     .tls = args.tls};
    return clone_checked(&request);
}

long sys_fork(const u64 a[6])
{
    (void)a;
    return task_refuse_fork();
}

long sys_vfork(const u64 a[6])
{
    (void)a;
    return task_refuse_fork();
}

long sys_execve(const u64 a[6])
{
    static bool told;

    (void)a;
    if (!told)
        klog_program("samara: this program needs execve, which one VM per program does not have");
    told = true;
    return -ENOSYS;
}

long sys_execveat(const u64 a[6])
{
    return sys_execve(a);
}

long sys_exit(const u64 a[6])
{
    task_exit((int)a[0]);
}

long sys_exit_group(const u64 a[6])
{
    process_exit((int)a[0]);
}

long sys_wait4(const u64 a[6])
{
    (void)a;
    return -ECHILD;
}

long sys_waitid(const u64 a[6])
{
    (void)a;
    return -ECHILD;
}

long sys_gettid(const u64 a[6])
{
    (void)a;
    return task_current()->tid;
}

long sys_set_tid_address(const u64 a[6])
{
    task_current()->clear_child_tid = a[0];
    return task_current()->tid;
}

/* Restartable sequences pay only with many CPUs; libc does without. */
long sys_rseq(const u64 a[6])
{
    (void)a;
    return -ENOSYS;
}

/* One CPU: every thread has seen every barrier. MEMBARRIER_CMD_QUERY names what is supported. */
long sys_membarrier(const u64 a[6])
{
    enum { QUERY = 0, ALL = 0x1ff };

    if (a[1] != 0)
        return -EINVAL;
    if ((int)a[0] == QUERY)
        return ALL;
    return (int)a[0] > 0 && (int)a[0] <= ALL ? 0 : -EINVAL;
}
