/* Who the program is: the one process, leader of its group and session, root. */
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/task_syscalls.h"

#define ANSWER(name, value)                                                                        \
    long sys_##name(const u64 a[6])                                                                \
    {                                                                                              \
        (void)a;                                                                                   \
        return value;                                                                              \
    }

ANSWER(getpid, PROCESS_PID)
ANSWER(getppid, PROCESS_PPID)
ANSWER(getpgrp, PROCESS_PID)
ANSWER(setsid, -EPERM) /* already a group leader */
ANSWER(getuid, 0)
ANSWER(geteuid, 0)
ANSWER(getgid, 0)
ANSWER(getegid, 0)
ANSWER(getgroups, 0)
ANSWER(setgroups, 0)
ANSWER(setfsuid, 0)
ANSWER(setfsgid, 0)

static bool is_us(u64 pid)
{
    return (int)pid == 0 || (int)pid == PROCESS_PID;
}

long sys_getpgid(const u64 a[6])
{
    return is_us(a[0]) ? PROCESS_PID : -ESRCH;
}

long sys_getsid(const u64 a[6])
{
    return is_us(a[0]) ? PROCESS_PID : -ESRCH;
}

long sys_setpgid(const u64 a[6])
{
    if (!is_us(a[0]))
        return -ESRCH;
    return is_us(a[1]) ? 0 : -EPERM;
}

/* Identities other than root are not kept. There is nobody to be protected from, and a program that
 * drops its rights must be told that it did not. -1 and 0 change nothing. */
static long set_ids(const u64 *ids, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if ((u32)ids[i] != 0 && (u32)ids[i] != UINT32_MAX)
            return -EPERM;
    return 0;
}

#define SET_IDS(name, count)                                                                       \
    long sys_##name(const u64 a[6])                                                                \
    {                                                                                              \
        return set_ids(a, count);                                                                  \
    }

SET_IDS(setuid, 1)
SET_IDS(setgid, 1)
SET_IDS(setreuid, 2)
SET_IDS(setregid, 2)
SET_IDS(setresuid, 3)
SET_IDS(setresgid, 3)

static long tell_root(const u64 a[6])
{
    const u32 root = 0;

    for (unsigned i = 0; i < 3; i++)
        if (copy_to_user(a[i], &root, sizeof(root)) != 0)
            return -EFAULT;
    return 0;
}

long sys_getresuid(const u64 a[6])
{
    return tell_root(a);
}

long sys_getresgid(const u64 a[6])
{
    return tell_root(a);
}

#define CAPABILITY_VERSION_3 0x20080522u

struct capability_header {
    u32 version;
    s32 pid;
};

struct capability_sets {
    u32 effective, permitted, inheritable;
};

static long capability_version(u64 addr)
{
    struct capability_header header;

    if (copy_from_user(&header, addr, sizeof(header)) != 0)
        return -EFAULT;
    if (header.version == CAPABILITY_VERSION_3)
        return is_us((u64)header.pid) ? 0 : -ESRCH;
    header.version = CAPABILITY_VERSION_3;
    return copy_to_user(addr, &header, sizeof(header)) ? -EFAULT : -EINVAL;
}

long sys_capget(const u64 a[6])
{
    const struct capability_sets all[2] = {{UINT32_MAX, UINT32_MAX, 0}, {0x1ff, 0x1ff, 0}};
    long err = capability_version(a[0]);

    if (!a[1])
        return err == -EINVAL ? 0 : err;
    return err ? err : copy_to_user(a[1], all, sizeof(all));
}

long sys_capset(const u64 a[6])
{
    struct capability_sets sets[2];
    long err = capability_version(a[0]);

    return err ? err : copy_from_user(sets, a[1], sizeof(sets));
}
