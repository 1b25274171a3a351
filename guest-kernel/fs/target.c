/* Targets of *at calls, and time arguments. */
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/sys.h"

#define NS_PER_SECOND 1000000000ul

/* Is there no path? Newer Linux takes NULL for "". */
static int path_is_empty(u64 path, bool *empty)
{
    char first = '\0';

    if (path && copy_from_user(&first, path, 1) != 0)
        return -EFAULT;
    *empty = first == '\0';
    return 0;
}

long target_fd(u64 fd, struct target *out)
{
    struct file *f = fd_get((int)fd);

    if (!f)
        return -EBADF;
    out->file = f;
    out->dentry = f->dentry ? dentry_get(f->dentry) : NULL;
    return 0;
}

long target_at(int dirfd, u64 path, u32 at_flags, struct target *out)
{
    u32 walk = at_flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
    bool empty = false;
    int err = 0;

    if (at_flags & LINUX_AT_EMPTY_PATH)
        err = path_is_empty(path, &empty);
    if (err)
        return err;
    if (empty && dirfd != AT_FDCWD)
        return target_fd((u64)dirfd, out);
    out->file = NULL;
    if (empty) {
        out->dentry = path_find(NULL, "", WALK_EMPTY, &err);
        return err;
    }
    out->dentry = path_find_user(dirfd, path, walk, &err);
    return err;
}

void target_drop(struct target *t)
{
    file_put(t->file);
    dentry_put(t->dentry);
}

struct inode *target_inode(const struct target *t)
{
    return t->dentry ? t->dentry->inode : NULL;
}

void target_attr(const struct target *t, struct file_attr *out)
{
    if (t->file)
        file_attr(t->file, out);
    else
        inode_attr(t->dentry->inode, out);
}

int timespec_to_ns(const struct linux_timespec *ts, u64 *ns)
{
    if (ts->sec < 0 || ts->nsec < 0 || (u64)ts->nsec >= NS_PER_SECOND)
        return -EINVAL;
    if ((u64)ts->sec > INT64_MAX / NS_PER_SECOND - 1)
        *ns = INT64_MAX;
    else
        *ns = (u64)ts->sec * NS_PER_SECOND + (u64)ts->nsec;
    return 0;
}

int file_time_to_ns(const struct linux_timespec *ts, u64 *ns)
{
    const i64 limit = INT64_MAX / (i64)NS_PER_SECOND - 1;

    if (ts->nsec < 0 || (u64)ts->nsec >= NS_PER_SECOND)
        return -EINVAL;
    *ns = (u64)(MAX(MIN(ts->sec, limit), -limit) * (i64)NS_PER_SECOND + ts->nsec);
    return 0;
}

struct linux_timespec timespec_from_ns(u64 ns)
{
    i64 sec = (i64)ns / (i64)NS_PER_SECOND, nsec = (i64)ns % (i64)NS_PER_SECOND;

    if (nsec < 0)
        return (struct linux_timespec){sec - 1, nsec + (i64)NS_PER_SECOND};
    return (struct linux_timespec){sec, nsec};
}
