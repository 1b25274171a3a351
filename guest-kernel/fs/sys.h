/* What the files of system calls share. */
#ifndef SAMARA_GUEST_FS_SYS_H
#define SAMARA_GUEST_FS_SYS_H

#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/fs_syscalls.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/fs/path.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"

/* A reference to the file at fd; NULL (EBADF) also for places opened with O_PATH. */
static inline struct file *sys_file(u64 fd)
{
    struct file *f = fd_get((int)fd);

    if (f && f->flags & O_PATH) {
        file_put(f);
        return NULL;
    }
    return f;
}

/* Give f (taken over) the lowest descriptor. */
static inline long sys_new_fd(struct file *f, u32 flags)
{
    long fd = fd_new(f, 0, flags & O_CLOEXEC);

    if (fd < 0)
        file_put(f);
    return fd;
}

/* Give both files (taken over) descriptors and write these to the program's int[2] at address. */
long sys_new_fds(struct file *first, struct file *second, u32 flags, u64 address);

/*
 * What an *at call is about: a path, or with AT_EMPTY_PATH or in the f* calls an open file, which
 * may have no name.
 */
struct target {
    struct dentry *dentry; /* NULL for a file without a name */
    struct file *file;     /* NULL for a path */
};

/* at_flags: LINUX_AT_EMPTY_PATH and LINUX_AT_SYMLINK_NOFOLLOW count. 0 or -errno. */
long target_at(int dirfd, u64 path, u32 at_flags, struct target *out);
long target_fd(u64 fd, struct target *out);
void target_drop(struct target *t);
/* NULL for a file without a name. */
struct inode *target_inode(const struct target *t);
void target_attr(const struct target *t, struct file_attr *out);

/* One of readv's or writev's, and of those of sockets: whether its length and place are possible. 0
 * or -errno. */
int sys_check_segment(const struct linux_iovec *part);

/* Time arguments. 0 or -errno; EINVAL if not normalized or negative. */
int timespec_to_ns(const struct linux_timespec *ts, u64 *ns);
/* The same for a file's time, which may be before 1970; what is centuries away is cut. */
int file_time_to_ns(const struct linux_timespec *ts, u64 *ns);
struct linux_timespec timespec_from_ns(u64 ns);

#endif
