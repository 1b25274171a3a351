/*
 * /proc/PID/fd: a link for each open descriptor. Following one leads to the file's own dentry, even
 * if it was unlinked. A file that never had a name (a pipe, the standard streams) is opened by
 * giving out the open file itself, as dup would.
 */
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/proc.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/string.h"

static size_t fd_readlink(struct inode *inode, char *buf, size_t size)
{
    struct file *f = inode->file;
    struct file_attr attr;
    long len;

    if (f->dentry) {
        len = dentry_path(f->dentry, buf, size);
        return len > 0 ? (size_t)len : 0;
    }
    file_attr(f, &attr);
    switch (attr.mode & MODE_TYPE) {
    case MODE_FIFO:
        return kprint_to(buf, size, "pipe:[%lu]", attr.ino);
    case MODE_SOCKET:
        return kprint_to(buf, size, "socket:[%lu]", attr.ino);
    case MODE_CHAR:
        return kprint_to(buf, size, attr.rdev >> 8 == 136 ? "/dev/tty" : "/dev/console");
    default:
        return kprint_to(buf, size, "anon_inode:[%lu]", attr.ino);
    }
}

static struct dentry *fd_follow(struct inode *inode)
{
    return inode->file->dentry ? dentry_get(inode->file->dentry) : NULL;
}

static struct file *fd_alias(struct inode *inode, int *error)
{
    *error = 0;
    return file_get(inode->file);
}

static void fd_release(struct inode *inode)
{
    file_put(inode->file);
}

static const struct inode_ops named_fd_ops = {
    .readlink = fd_readlink, .follow = fd_follow, .release = fd_release};

/* stat() of the link's end is the file's. */
static void alias_attr(struct inode *inode, struct file_attr *out)
{
    file_attr(inode->file, out);
}

static const struct inode_ops nameless_fd_ops = {
    .readlink = fd_readlink, .alias = fd_alias, .attr = alias_attr, .release = fd_release};

static bool parse_fd(const char *name, size_t len, int *fd)
{
    int value = 0;

    if (len == 0 || len > 5 || (name[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        value = value * 10 + (name[i] - '0');
    }
    *fd = value;
    return true;
}

static struct dentry *fd_lookup(struct dentry *dir, const char *name, size_t len)
{
    struct inode *inode;
    struct dentry *d;
    struct file *f;
    int fd;

    if (!parse_fd(name, len, &fd))
        return NULL;
    f = fd_get(fd);
    if (!f)
        return NULL;
    inode = inode_new(f->dentry ? &named_fd_ops : &nameless_fd_ops, MODE_LINK | 0700);
    if (!inode) {
        file_put(f);
        return NULL;
    }
    inode->file = f;
    inode->nlink = 1;
    inode->flags |= INODE_PROC;
    d = dentry_new(dir, name, len, inode);
    inode_put(inode);
    return d;
}

static void fd_list(struct dentry *dir, u64 from, struct dir_sink *sink)
{
    char name[16];

    for (u64 fd = from - 2; fd < current_fs()->fd_size; fd++) {
        if (!fd_slot((int)fd))
            continue;
        if (!sink->add(sink, name, kprint_to(name, sizeof(name), "%lu", fd),
                       dir->inode->ino + fd + 1, MODE_LINK, fd + 3))
            return;
    }
}

const struct inode_ops proc_fd_inode_ops = {
    .file_ops = &dir_file_ops, .lookup = fd_lookup, .list = fd_list};
