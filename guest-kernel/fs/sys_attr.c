/* Changing what is known of a file: permissions, owner, times, extended attributes. */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/sys.h"

/* --- permissions --- */

static long chmod_target(const struct target *t, u32 mode)
{
    struct inode *inode = target_inode(t);

    if (!inode)
        return 0; /* a pipe: Linux keeps a mode that means nothing */
    if (inode_is(inode, MODE_LINK))
        return -EOPNOTSUPP;
    if (inode->flags & INODE_PROC)
        return -EPERM;
    inode->mode = (inode->mode & MODE_TYPE) | (mode & MODE_BITS);
    inode_touch_meta(inode);
    return 0;
}

static long chmod_at(int dirfd, u64 path, u32 mode, u32 at_flags)
{
    struct target t;
    long err = target_at(dirfd, path, at_flags, &t);

    if (err)
        return err;
    err = chmod_target(&t, mode);
    target_drop(&t);
    return err;
}

long sys_chmod(const u64 a[6])
{
    return chmod_at(AT_FDCWD, a[0], (u32)a[1], 0);
}

long sys_fchmodat(const u64 a[6])
{
    return chmod_at((int)a[0], a[1], (u32)a[2], 0);
}

long sys_fchmodat2(const u64 a[6])
{
    if ((u32)a[3] & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    return chmod_at((int)a[0], a[1], (u32)a[2], (u32)a[3]);
}

long sys_fchmod(const u64 a[6])
{
    struct target t;
    long err = target_fd(a[0], &t);

    if (err)
        return err;
    err = t.file->flags & O_PATH ? -EBADF : chmod_target(&t, (u32)a[1]);
    target_drop(&t);
    return err;
}

/* --- owner --- */

static long chown_target(const struct target *t, u32 uid, u32 gid)
{
    struct inode *inode = target_inode(t);

    if (!inode)
        return 0;
    if (inode->flags & INODE_PROC)
        return -EPERM;
    if (uid != UINT32_MAX)
        inode->uid = uid;
    if (gid != UINT32_MAX)
        inode->gid = gid;
    inode_touch_meta(inode);
    return 0;
}

static long chown_at(int dirfd, u64 path, u64 uid, u64 gid, u32 at_flags)
{
    struct target t;
    long err;

    if (at_flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    err = target_at(dirfd, path, at_flags, &t);
    if (err)
        return err;
    err = chown_target(&t, (u32)uid, (u32)gid);
    target_drop(&t);
    return err;
}

long sys_chown(const u64 a[6])
{
    return chown_at(AT_FDCWD, a[0], a[1], a[2], 0);
}

long sys_lchown(const u64 a[6])
{
    return chown_at(AT_FDCWD, a[0], a[1], a[2], LINUX_AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(const u64 a[6])
{
    return chown_at((int)a[0], a[1], a[2], a[3], (u32)a[4]);
}

long sys_fchown(const u64 a[6])
{
    struct target t;
    long err = target_fd(a[0], &t);

    if (err)
        return err;
    err = t.file->flags & O_PATH ? -EBADF : chown_target(&t, (u32)a[1], (u32)a[2]);
    target_drop(&t);
    return err;
}

/* --- times --- */

enum { UTIME_SETS_NOW = 0x3fffffff, UTIME_OMITS = 0x3ffffffe };

struct time_pair {
    struct linux_timespec access, modification;
};

static const struct time_pair both_now = {{0, UTIME_SETS_NOW}, {0, UTIME_SETS_NOW}};

static long set_time(u64 *field, const struct linux_timespec *ts)
{
    if (ts->nsec == UTIME_OMITS)
        return 0;
    if (ts->nsec == UTIME_SETS_NOW) {
        *field = clock_realtime_ns();
        return 0;
    }
    return file_time_to_ns(ts, field);
}

static long set_times(const struct target *t, const struct time_pair *times)
{
    struct inode *inode = target_inode(t);
    u64 atime, mtime;
    long err;

    if (!inode)
        return 0;
    atime = inode->atime;
    mtime = inode->mtime;
    err = set_time(&atime, &times->access);
    if (!err)
        err = set_time(&mtime, &times->modification);
    if (err)
        return err;
    inode->atime = atime;
    inode->mtime = mtime;
    inode_touch_meta(inode);
    return 0;
}

/* path 0 means dirfd itself, as futimens does. */
static long times_at(int dirfd, u64 path, const struct time_pair *times, u32 at_flags)
{
    struct target t;
    long err;

    if (path || at_flags & LINUX_AT_EMPTY_PATH)
        err = target_at(dirfd, path, at_flags, &t);
    else
        err = dirfd == AT_FDCWD ? -EFAULT : target_fd((u64)dirfd, &t);
    if (err)
        return err;
    err = set_times(&t, times);
    target_drop(&t);
    return err;
}

long sys_utimensat(const u64 a[6])
{
    struct time_pair times = both_now;

    if ((u32)a[3] & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    if (a[2] && copy_from_user(&times, a[2], sizeof(times)) != 0)
        return -EFAULT;
    return times_at((int)a[0], a[1], &times, (u32)a[3]);
}

static long timevals_at(int dirfd, u64 path, u64 address)
{
    struct time_pair times = both_now;
    struct linux_timeval tv[2];

    if (address) {
        if (copy_from_user(tv, address, sizeof(tv)) != 0)
            return -EFAULT;
        if (tv[0].usec < 0 || tv[0].usec > 999999 || tv[1].usec < 0 || tv[1].usec > 999999)
            return -EINVAL;
        times.access = (struct linux_timespec){tv[0].sec, tv[0].usec * 1000};
        times.modification = (struct linux_timespec){tv[1].sec, tv[1].usec * 1000};
    }
    return times_at(dirfd, path, &times, 0);
}

long sys_futimesat(const u64 a[6])
{
    return timevals_at((int)a[0], a[1], a[2]);
}

long sys_utimes(const u64 a[6])
{
    return timevals_at(AT_FDCWD, a[0], a[1]);
}

long sys_utime(const u64 a[6])
{
    struct time_pair times = both_now;
    i64 seconds[2];

    if (a[1]) {
        if (copy_from_user(seconds, a[1], sizeof(seconds)) != 0)
            return -EFAULT;
        times.access = (struct linux_timespec){seconds[0], 0};
        times.modification = (struct linux_timespec){seconds[1], 0};
    }
    return times_at(AT_FDCWD, a[0], &times, 0);
}

/* --- extended attributes: there are none, and none can be made --- */

static long xattr_path(u64 path, u32 at_flags, long answer)
{
    struct target t;
    long err = target_at(AT_FDCWD, path, at_flags, &t);

    if (err)
        return err;
    target_drop(&t);
    return answer;
}

static long xattr_fd(u64 fd, long answer)
{
    return fd_slot((int)fd) ? answer : -EBADF;
}

#define XATTR_CALLS(verb, answer)                                                                  \
    long sys_##verb(const u64 a[6])                                                                \
    {                                                                                              \
        return xattr_path(a[0], 0, answer);                                                        \
    }                                                                                              \
    long sys_l##verb(const u64 a[6])                                                               \
    {                                                                                              \
        return xattr_path(a[0], LINUX_AT_SYMLINK_NOFOLLOW, answer);                                \
    }                                                                                              \
    long sys_f##verb(const u64 a[6])                                                               \
    {                                                                                              \
        return xattr_fd(a[0], answer);                                                             \
    }

XATTR_CALLS(setxattr, -ENOTSUP)
XATTR_CALLS(getxattr, -ENODATA)
XATTR_CALLS(listxattr, 0)
XATTR_CALLS(removexattr, -ENODATA)
