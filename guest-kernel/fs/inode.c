/* Inode life cycle and attributes. */
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/mm/heap.h"

static u64 last_ino;

struct inode *inode_new(const struct inode_ops *ops, u32 mode)
{
    struct inode *inode = kzalloc(sizeof(*inode));
    u64 now = clock_realtime_ns();

    if (!inode)
        return NULL;
    inode->refs = 1;
    inode->ops = ops;
    inode->mode = mode;
    inode->ino = ++last_ino;
    inode->atime = inode->mtime = inode->ctime = inode->btime = now;
    return inode;
}

struct inode *inode_get(struct inode *inode)
{
    inode->refs++;
    return inode;
}

void inode_put(struct inode *inode)
{
    if (!inode || --inode->refs)
        return;
    if (inode->ops->release)
        inode->ops->release(inode);
    kfree(inode);
}

void inode_attr(struct inode *inode, struct file_attr *out)
{
    *out = (struct file_attr){
        .ino = inode->ino,
        .size = inode->size,
        .blocks = (inode->size + 511) / 512,
        .rdev = inode->rdev,
        .atime = inode->atime,
        .mtime = inode->mtime,
        .ctime = inode->ctime,
        .btime = inode->btime,
        .mode = inode->mode,
        .nlink = inode->nlink,
        .uid = inode->uid,
        .gid = inode->gid,
    };
    if (inode->ops->attr)
        inode->ops->attr(inode, out);
}

void inode_touch_data(struct inode *inode)
{
    inode->mtime = inode->ctime = clock_realtime_ns();
}

void inode_touch_meta(struct inode *inode)
{
    inode->ctime = clock_realtime_ns();
}
