/*
 * The system call table. Each folder lists its calls; what nobody lists is answered ENOSYS and,
 * under --verbose, named once on the program's stderr.
 */
#include "guest-kernel/arch/regs.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/net/socket_syscalls.h"
#include "guest-kernel/drivers/stdio.h"
#include "guest-kernel/fs/fs_syscalls.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/mm/mm_syscalls.h"
#include "guest-kernel/sys/names.h"
#include "guest-kernel/task/task_syscalls.h"

enum { SYSCALLS = 512 };

typedef long (*syscall_fn)(const u64 a[6]);

void syscall_dispatch(struct regs *regs);

#define ENTRY(number, name) [number] = sys_##name,
static const syscall_fn table[SYSCALLS] = {FS_SYSCALLS(ENTRY) MM_SYSCALLS(ENTRY)
                                               TASK_SYSCALLS(ENTRY) SOCKET_SYSCALLS(ENTRY)};
#undef ENTRY

static long missing(u64 number)
{
    static u64 named[SYSCALLS / 64 + 1];
    u64 bit = MIN(number, (u64)SYSCALLS);
    char line[96];

    if (!(platform_flags() & SAMARA_FLAG_VERBOSE) || named[bit / 64] >> bit % 64 & 1)
        return -ENOSYS;
    named[bit / 64] |= 1ull << bit % 64;
    kprint_to(line, sizeof(line), "samara: system call %s (%lu) is not there: ENOSYS",
              syscall_name(number), number);
    klog_program(line);
    return -ENOSYS;
}

/* Called by entry.S. */
void syscall_dispatch(struct regs *regs)
{
    const u64 a[6] = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9};
    u64 number = regs->orig_rax;

    if (number < SYSCALLS && table[number])
        regs->rax = (u64)table[number](a);
    else
        regs->rax = (u64)missing(number);
}
