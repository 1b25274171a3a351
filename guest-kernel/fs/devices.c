/* /dev: null, zero, full, random, urandom, tty, vsock and the links to descriptors. */
#include "guest-kernel/fs/devices.h"
#include "guest-kernel/fs/block_file.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/open.h"
#include "guest-kernel/fs/tree.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/net/vsock_option.h"

static long read_nothing(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)f, (void)buf, (void)len, (void)pos;
    return 0;
}

static long read_zeroes(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)f, (void)pos;
    memset(buf, 0, len);
    return (long)len;
}

static long read_random(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)f, (void)pos;
    random_bytes(buf, len);
    return (long)len;
}

static long write_nowhere(struct file *f, const void *buf, size_t len, u64 *pos)
{
    (void)f, (void)buf, (void)pos;
    return (long)len;
}

static long write_full(struct file *f, const void *buf, size_t len, u64 *pos)
{
    (void)f, (void)buf, (void)len, (void)pos;
    return -ENOSPC;
}

static long seek_nowhere(struct file *f, long offset, int whence)
{
    (void)f, (void)offset, (void)whence;
    return 0;
}

/* Mapping /dev/zero gives memory of one's own: a nameless file behind each opening. */
static void *zero_page(struct file *f, u64 index)
{
    struct file *memory = f->private;
    int err;

    if (!memory)
        memory = f->private = open_unnamed(NULL, "zero", 0600, O_RDWR, &err);
    if (!memory)
        return NULL;
    file_inode(memory)->size = FS_OFF_MAX & ~(PAGE_SIZE - 1);
    return memory->ops->page(memory, index);
}

static void zero_release(struct file *f)
{
    file_put(f->private);
}

static const struct file_ops null_ops = {
    .read = read_nothing, .write = write_nowhere, .lseek = seek_nowhere};
static const struct file_ops zero_ops = {.read = read_zeroes,
                                         .write = write_nowhere,
                                         .lseek = seek_nowhere,
                                         .page = zero_page,
                                         .release = zero_release};
static const struct file_ops full_ops = {
    .read = read_zeroes, .write = write_full, .lseek = seek_nowhere};
static const struct file_ops random_ops = {
    .read = read_random, .write = write_nowhere, .lseek = seek_nowhere};

/* /dev/tty: the first standard descriptor that is a terminal. */
static struct file *tty_alias(struct inode *inode, int *error)
{
    (void)inode;
    for (int fd = 0; fd < 3; fd++) {
        struct file *f = fd_get(fd);
        struct file_attr attr;

        if (!f)
            continue;
        file_attr(f, &attr);
        if ((attr.mode & MODE_TYPE) == MODE_CHAR && attr.rdev >> 8 == 136)
            return f;
        file_put(f);
    }
    *error = -ENXIO;
    return NULL;
}

static const struct inode_ops null_inode_ops = {.file_ops = &null_ops};
static const struct inode_ops zero_inode_ops = {.file_ops = &zero_ops};
static const struct inode_ops full_inode_ops = {.file_ops = &full_ops};
static const struct inode_ops random_inode_ops = {.file_ops = &random_ops};
static const struct inode_ops tty_inode_ops = {.alias = tty_alias};

static const struct device {
    const char *name;
    const struct inode_ops *ops;
    u32 major, minor;
} devices[] = {
    {"null", &null_inode_ops, 1, 3},      {"zero", &zero_inode_ops, 1, 5},
    {"full", &full_inode_ops, 1, 7},      {"random", &random_inode_ops, 1, 8},
    {"urandom", &random_inode_ops, 1, 9}, {"tty", &tty_inode_ops, 5, 0},
    {"vsock", &vsock_inode_ops, 10, 121},
};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

int devices_populate(struct dentry *dev)
{
    int err = 0;

    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        struct inode *inode = inode_new(devices[i].ops, MODE_CHAR | 0666);

        if (inode)
            inode->rdev = device_number(devices[i].major, devices[i].minor);
        tree_add(dev, devices[i].name, inode, &err);
    }
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        tree_link(dev, links[i].name, links[i].target, &err);
    block_files_populate(dev, &err);
    tree_dir(dev, "shm", &dir_inode_ops, 01777, &err);
    return err;
}
