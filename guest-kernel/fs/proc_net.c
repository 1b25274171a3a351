/* /proc/PID/net: as /etc/resolv.conf, to open one of its files is to ask for the network. */
#include "guest-kernel/fs/proc.h"
#include "guest-kernel/fs/tree.h"
#include "guest-kernel/net/interface.h"
#include "guest-kernel/net/listing.h"

static int net_open(struct inode *inode, struct file *f)
{
    int err = net_start();

    return err ? err : proc_text_open(inode, f);
}

static const struct inode_ops net_text_ops = {.file_ops = &proc_text_file_ops, .open = net_open};

static struct inode *text_new(size_t (*text)(char *buf, size_t size))
{
    struct inode *inode = proc_text_new(text, 0444);

    if (inode)
        inode->ops = &net_text_ops;
    return inode;
}

static int populate_net(struct dentry *dir)
{
    int err = 0;

    tree_add(dir, "dev", text_new(net_list_devices), &err);
    tree_add(dir, "if_inet6", text_new(net_list_addresses6), &err);
    tree_add(dir, "route", text_new(net_list_routes), &err);
    return err;
}

const struct inode_ops proc_net_inode_ops = {.file_ops = &dir_file_ops, .populate = populate_net};
