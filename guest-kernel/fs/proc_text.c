/* Files of /proc whose text is made anew at each read, like Linux's. */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/proc.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

static long text_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    char *text = kmalloc(PROC_TEXT_MAX);
    size_t size;

    if (!text)
        return -ENOMEM;
    size = file_inode(f)->text(text, PROC_TEXT_MAX);
    if (*pos >= size) {
        len = 0;
    } else {
        len = MIN(len, size - *pos);
        memcpy(buf, text + *pos, len);
        *pos += len;
    }
    kfree(text);
    return (long)len;
}

/* Settings are accepted and forgotten: programs write some of them blindly. */
static long text_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    (void)f, (void)buf, (void)pos;
    return (long)len;
}

const struct file_ops proc_text_file_ops = {
    .read = text_read,
    .write = text_write,
    .lseek = file_lseek_endless,
};

int proc_text_open(struct inode *inode, struct file *f)
{
    return file_writable(f) && !(inode->mode & 0222) ? -EACCES : 0;
}

static const struct inode_ops text_inode_ops = {
    .file_ops = &proc_text_file_ops,
    .open = proc_text_open,
};

struct inode *proc_text_new(size_t (*text)(char *buf, size_t size), u32 permissions)
{
    struct inode *inode = inode_new(&text_inode_ops, MODE_REGULAR | permissions);

    if (inode)
        inode->text = text;
    return inode;
}
