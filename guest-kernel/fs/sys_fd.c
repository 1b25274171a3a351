/* Descriptors: dup, fcntl, flock, ioctl, lseek. */
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/pipe.h"
#include "guest-kernel/fs/sys.h"

static long dup_from(u64 fd, u64 min, bool close_on_exec)
{
    struct file *f = fd_get((int)fd);
    long new_fd;

    if (!f)
        return -EBADF;
    new_fd = min > FD_LIMIT_MAX ? -EINVAL : fd_new(f, (u32)min, close_on_exec);
    if (new_fd < 0)
        file_put(f);
    return new_fd;
}

static long dup_to(int from, int to, bool close_on_exec)
{
    struct file *f = fd_get(from);
    int err;

    if (!f)
        return -EBADF;
    err = fd_install(to, f);
    if (err) {
        file_put(f);
        return err;
    }
    fd_slot(to)->close_on_exec = close_on_exec;
    return to;
}

long sys_dup(const u64 a[6])
{
    return dup_from(a[0], 0, false);
}

long sys_dup2(const u64 a[6])
{
    if ((int)a[0] == (int)a[1])
        return fd_slot((int)a[0]) ? (int)a[0] : -EBADF;
    return dup_to((int)a[0], (int)a[1], false);
}

long sys_dup3(const u64 a[6])
{
    if ((int)a[0] == (int)a[1] || a[2] & ~(u64)O_CLOEXEC)
        return -EINVAL;
    return dup_to((int)a[0], (int)a[1], a[2] & O_CLOEXEC);
}

/* --- fcntl --- */

static long set_status_flags(struct file *f, u32 flags)
{
    const u32 settable = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME;

    if (flags & O_DIRECT && file_is_pipe(f))
        return -EINVAL; /* as pipe2: there are no packets */
    f->flags = (f->flags & ~settable) | (flags & settable);
    return 0;
}

/*
 * Record locks. A process never conflicts with itself and there is no other, so every lock is
 * granted and none is ever seen. (OFD locks of two open files could conflict; programs that rely on
 * that to exclude themselves are not known.)
 */
static long record_lock(const struct file *f, int command, u64 address)
{
    struct linux_flock lock;

    if (copy_from_user(&lock, address, sizeof(lock)) != 0)
        return -EFAULT;
    if (lock.type > LOCK_KIND_UNLOCK || lock.type < 0 || lock.whence < 0 ||
        lock.whence > WHENCE_END)
        return -EINVAL;
    if (command == FCNTL_GETLK || command == FCNTL_OFD_GETLK) {
        if (lock.type == LOCK_KIND_UNLOCK)
            return -EINVAL;
        lock.type = LOCK_KIND_UNLOCK;
        return copy_to_user(address, &lock, sizeof(lock));
    }
    if (lock.type == LOCK_KIND_READ && !file_readable(f))
        return -EBADF;
    if (lock.type == LOCK_KIND_WRITE && !file_writable(f))
        return -EBADF;
    return 0;
}

static long pipe_size(const struct file *f, int command, u64 size)
{
    if (!file_is_pipe(f))
        return -EBADF;
    if (command == FCNTL_SETPIPE_SZ && size > PIPE_CAPACITY)
        return -EPERM;
    return PIPE_CAPACITY;
}

static long seal(const struct file *f, int command, u64 more)
{
    struct inode *inode = file_inode(f);

    if (!inode || !(inode->flags & INODE_MEMORY) ||
        (command == FCNTL_ADD_SEALS && more > SEALS_KNOWN))
        return -EINVAL;
    if (command == FCNTL_GET_SEALS)
        return inode->seals;
    if (!file_writable(f) || inode->seals & SEAL_SEAL)
        return -EPERM;
    inode->seals |= (u32)more;
    return 0;
}

static long fcntl_on(struct file *f, u64 fd, int command, u64 arg)
{
    struct fd_slot *slot = fd_slot((int)fd);

    switch (command) {
    case FCNTL_GETFD:
        return slot->close_on_exec;
    case FCNTL_SETFD:
        slot->close_on_exec = arg & 1;
        return 0;
    case FCNTL_GETFL:
        return f->flags;
    case FCNTL_DUPFD:
    case FCNTL_DUPFD_CLOEXEC:
        if (arg >= current_fs()->fd_limit)
            return -EINVAL;
        return dup_from(fd, arg, command == FCNTL_DUPFD_CLOEXEC);
    default:
        break;
    }
    if (f->flags & O_PATH)
        return -EBADF;
    switch (command) {
    case FCNTL_SETFL:
        return set_status_flags(f, (u32)arg);
    case FCNTL_GETLK:
    case FCNTL_SETLK:
    case FCNTL_SETLKW:
    case FCNTL_OFD_GETLK:
    case FCNTL_OFD_SETLK:
    case FCNTL_OFD_SETLKW:
        return record_lock(f, command, arg);
    case FCNTL_SETOWN:
    case FCNTL_GETOWN:
    case FCNTL_SETSIG:
    case FCNTL_GETSIG:
        return 0;
    case FCNTL_GETPIPE_SZ:
    case FCNTL_SETPIPE_SZ:
        return pipe_size(f, command, arg);
    case FCNTL_ADD_SEALS:
    case FCNTL_GET_SEALS:
        return seal(f, command, arg);
    default:
        return -EINVAL;
    }
}

long sys_fcntl(const u64 a[6])
{
    struct file *f = fd_get((int)a[0]);
    long result;

    if (!f)
        return -EBADF;
    result = fcntl_on(f, a[0], (int)a[1], a[2]);
    file_put(f);
    return result;
}

enum { FLOCK_SHARED = 1, FLOCK_EXCLUSIVE = 2, FLOCK_NONBLOCK = 4, FLOCK_UNLOCK = 8 };

/* Granted for the same reason as record locks. */
long sys_flock(const u64 a[6])
{
    u32 operation = (u32)a[1] & ~(u32)FLOCK_NONBLOCK;
    struct file *f = sys_file(a[0]);

    if (!f)
        return -EBADF;
    file_put(f);
    if (operation != FLOCK_SHARED && operation != FLOCK_EXCLUSIVE && operation != FLOCK_UNLOCK)
        return -EINVAL;
    return 0;
}

/* --- ioctl --- */

static long set_nonblocking(struct file *f, u64 address)
{
    int on;

    if (copy_from_user(&on, address, sizeof(on)) != 0)
        return -EFAULT;
    f->flags = on ? f->flags | O_NONBLOCK : f->flags & ~O_NONBLOCK;
    return 0;
}

long sys_ioctl(const u64 a[6])
{
    struct file *f = sys_file(a[0]);
    u32 request = (u32)a[1];
    long result;

    if (!f)
        return -EBADF;
    switch (request) {
    case IOCTL_FIOCLEX:
    case IOCTL_FIONCLEX:
        fd_slot((int)a[0])->close_on_exec = request == IOCTL_FIOCLEX;
        result = 0;
        break;
    case IOCTL_FIONBIO:
        result = set_nonblocking(f, a[2]);
        break;
    default:
        result = f->ops->ioctl ? f->ops->ioctl(f, request, a[2]) : -ENOTTY;
    }
    file_put(f);
    return result;
}

long sys_lseek(const u64 a[6])
{
    struct file *f = sys_file(a[0]);
    long result;

    if (!f)
        return -EBADF;
    result = f->ops->lseek ? f->ops->lseek(f, (long)a[1], (int)a[2]) : -ESPIPE;
    file_put(f);
    return result;
}
