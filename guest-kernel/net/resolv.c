#include "guest-kernel/net/resolv.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/net/interface.h"

static int resolv_open(struct inode *inode, struct file *f)
{
    char *page;

    net_start();
    if (inode->ops != &resolv_inode_ops)
        return 0; /* somebody wrote while we waited for addresses */
    page = regular_inode_ops.page(inode, 0, true);
    if (!page)
        return -ENOMEM;
    inode->size = net_resolv_conf(page, PAGE_SIZE);
    if (file_writable(f))
        inode->ops = &regular_inode_ops;
    return 0;
}

/* O_TRUNC comes after open, and truncation by name is for who means to write. */
static int resolv_truncate(struct inode *inode, u64 size)
{
    inode->ops = &regular_inode_ops;
    return regular_inode_ops.truncate(inode, size);
}

static void *resolv_page(struct inode *inode, u64 index, bool make)
{
    return regular_inode_ops.page(inode, index, make);
}

static void resolv_release(struct inode *inode)
{
    regular_inode_ops.release(inode);
}

const struct inode_ops resolv_inode_ops = {
    .file_ops = &regular_file_ops,
    .open = resolv_open,
    .page = resolv_page,
    .truncate = resolv_truncate,
    .release = resolv_release,
};
