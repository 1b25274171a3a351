/* What is known of a file: stat, statx, statfs, access. */
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/page.h"

enum { FS_DEVICE = 1, PROC_DEVICE = 2 }; /* minor numbers of the two file systems, major 0 */

static u32 device_of(const struct target *t)
{
    const struct inode *inode = target_inode(t);

    return inode && inode->flags & INODE_PROC ? PROC_DEVICE : FS_DEVICE;
}

static long put_stat(const struct target *t, u64 address)
{
    struct file_attr attr;
    struct linux_stat st = {0};

    target_attr(t, &attr);
    st.dev = device_of(t);
    st.ino = attr.ino;
    st.nlink = attr.nlink;
    st.mode = attr.mode;
    st.uid = attr.uid;
    st.gid = attr.gid;
    st.rdev = attr.rdev;
    st.size = (i64)attr.size;
    st.blksize = (i64)PAGE_SIZE;
    st.blocks = (i64)attr.blocks;
    st.atime = timespec_from_ns(attr.atime);
    st.mtime = timespec_from_ns(attr.mtime);
    st.ctime = timespec_from_ns(attr.ctime);
    return copy_to_user(address, &st, sizeof(st));
}

static long stat_at(int dirfd, u64 path, u32 at_flags, u64 address)
{
    struct target t;
    long err = target_at(dirfd, path, at_flags, &t);

    if (err)
        return err;
    err = put_stat(&t, address);
    target_drop(&t);
    return err;
}

long sys_stat(const u64 a[6])
{
    return stat_at(AT_FDCWD, a[0], 0, a[1]);
}

long sys_lstat(const u64 a[6])
{
    return stat_at(AT_FDCWD, a[0], LINUX_AT_SYMLINK_NOFOLLOW, a[1]);
}

long sys_fstat(const u64 a[6])
{
    struct target t;
    long err = target_fd(a[0], &t);

    if (err)
        return err;
    err = put_stat(&t, a[1]);
    target_drop(&t);
    return err;
}

long sys_newfstatat(const u64 a[6])
{
    const u32 known = LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_NO_AUTOMOUNT | LINUX_AT_EMPTY_PATH;

    if ((u32)a[3] & ~known)
        return -EINVAL;
    return stat_at((int)a[0], a[1], (u32)a[3], a[2]);
}

static struct linux_statx_time statx_time(u64 ns)
{
    struct linux_timespec ts = timespec_from_ns(ns);

    return (struct linux_statx_time){.sec = ts.sec, .nsec = (u32)ts.nsec};
}

enum { STATX_BASIC_STATS = 0x7ff, STATX_BTIME = 0x800 };
#define STATX_RESERVED 0x80000000u

static long put_statx(const struct target *t, u64 address)
{
    struct file_attr attr;
    struct linux_statx st = {0};

    target_attr(t, &attr);
    st.mask = STATX_BASIC_STATS | STATX_BTIME;
    st.blksize = PAGE_SIZE;
    st.nlink = attr.nlink;
    st.uid = attr.uid;
    st.gid = attr.gid;
    st.mode = (u16)attr.mode;
    st.ino = attr.ino;
    st.size = attr.size;
    st.blocks = attr.blocks;
    st.atime = statx_time(attr.atime);
    st.btime = statx_time(attr.btime);
    st.ctime = statx_time(attr.ctime);
    st.mtime = statx_time(attr.mtime);
    st.rdev_major = (u32)(attr.rdev >> 8 & 0xfff);
    st.rdev_minor = (u32)((attr.rdev & 0xff) | (attr.rdev >> 12 & 0xfff00));
    st.dev_minor = device_of(t);
    return copy_to_user(address, &st, sizeof(st));
}

long sys_statx(const u64 a[6])
{
    const u32 known = LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_NO_AUTOMOUNT | LINUX_AT_EMPTY_PATH |
                      LINUX_AT_STATX_SYNC_TYPE;
    u32 flags = (u32)a[2];
    struct target t;
    long err;

    if (flags & ~known || (flags & LINUX_AT_STATX_SYNC_TYPE) == LINUX_AT_STATX_SYNC_TYPE ||
        a[3] & STATX_RESERVED)
        return -EINVAL;
    err = target_at((int)a[0], a[1], flags, &t);
    if (err)
        return err;
    err = put_statx(&t, a[4]);
    target_drop(&t);
    return err;
}

/* --- file systems --- */

#define TMPFS_MAGIC 0x01021994
#define PROC_MAGIC  0x9fa0

static long put_statfs(const struct target *t, u64 address)
{
    bool proc = device_of(t) == PROC_DEVICE;
    struct linux_statfs st = {0};

    st.type = proc ? PROC_MAGIC : TMPFS_MAGIC;
    st.bsize = st.frsize = (i64)PAGE_SIZE;
    st.namelen = FS_NAME_MAX;
    if (!proc) {
        st.blocks = regular_pages_limit();
        st.bfree = st.bavail = regular_pages_left();
        st.files = pages_total();
        st.ffree = pages_free_count();
    }
    return copy_to_user(address, &st, sizeof(st));
}

long sys_statfs(const u64 a[6])
{
    struct target t;
    long err = target_at(AT_FDCWD, a[0], 0, &t);

    if (err)
        return err;
    err = put_statfs(&t, a[1]);
    target_drop(&t);
    return err;
}

long sys_fstatfs(const u64 a[6])
{
    struct target t;
    long err = target_fd(a[0], &t);

    if (err)
        return err;
    err = put_statfs(&t, a[1]);
    target_drop(&t);
    return err;
}

/* --- access --- */

enum { ACCESS_EXEC = 1, ACCESS_ANY = 7 };

/* Root may read and write anything, and execute what anybody may. */
static long access_at(int dirfd, u64 path, u32 mode, u32 at_flags)
{
    struct file_attr attr;
    struct target t;
    long err;

    if (mode & ~(u32)ACCESS_ANY)
        return -EINVAL;
    err = target_at(dirfd, path, at_flags, &t);
    if (err)
        return err;
    target_attr(&t, &attr);
    target_drop(&t);
    if (mode & ACCESS_EXEC && (attr.mode & MODE_TYPE) != MODE_DIR && !(attr.mode & MODE_ANY_EXEC))
        return -EACCES;
    return 0;
}

long sys_access(const u64 a[6])
{
    return access_at(AT_FDCWD, a[0], (u32)a[1], 0);
}

long sys_faccessat(const u64 a[6])
{
    return access_at((int)a[0], a[1], (u32)a[2], 0);
}

long sys_faccessat2(const u64 a[6])
{
    const u32 known = LINUX_AT_EACCESS | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH;

    if ((u32)a[3] & ~known)
        return -EINVAL;
    return access_at((int)a[0], a[1], (u32)a[2], (u32)a[3]);
}
