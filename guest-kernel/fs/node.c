/* Directory and symbolic link inodes, and listing a directory. */
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

/* --- directories --- */

static long dir_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)f, (void)buf, (void)len, (void)pos;
    return -EISDIR;
}

static void dir_attr(struct inode *inode, struct file_attr *out)
{
    (void)inode;
    out->size = out->blocks = 0;
}

/* The entries made for good go when the directory does: it was empty, or the system ends. */
const struct inode_ops dir_inode_ops = {
    .file_ops = &dir_file_ops,
    .attr = dir_attr,
};

const struct file_ops dir_file_ops = {
    .read = dir_read,
    .lseek = file_lseek_endless,
};

/* --- symbolic links --- */

static void symlink_release(struct inode *inode)
{
    kfree(inode->target);
}

const struct inode_ops symlink_inode_ops = {
    .release = symlink_release,
};

struct inode *symlink_new(const char *target, size_t len)
{
    struct inode *inode = inode_new(&symlink_inode_ops, MODE_LINK | 0777);

    if (!inode)
        return NULL;
    inode->target = kmalloc(len + 1);
    if (!inode->target) {
        inode_put(inode);
        return NULL;
    }
    memcpy(inode->target, target, len);
    inode->target[len] = '\0';
    inode->size = len;
    return inode;
}
