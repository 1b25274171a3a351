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

/* Makes dentry of the inode that an *at call names: path, or dirfd itself with AT_EMPTY_PATH, which
 * also accepts files without a name: then NULL is returned and *file holds a reference instead. */
struct dentry *sys_target(int dirfd, u64 path, u32 at_flags, struct file **file, long *error);

/* Time arguments. 0 or -errno; EINVAL if not normalized or negative. */
int timespec_to_ns(const struct linux_timespec *ts, u64 *ns);
struct linux_timespec timespec_from_ns(u64 ns);

/* Read or write segments, as readv and writev. pos NULL: the file's offset. */
long io_segments(struct file *f, u64 iov, u64 count, u64 *pos, bool write);

#endif
