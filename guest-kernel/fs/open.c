/* Opening files. */
#include "guest-kernel/fs/open.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/names.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"

#define FLAGS_KEPT  (~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC))
#define FLAGS_WRITE (O_WRONLY | O_RDWR)
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* O_PATH: a place, not its contents. */
static const struct file_ops place_ops;

static struct file *file_at(struct dentry *d, const struct file_ops *ops, u32 flags, int *error)
{
    struct file *f = file_new(ops, NULL);

    *error = f ? 0 : -ENOMEM;
    if (!f)
        return NULL;
    f->flags = flags;
    f->dentry = dentry_get(d);
    return f;
}

static int may_open(const struct inode *inode, u32 flags)
{
    if (inode_is(inode, MODE_DIR)) {
        if (flags & (FLAGS_WRITE | O_CREAT))
            return -EISDIR;
    } else if (flags & O_DIRECTORY) {
        return -ENOTDIR;
    }
    if (inode_is(inode, MODE_LINK))
        return inode->ops->alias ? 0 : -ELOOP;
    if (inode->flags & INODE_BUSY_TEXT && flags & (FLAGS_WRITE | O_TRUNC))
        return -ETXTBSY;
    if (!inode->ops->file_ops && !inode->ops->alias)
        return -ENXIO;
    return 0;
}

struct file *open_dentry(struct dentry *d, u32 flags, int *error)
{
    struct inode *inode = d->inode;
    struct file *f;

    if (flags & O_PATH) {
        *error = -ENOTDIR;
        if (flags & O_DIRECTORY && !inode_is(inode, MODE_DIR))
            return NULL;
        return file_at(d, &place_ops, O_PATH | (flags & (O_DIRECTORY | O_NOFOLLOW)), error);
    }
    *error = may_open(inode, flags);
    if (*error)
        return NULL;
    if (inode->ops->alias)
        return inode->ops->alias(inode, error);
    f = file_at(d, inode->ops->file_ops, (flags & FLAGS_KEPT) | O_LARGEFILE, error);
    if (!f)
        return NULL;
    if (inode->ops->open)
        *error = inode->ops->open(inode, f);
    if (!*error && flags & O_TRUNC && inode_is(inode, MODE_REGULAR) && inode->ops->truncate)
        *error = inode->ops->truncate(inode, 0);
    if (*error) {
        file_put(f);
        return NULL;
    }
    return f;
}

/* With O_CREAT: the dentry to open, made if it is not there. */
static struct dentry *find_or_create(struct path *path, u32 *flags, u32 mode, int *error)
{
    struct dentry *made = NULL;

    if (path->found) {
        *error = *flags & O_EXCL ? -EEXIST : 0;
        return *error ? NULL : dentry_get(path->found);
    }
    *error = path->slash ? -EISDIR : names_create(path, mode, &made);
    *flags &= ~O_TRUNC;
    return made;
}

static struct file *open_or_create(struct dentry *base, const char *text, u32 flags, u32 mode,
                                   u32 walk, int *error)
{
    struct dentry *d;
    struct path path;
    struct file *f;

    if (flags & O_DIRECTORY) {
        *error = -EINVAL;
        return NULL;
    }
    if (flags & O_EXCL)
        walk &= ~(u32)WALK_FOLLOW;
    *error = path_walk(base, text, walk | WALK_MAY_LACK, &path);
    if (*error)
        return NULL;
    d = find_or_create(&path, &flags, mode & ~current_fs()->umask, error);
    path_drop(&path);
    if (!d)
        return NULL;
    f = open_dentry(d, flags, error);
    dentry_put(d);
    return f;
}

struct file *open_unnamed(struct dentry *dir, const char *name, u32 mode, u32 flags, int *error)
{
    struct inode *inode = inode_new(&regular_inode_ops, MODE_REGULAR | (mode & MODE_BITS));
    struct dentry *d = NULL;
    struct file *f = NULL;

    *error = -ENOMEM;
    if (inode && !dir)
        inode->flags |= INODE_MEMORY;
    if (inode)
        d = dentry_new(dir ? dir : dentry_root(), name, strlen(name), inode);
    if (d)
        f = file_at(d, &regular_file_ops, flags | O_LARGEFILE, error);
    dentry_put(d);
    inode_put(inode);
    return f;
}

static struct file *open_tmpfile(struct dentry *dir, u32 flags, u32 mode, int *error)
{
    struct file *f;

    *error = -EINVAL;
    if (!(flags & FLAGS_WRITE))
        return NULL;
    *error = -EOPNOTSUPP;
    if (dir->inode->flags & INODE_PROC)
        return NULL;
    f = open_unnamed(dir, "#tmpfile", mode & ~current_fs()->umask, flags & FLAGS_KEPT & ~O_TMPFILE,
                     error);
    if (f && !(flags & O_EXCL))
        file_inode(f)->flags |= INODE_LINKABLE;
    return f;
}

struct file *open_path(struct dentry *base, const char *text, u32 flags, u32 mode, u32 walk_flags,
                       int *error)
{
    struct dentry *d;
    struct file *f;

    if (!(flags & O_NOFOLLOW))
        walk_flags |= WALK_FOLLOW;
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (flags & O_DIRECTORY)
        walk_flags |= WALK_DIRECTORY;
    if (flags & O_CREAT)
        return open_or_create(base, text, flags, mode, walk_flags, error);
    d = path_find(base, text, walk_flags, error);
    if (!d)
        return NULL;
    if (flags & TMPFILE_BIT)
        f = open_tmpfile(d, flags, mode, error);
    else
        f = open_dentry(d, flags, error);
    dentry_put(d);
    return f;
}
