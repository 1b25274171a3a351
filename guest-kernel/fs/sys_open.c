/* open and its relatives, close, and files without a name. */
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/open.h"
#include "guest-kernel/fs/pipe.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/string.h"

static long open_at(int dirfd, u64 path, u32 flags, u32 mode, u32 walk)
{
    struct dentry *base;
    struct file *f = NULL;
    char *text = NULL;
    int err = path_from_user(path, &text);

    if (err)
        return err;
    base = path_base(dirfd, text, &err);
    if (!err)
        f = open_path(base, text, flags, mode, walk, &err);
    dentry_put(base);
    path_free(text);
    return f ? sys_new_fd(f, flags) : err;
}

long sys_open(const u64 a[6])
{
    return open_at(AT_FDCWD, a[0], (u32)a[1], (u32)a[2], 0);
}

long sys_creat(const u64 a[6])
{
    return open_at(AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, (u32)a[1], 0);
}

long sys_openat(const u64 a[6])
{
    return open_at((int)a[0], a[1], (u32)a[2], (u32)a[3], 0);
}

enum { RESOLVE_NO_XDEV = 1, RESOLVE_NO_MAGICLINKS = 2, RESOLVE_NO_SYMLINKS = 4 };

/* The RESOLVE flags that confine the walk to a directory are refused rather than half done. */
long sys_openat2(const u64 a[6])
{
    struct linux_open_how how;

    if (a[3] < sizeof(how))
        return -EINVAL;
    if (a[3] > sizeof(how))
        return -E2BIG;
    if (copy_from_user(&how, a[2], sizeof(how)) != 0)
        return -EFAULT;
    if (how.flags > UINT32_MAX || how.mode & ~(u64)MODE_BITS)
        return -EINVAL;
    if (how.mode && !(how.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))))
        return -EINVAL;
    if (how.resolve & ~(u64)(RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS))
        return -EINVAL;
    return open_at((int)a[0], a[1], (u32)how.flags, (u32)how.mode, how.resolve ? WALK_NO_LINKS : 0);
}

long sys_close(const u64 a[6])
{
    return fd_close((int)a[0]);
}

enum { CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4 };

long sys_close_range(const u64 a[6])
{
    u32 first = (u32)a[0];
    u32 last = (u32)a[1];
    u32 flags = (u32)a[2];

    if (first > last || flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    for (u32 fd = first; fd <= last && fd < current_fs()->fd_size; fd++) {
        struct fd_slot *slot = fd_slot((int)fd);

        if (slot && flags & CLOSE_RANGE_CLOEXEC)
            slot->close_on_exec = true;
        else if (slot)
            fd_close((int)fd);
    }
    return 0;
}

/* --- pipes and counters --- */

long sys_new_fds(struct file *first, struct file *second, u32 flags, u64 address)
{
    long fds[2];
    int out[2];

    fds[0] = sys_new_fd(first, flags);
    if (fds[0] < 0) {
        file_put(second);
        return fds[0];
    }
    fds[1] = sys_new_fd(second, flags);
    if (fds[1] < 0) {
        fd_close((int)fds[0]);
        return fds[1];
    }
    out[0] = (int)fds[0];
    out[1] = (int)fds[1];
    if (copy_to_user(address, out, sizeof(out)) == 0)
        return 0;
    fd_close(out[0]);
    fd_close(out[1]);
    return -EFAULT;
}

static long make_pipe(u64 address, u32 flags)
{
    struct file *reader, *writer;
    int err;

    if (flags & ~(O_CLOEXEC | O_NONBLOCK)) /* O_DIRECT: packets are refused as by old Linux */
        return -EINVAL;
    err = pipe_new(flags, &reader, &writer);
    return err ? err : sys_new_fds(reader, writer, flags, address);
}

long sys_pipe(const u64 a[6])
{
    return make_pipe(a[0], 0);
}

long sys_pipe2(const u64 a[6])
{
    return make_pipe(a[0], (u32)a[1]);
}

enum { EFD_SEMAPHORE = 1 };

static long make_eventfd(u32 count, u32 flags)
{
    struct file *f;

    if (flags & ~(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE))
        return -EINVAL;
    f = eventfd_new(count, flags & EFD_SEMAPHORE, flags);
    return f ? sys_new_fd(f, flags) : -ENOMEM;
}

long sys_eventfd(const u64 a[6])
{
    return make_eventfd((u32)a[0], 0);
}

long sys_eventfd2(const u64 a[6])
{
    return make_eventfd((u32)a[0], (u32)a[1]);
}

enum {
    MFD_CLOEXEC = 1,
    MFD_ALLOW_SEALING = 2,
    MFD_NOEXEC_SEAL = 8,
    MFD_EXEC = 16,
    MFD_NAME_MAX = 249
};

static u32 first_seals(u32 flags)
{
    if (flags & MFD_NOEXEC_SEAL)
        return SEAL_EXEC;
    return flags & MFD_ALLOW_SEALING ? 0 : SEAL_SEAL;
}

long sys_memfd_create(const u64 a[6])
{
    char name[sizeof("memfd:") + MFD_NAME_MAX] = "memfd:";
    u32 flags = (u32)a[1];
    struct file *f;
    long len;
    int err;

    if (flags & ~(u32)(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
        return -EINVAL;
    len = user_string(name + 6, a[0], MFD_NAME_MAX + 1);
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : len;
    f = open_unnamed(NULL, name, 0777, O_RDWR, &err);
    if (f)
        file_inode(f)->seals = first_seals(flags);
    return f ? sys_new_fd(f, flags & MFD_CLOEXEC ? O_CLOEXEC : 0) : err;
}
