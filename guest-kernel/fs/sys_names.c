/* Making, removing and renaming names. */
#include "guest-kernel/fs/names.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/string.h"

/* --- making --- */

static u32 masked(u64 mode)
{
    return (u32)mode & ~current_fs()->umask;
}

static long mkdir_at(int dirfd, u64 text, u64 mode)
{
    struct path path;
    long err = path_walk_user(dirfd, text, WALK_MAY_LACK, &path);

    if (err)
        return err;
    err = path.found ? -EEXIST : names_mkdir(&path, masked(mode));
    path_drop(&path);
    return err;
}

long sys_mkdir(const u64 a[6])
{
    return mkdir_at(AT_FDCWD, a[0], a[1]);
}

long sys_mkdirat(const u64 a[6])
{
    return mkdir_at((int)a[0], a[1], a[2]);
}

static long mknod_at(int dirfd, u64 text, u64 mode)
{
    u32 type = (u32)mode & MODE_TYPE;
    struct dentry *made = NULL;
    struct path path;
    long err;

    if (type != 0 && type != MODE_REGULAR)
        return -EPERM; /* what a file system without such nodes answers */
    err = path_walk_user(dirfd, text, WALK_MAY_LACK, &path);
    if (err)
        return err;
    if (path.found)
        err = -EEXIST;
    else
        err = path.slash ? -ENOENT : names_create(&path, masked(mode), &made);
    dentry_put(made);
    path_drop(&path);
    return err;
}

long sys_mknod(const u64 a[6])
{
    return mknod_at(AT_FDCWD, a[0], a[1]);
}

long sys_mknodat(const u64 a[6])
{
    return mknod_at((int)a[0], a[1], a[2]);
}

static long symlink_at(u64 target, int dirfd, u64 text)
{
    char *target_text = NULL;
    struct path path;
    long err = path_from_user(target, &target_text);

    if (err)
        return err;
    err = path_walk_user(dirfd, text, WALK_MAY_LACK | WALK_NO_SLASH, &path);
    if (!err) {
        err = names_symlink(&path, target_text);
        path_drop(&path);
    }
    path_free(target_text);
    return err;
}

long sys_symlink(const u64 a[6])
{
    return symlink_at(a[0], AT_FDCWD, a[1]);
}

long sys_symlinkat(const u64 a[6])
{
    return symlink_at(a[0], (int)a[1], a[2]);
}

static long link_at(int from_dir, u64 from, int to_dir, u64 to, u32 flags)
{
    struct target t;
    struct path path;
    long err;

    if (flags & ~(LINUX_AT_SYMLINK_FOLLOW | LINUX_AT_EMPTY_PATH))
        return -EINVAL;
    if (!(flags & LINUX_AT_SYMLINK_FOLLOW))
        flags |= LINUX_AT_SYMLINK_NOFOLLOW;
    err = target_at(from_dir, from, flags, &t);
    if (err)
        return err;
    err = path_walk_user(to_dir, to, WALK_MAY_LACK | WALK_NO_SLASH, &path);
    if (!err) {
        err = t.dentry ? names_link(t.dentry, &path) : -EXDEV;
        path_drop(&path);
    }
    target_drop(&t);
    return err;
}

long sys_link(const u64 a[6])
{
    return link_at(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

long sys_linkat(const u64 a[6])
{
    return link_at((int)a[0], a[1], (int)a[2], a[3], (u32)a[4]);
}

/* --- removing --- */

static long remove_at(int dirfd, u64 text, int (*remove)(struct path *path))
{
    struct path path;
    long err = path_walk_user(dirfd, text, WALK_NO_SLASH, &path);

    if (err)
        return err;
    err = remove(&path);
    path_drop(&path);
    return err;
}

long sys_unlink(const u64 a[6])
{
    return remove_at(AT_FDCWD, a[0], names_unlink);
}

long sys_rmdir(const u64 a[6])
{
    return remove_at(AT_FDCWD, a[0], names_rmdir);
}

long sys_unlinkat(const u64 a[6])
{
    if ((u32)a[2] & ~LINUX_AT_REMOVEDIR)
        return -EINVAL;
    return remove_at((int)a[0], a[1], a[2] & LINUX_AT_REMOVEDIR ? names_rmdir : names_unlink);
}

/* --- renaming --- */

static long rename_at(int from_dir, u64 from, int to_dir, u64 to, u32 flags)
{
    struct path old, new;
    long err = path_walk_user(from_dir, from, WALK_NO_SLASH, &old);

    if (err)
        return err;
    err = path_walk_user(to_dir, to, WALK_NO_SLASH | WALK_MAY_LACK, &new);
    if (!err) {
        err = names_rename(&old, &new, flags);
        path_drop(&new);
    }
    path_drop(&old);
    return err;
}

long sys_rename(const u64 a[6])
{
    return rename_at(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

long sys_renameat(const u64 a[6])
{
    return rename_at((int)a[0], a[1], (int)a[2], a[3], 0);
}

long sys_renameat2(const u64 a[6])
{
    return rename_at((int)a[0], a[1], (int)a[2], a[3], (u32)a[4]);
}
