/* Making the fixed part of the tree from tables. */
#ifndef SAMARA_GUEST_FS_TREE_H
#define SAMARA_GUEST_FS_TREE_H

#include "guest-kernel/fs/dentry.h"

/* Enter a new inode, whose only reference is taken over (NULL: out of memory), in a fixed
 * directory. The inode, borrowed, or NULL with *error set; *error is left alone on success. */
struct inode *tree_add(struct dentry *dir, const char *name, struct inode *inode, int *error);

struct inode *tree_link(struct dentry *dir, const char *name, const char *target, int *error);
struct inode *tree_dir(struct dentry *dir, const char *name, const struct inode_ops *ops, u32 mode,
                       int *error);
/* A regular ramfs file with this text. */
struct inode *tree_file(struct dentry *dir, const char *name, const char *text, int *error);

/* Linux's encoding of a device number. */
static inline u64 device_number(u32 major, u32 minor)
{
    return (u64)(minor & 0xff) | (u64)(major & 0xfff) << 8 | (u64)(minor & ~0xffu) << 12;
}

#endif
