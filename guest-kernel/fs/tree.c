/* Helpers that fill fixed directories. */
#include "guest-kernel/fs/tree.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"

struct inode *tree_add(struct dentry *dir, const char *name, struct inode *inode, int *error)
{
    struct dentry *d;
    int err = -ENOMEM;

    if (!inode) {
        *error = err;
        return NULL;
    }
    inode->flags |= dir->inode->flags & INODE_PROC;
    d = dentry_add(dir, name, strlen(name), inode, &err);
    inode_put(inode);
    if (!d)
        *error = err;
    return d ? d->inode : NULL;
}

struct inode *tree_link(struct dentry *dir, const char *name, const char *target, int *error)
{
    return tree_add(dir, name, symlink_new(target, strlen(target)), error);
}

struct inode *tree_dir(struct dentry *dir, const char *name, const struct inode_ops *ops, u32 mode,
                       int *error)
{
    return tree_add(dir, name, inode_new(ops, MODE_DIR | mode), error);
}

struct inode *tree_file(struct dentry *dir, const char *name, const char *text, int *error)
{
    struct inode *inode = inode_new(&regular_inode_ops, MODE_REGULAR | 0644);
    void *page = inode ? inode->ops->page(inode, 0, true) : NULL;

    if (page) {
        inode->size = MIN(strlen(text), PAGE_SIZE);
        memcpy(page, text, inode->size);
    }
    return tree_add(dir, name, inode, error);
}
