/* The table of file descriptors. */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

enum { FIRST_SLOTS = 32 };

void fs_context_init(struct fs_context *fs)
{
    *fs = (struct fs_context){.umask = 022, .fd_limit = FD_LIMIT_DEFAULT};
}

struct fd_slot *fd_slot(int fd)
{
    struct fs_context *fs = current_fs();

    if (fd < 0 || (u32)fd >= fs->fd_size || !fs->fds[fd].file)
        return NULL;
    return &fs->fds[fd];
}

struct file *fd_get(int fd)
{
    struct fd_slot *slot = fd_slot(fd);

    return slot ? file_get(slot->file) : NULL;
}

static bool reserve(struct fs_context *fs, u32 count)
{
    u32 size = fs->fd_size ? fs->fd_size : FIRST_SLOTS;
    struct fd_slot *bigger;

    if (count <= fs->fd_size)
        return true;
    while (size < count)
        size *= 2;
    bigger = kzalloc(size * sizeof(*bigger));
    if (!bigger)
        return false;
    if (fs->fds)
        memcpy(bigger, fs->fds, fs->fd_size * sizeof(*bigger));
    kfree(fs->fds);
    fs->fds = bigger;
    fs->fd_size = size;
    return true;
}

int fd_install(int fd, struct file *f)
{
    struct fs_context *fs = current_fs();
    struct file *old;

    if (fd < 0 || (u32)fd >= fs->fd_limit)
        return -EBADF;
    if (!reserve(fs, (u32)fd + 1))
        return -ENOMEM;
    old = fs->fds[fd].file;
    fs->fds[fd] = (struct fd_slot){.file = f};
    file_put(old);
    return 0;
}

int fd_new(struct file *f, u32 min, bool close_on_exec)
{
    struct fs_context *fs = current_fs();
    u32 fd = MAX(min, fs->fd_hint);

    if (min >= fs->fd_limit)
        return -EINVAL;
    while (fd < fs->fd_size && fs->fds[fd].file)
        fd++;
    if (fd >= fs->fd_limit)
        return -EMFILE;
    if (!reserve(fs, fd + 1))
        return -ENOMEM;
    fs->fds[fd] = (struct fd_slot){.file = f, .close_on_exec = close_on_exec};
    if (min <= fs->fd_hint)
        fs->fd_hint = fd + 1;
    return (int)fd;
}

int fd_close(int fd)
{
    struct fd_slot *slot = fd_slot(fd);
    struct file *f;

    if (!slot)
        return -EBADF;
    f = slot->file;
    *slot = (struct fd_slot){0};
    current_fs()->fd_hint = MIN(current_fs()->fd_hint, (u32)fd);
    file_put(f);
    return 0;
}
