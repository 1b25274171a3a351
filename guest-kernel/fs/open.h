/* Opening what a path names. */
#ifndef SAMARA_GUEST_FS_OPEN_H
#define SAMARA_GUEST_FS_OPEN_H

#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/file.h"

/* A new open file at d, as open(2) with these flags (O_CREAT has been done). NULL and *error. */
struct file *open_dentry(struct dentry *d, u32 flags, int *error);

/* open(2) relative to base (NULL: the current directory); the umask is applied to mode.
 * walk_flags: further WALK_* restrictions. NULL and *error. */
struct file *open_path(struct dentry *base, const char *text, u32 flags, u32 mode, u32 walk_flags,
                       int *error);

/* A new, nameless regular file for reading and writing: memfd_create and O_TMPFILE. It is known as
 * `name` in dir (NULL: the root) but cannot be found there. */
struct file *open_unnamed(struct dentry *dir, const char *name, u32 mode, u32 flags, int *error);

#endif
