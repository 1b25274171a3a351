/* Changing the tree: what the system calls of that name do, on walked paths. 0 or -errno. */
#ifndef SAMARA_GUEST_FS_NAMES_H
#define SAMARA_GUEST_FS_NAMES_H

#include "guest-kernel/fs/path.h"

/* Enter inode under the last name of path (walked with WALK_MAY_LACK). The caller keeps its
 * reference to inode. */
int names_add(struct path *path, struct inode *inode);

/* New things at a path walked with WALK_MAY_LACK; mode has the umask applied. */
int names_mkdir(struct path *path, u32 mode);
int names_symlink(struct path *path, const char *target);
/* A regular file; *out gets a reference to its dentry. */
int names_create(struct path *path, u32 mode, struct dentry **out);
int names_link(struct dentry *target, struct path *path);

/* Walked with WALK_NO_SLASH. */
int names_unlink(struct path *path);
int names_rmdir(struct path *path);
/* Both walked with WALK_NO_SLASH, to also with WALK_MAY_LACK. flags: LINUX_RENAME_*. */
int names_rename(struct path *from, struct path *to, u32 flags);

#endif
