/* Directories: listing, the working directory; reading links. */
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

/* --- getdents --- */

enum { LISTING_MAX = 32768 };

struct listing {
    struct dir_sink sink;
    u8 *buf;
    size_t size, used;
    u64 position;
    bool old; /* getdents: the type is the record's last byte, not its 19th */
};

/* struct linux_dirent64 has a type byte before the name; the old one has it in the last byte. */
static bool listing_add(struct dir_sink *sink, const char *name, size_t len, u64 ino, u32 mode,
                        u64 next)
{
    struct listing *l = container_of(sink, struct listing, sink);
    struct linux_dirent head = {.ino = ino, .off = (i64)next};
    size_t name_at = offsetof(struct linux_dirent, reclen) + 2 + !l->old;
    size_t record = (name_at + len + 1 + l->old + 7) & ~(size_t)7;
    u8 *at = l->buf + l->used;
    u8 type = (u8)((mode & MODE_TYPE) >> 12);

    if (record > l->size - l->used)
        return false;
    head.reclen = (u16)record;
    memset(at, 0, record);
    memcpy(at, &head, offsetof(struct linux_dirent, reclen) + 2);
    memcpy(at + name_at, name, len);
    at[l->old ? record - 1 : name_at - 1] = type;
    l->used += record;
    l->position = next;
    return true;
}

static void list_children(struct dentry *dir, u64 from, struct dir_sink *sink)
{
    for (struct dentry *d = dir->inode->dir.first; d; d = d->next) {
        if (d->cookie >= from &&
            !sink->add(sink, d->name, d->name_len, d->inode->ino, d->inode->mode, d->cookie + 1))
            return;
    }
}

static void list(struct dentry *dir, struct dir_sink *sink, u64 from)
{
    if (from == 0) {
        if (!sink->add(sink, ".", 1, dir->inode->ino, MODE_DIR, 1))
            return;
        from = 1;
    }
    if (from == 1) {
        if (!sink->add(sink, "..", 2, dir->parent->inode->ino, MODE_DIR, 2))
            return;
        from = 2;
    }
    if (dir->inode->ops->list)
        dir->inode->ops->list(dir, from, sink);
    else
        list_children(dir, from, sink);
}

static long list_to_user(struct file *f, u64 address, u64 size, bool old)
{
    struct listing l = {.sink = {listing_add}, .old = old, .position = f->offset};
    int err = dentry_populate(f->dentry);

    if (err)
        return err;
    l.size = MIN(size, (u64)LISTING_MAX);
    l.buf = kmalloc(l.size);
    if (!l.buf)
        return -ENOMEM;
    list(f->dentry, &l.sink, f->offset);
    if (l.used && copy_to_user(address, l.buf, l.used) != 0)
        err = -EFAULT;
    else
        f->offset = l.position;
    kfree(l.buf);
    return err ? err : (long)l.used;
}

/* Is the buffer too small for even the next entry? Then EINVAL, which 0 must not be mistaken for.
 */
static bool more_follows(struct file *f)
{
    u8 room[sizeof(struct linux_dirent) + FS_NAME_MAX + 16];
    struct listing l = {.sink = {listing_add}, .buf = room, .size = sizeof(room)};

    list(f->dentry, &l.sink, f->offset);
    return l.used > 0;
}

static long getdents(const u64 a[6], bool old)
{
    struct file *f = sys_file(a[0]);
    const struct inode *inode = f ? file_inode(f) : NULL;
    long n;

    if (!f)
        return -EBADF;
    if (!inode || !inode_is(inode, MODE_DIR))
        n = -ENOTDIR;
    else if (inode->nlink == 0)
        n = -ENOENT;
    else
        n = list_to_user(f, a[1], (u32)a[2], old);
    if (n == 0 && more_follows(f))
        n = -EINVAL;
    file_put(f);
    return n;
}

long sys_getdents(const u64 a[6])
{
    return getdents(a, true);
}

long sys_getdents64(const u64 a[6])
{
    return getdents(a, false);
}

/* --- working directory --- */

long sys_getcwd(const u64 a[6])
{
    struct dentry *cwd = current_fs()->cwd;
    char *text;
    long len;

    if (!cwd)
        cwd = dentry_root();
    if (!dentry_is_reachable(cwd))
        return -ENOENT;
    text = kmalloc(FS_PATH_MAX);
    if (!text)
        return -ENOMEM;
    len = dentry_path(cwd, text, FS_PATH_MAX);
    if (len >= 0)
        len++; /* the NUL counts */
    if (len > 0 && (u64)len > a[1])
        len = -ERANGE;
    if (len > 0 && copy_to_user(a[0], text, (size_t)len) != 0)
        len = -EFAULT;
    kfree(text);
    return len;
}

/* Takes over d. */
static long change_to(struct dentry *d)
{
    if (!inode_is(d->inode, MODE_DIR)) {
        dentry_put(d);
        return -ENOTDIR;
    }
    dentry_put(current_fs()->cwd);
    current_fs()->cwd = d;
    return 0;
}

long sys_chdir(const u64 a[6])
{
    int err;
    struct dentry *d = path_find_user(AT_FDCWD, a[0], WALK_FOLLOW, &err);

    return d ? change_to(d) : err;
}

long sys_fchdir(const u64 a[6])
{
    struct file *f = fd_get((int)a[0]);
    long err = -ENOTDIR;

    if (!f)
        return -EBADF;
    if (f->dentry)
        err = change_to(dentry_get(f->dentry));
    file_put(f);
    return err;
}

long sys_umask(const u64 a[6])
{
    u32 old = current_fs()->umask;

    current_fs()->umask = (u32)a[0] & 0777;
    return old;
}

/* --- readlink --- */

static long put_link(struct inode *inode, u64 address, u64 size)
{
    char *text;
    size_t len;
    int err;

    if (!inode_is(inode, MODE_LINK))
        return -EINVAL;
    if (!inode->ops->readlink) {
        len = MIN(inode->size, size);
        err = copy_to_user(address, inode->target, len);
        return err ? err : (long)len;
    }
    text = kmalloc(FS_PATH_MAX);
    if (!text)
        return -ENOMEM;
    len = MIN(inode->ops->readlink(inode, text, FS_PATH_MAX), size);
    err = copy_to_user(address, text, len);
    kfree(text);
    return err ? err : (long)len;
}

static long readlink_at(int dirfd, u64 path, u64 address, u64 size)
{
    struct target t;
    long err;

    if ((i32)size <= 0)
        return -EINVAL;
    /* "" is not a path here, unless dirfd is a link opened with O_PATH. */
    err = target_at(dirfd, path,
                    LINUX_AT_SYMLINK_NOFOLLOW | (dirfd == AT_FDCWD ? 0 : LINUX_AT_EMPTY_PATH), &t);
    if (err)
        return err;
    err = t.dentry ? put_link(t.dentry->inode, address, (u32)size) : -EINVAL;
    if (err == -EINVAL && t.file)
        err = -ENOENT;
    target_drop(&t);
    return err;
}

long sys_readlink(const u64 a[6])
{
    return readlink_at(AT_FDCWD, a[0], a[1], a[2]);
}

long sys_readlinkat(const u64 a[6])
{
    return readlink_at((int)a[0], a[1], a[2], a[3]);
}
