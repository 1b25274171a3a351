/* Creating, removing and renaming names. */
#include "guest-kernel/fs/names.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

/* May a name be entered into dir? Linux's procfs answers ENOENT; a removed directory does too. */
static int may_add(const struct dentry *dir)
{
    if (dir->inode->flags & INODE_PROC || dir->inode->nlink == 0)
        return -ENOENT;
    return 0;
}

int names_add(struct path *path, struct inode *inode)
{
    int err;

    if (path->found)
        return -EEXIST;
    err = may_add(path->dir);
    if (err)
        return err;
    dentry_add(path->dir, path->name, path->name_len, inode, &err);
    return err;
}

static int add_new(struct path *path, struct inode *inode)
{
    int err;

    if (!inode)
        return path->found ? -EEXIST : -ENOSPC;
    err = names_add(path, inode);
    inode_put(inode);
    return err;
}

int names_mkdir(struct path *path, u32 mode)
{
    return add_new(path, inode_new(&dir_inode_ops, MODE_DIR | (mode & 01777)));
}

int names_symlink(struct path *path, const char *target)
{
    if (!*target)
        return -ENOENT;
    if (path->slash && !path->found)
        return -ENOENT;
    return add_new(path, symlink_new(target, strlen(target)));
}

int names_create(struct path *path, u32 mode, struct dentry **out)
{
    struct inode *inode = inode_new(&regular_inode_ops, MODE_REGULAR | (mode & MODE_BITS));
    struct dentry *d;
    int err = may_add(path->dir);

    if (!err && !inode)
        err = -ENOSPC;
    if (err) {
        inode_put(inode);
        return err;
    }
    d = dentry_add(path->dir, path->name, path->name_len, inode, &err);
    inode_put(inode);
    if (d)
        *out = dentry_get(d);
    return err;
}

int names_link(struct dentry *target, struct path *path)
{
    int err;

    if (path->found)
        return -EEXIST;
    if (inode_is(target->inode, MODE_DIR))
        return -EPERM;
    if (path->slash)
        return -ENOENT;
    if ((target->inode->flags ^ path->dir->inode->flags) & INODE_PROC)
        return -EXDEV;
    if (target->inode->nlink == 0 && !(target->inode->flags & INODE_LINKABLE))
        return -ENOENT;
    inode_touch_meta(target->inode);
    err = names_add(path, target->inode);
    if (err == 0)
        target->inode->flags &= ~(u32)INODE_LINKABLE;
    return err;
}

/* Procfs and the root stay as they are. */
static int may_remove(const struct dentry *d)
{
    if (d->inode->flags & INODE_PROC)
        return d->parent->inode->flags & INODE_PROC ? -EPERM : -EBUSY;
    return d->linked ? 0 : -EPERM;
}

int names_unlink(struct path *path)
{
    int err;

    if (path->last != LAST_NAME)
        return -EISDIR;
    if (inode_is(path->found->inode, MODE_DIR))
        return -EISDIR;
    if (path->slash)
        return -ENOTDIR;
    err = may_remove(path->found);
    if (err)
        return err;
    dentry_remove(path->found);
    return 0;
}

int names_rmdir(struct path *path)
{
    static const int by_last[] = {
        [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY, [LAST_ROOT] = -EBUSY};
    int err;

    if (path->last != LAST_NAME)
        return by_last[path->last];
    if (!inode_is(path->found->inode, MODE_DIR))
        return -ENOTDIR;
    err = may_remove(path->found);
    if (err)
        return err;
    if (!dentry_is_empty_dir(path->found))
        return -ENOTEMPTY;
    dentry_remove(path->found);
    return 0;
}

static int rename_allowed(const struct path *from, const struct path *to, u32 flags)
{
    bool dir = inode_is(from->found->inode, MODE_DIR);
    bool exchange = flags & LINUX_RENAME_EXCHANGE;
    int err = may_remove(from->found);

    if (err)
        return err;
    if ((from->slash && !dir) || (to->slash && !dir && !(exchange && to->found)))
        return -ENOTDIR;
    if (dir && dentry_is_below(to->dir, from->found))
        return -EINVAL;
    if (to->dir->inode->flags & INODE_PROC)
        return -EXDEV;
    if (!to->found)
        return exchange ? -ENOENT : may_add(to->dir);
    if (flags & LINUX_RENAME_NOREPLACE)
        return -EEXIST;
    if (exchange && dentry_is_below(from->dir, to->found))
        return -EINVAL;
    return may_remove(to->found);
}

/* Whether what is in the way may be replaced by what is moved. */
static int may_replace(struct dentry *from, struct dentry *to)
{
    bool from_dir = inode_is(from->inode, MODE_DIR);
    bool to_dir = inode_is(to->inode, MODE_DIR);

    if (from_dir && !to_dir)
        return -ENOTDIR;
    if (!from_dir && to_dir)
        return dentry_is_below(from, to) ? -ENOTEMPTY : -EISDIR;
    if (to_dir && !dentry_is_empty_dir(to))
        return -ENOTEMPTY;
    return 0;
}

int names_rename(struct path *from, struct path *to, u32 flags)
{
    const u32 known = LINUX_RENAME_NOREPLACE | LINUX_RENAME_EXCHANGE;
    struct dentry *victim;
    int err;

    if (flags & ~known || flags == known)
        return -EINVAL;
    if (from->last != LAST_NAME || to->last != LAST_NAME)
        return -EBUSY;
    err = rename_allowed(from, to, flags);
    if (err)
        return err;
    victim = to->found;
    if (victim && victim->inode == from->found->inode)
        return 0; /* two names of one file: POSIX says to do nothing */
    if (flags & LINUX_RENAME_EXCHANGE)
        return dentry_swap(from->found, victim);
    err = victim ? may_replace(from->found, victim) : 0;
    if (err)
        return err;
    /* Both names exist for a moment, so that failure leaves the old file in place. */
    err = dentry_move(from->found, to->dir, to->name, to->name_len);
    if (!err && victim)
        dentry_remove(victim);
    return err;
}
