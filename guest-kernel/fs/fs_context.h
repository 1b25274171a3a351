/*
 * What the file system keeps for a process: working directory, umask and descriptor table.
 * current_fs() is the running one's.
 */
#ifndef SAMARA_GUEST_FS_FS_CONTEXT_H
#define SAMARA_GUEST_FS_FS_CONTEXT_H

#include "guest-kernel/lib/base.h"

struct dentry;
struct file;

enum {
    FD_LIMIT_DEFAULT = 1024,
    FD_LIMIT_MAX = 65536,
};

struct fd_slot {
    struct file *file;
    bool close_on_exec;
};

struct fs_context {
    struct dentry *cwd;
    u32 umask;
    u32 fd_limit; /* RLIMIT_NOFILE, soft; setrlimit may change it up to FD_LIMIT_MAX */
    u32 fd_size;  /* slots allocated */
    u32 fd_hint;  /* no free slot below this */
    struct fd_slot *fds;
};

struct fs_context *current_fs(void);

/* After fs_init: cwd /, umask 022, no descriptors. */
void fs_context_init(struct fs_context *fs);

/* The open file at fd with a reference that the caller drops, or NULL (EBADF). */
struct file *fd_get(int fd);
/* Put f at exactly fd, closing what was there. Takes over the caller's reference on success.
 * Returns 0, -EBADF (out of range) or -ENOMEM. */
int fd_install(int fd, struct file *f);
/* Put f at the lowest free descriptor >= min. Takes over the caller's reference on success.
 * Returns the descriptor, -EMFILE, -EINVAL (min out of range) or -ENOMEM. */
int fd_new(struct file *f, u32 min, bool close_on_exec);
/* Returns 0 or -EBADF. */
int fd_close(int fd);
/* NULL if fd is not open. */
struct fd_slot *fd_slot(int fd);

#endif
