/*
 * Regular files. Reading, writing and mapping go through inode->ops->page, so that ramfs files and
 * files that lie in memory (the program's own) share everything else. A page is in one place only:
 * mappings see what write() wrote and the other way round.
 */
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/user.h"

/* Where the page tree ends. */
#define REGULAR_SIZE_MAX (PAGE_TREE_LIMIT * PAGE_SIZE)

/* --- pages --- */

static u64 pages_used; /* by files that have names, or could */

u64 regular_pages_limit(void)
{
    return pages_total() / 2;
}

u64 regular_pages_left(void)
{
    u64 limit = regular_pages_limit();

    return MIN(limit - MIN(pages_used, limit), (u64)pages_free_count());
}

/* The file had `before` pages. */
static void account(const struct inode *inode, u64 before)
{
    if (!(inode->flags & INODE_MEMORY))
        pages_used += inode->pages.count - before;
}

static void *ram_page(struct inode *inode, u64 index, bool make)
{
    void *page = page_tree_find(&inode->pages, index);
    u64 before = inode->pages.count;

    if (page || !make)
        return page;
    if (!(inode->flags & INODE_MEMORY) && regular_pages_left() == 0)
        return NULL;
    page = page_tree_make(&inode->pages, index);
    account(inode, before);
    return page;
}

static void *fixed_page(struct inode *inode, u64 index, bool make)
{
    (void)make;
    if (index >= (inode->size + PAGE_SIZE - 1) / PAGE_SIZE)
        return NULL;
    return (void *)((uintptr_t)inode->fixed + index * PAGE_SIZE);
}

static void zero_within_page(struct inode *inode, u64 at, u64 len)
{
    u8 *page = page_tree_find(&inode->pages, at / PAGE_SIZE);

    if (page)
        memset(page + at % PAGE_SIZE, 0, len);
}

static void free_pages(struct inode *inode, u64 first, u64 end)
{
    u64 before = inode->pages.count;

    page_tree_free(&inode->pages, first, end);
    account(inode, before);
}

static void drop_pages(struct inode *inode, u64 first, u64 end)
{
    if (inode->flags & INODE_MAPPED)
        page_tree_clear(&inode->pages, first, end);
    else
        free_pages(inode, first, end);
}

/* A mapping may have written behind the end of the file: that must not come to light when the file
 * grows over it. */
static void grow_to(struct inode *inode, u64 size)
{
    u64 in_page = inode->size % PAGE_SIZE;

    if (size > inode->size && in_page > 0 && inode->flags & INODE_MAPPED)
        zero_within_page(inode, inode->size, PAGE_SIZE - in_page);
    inode->size = MAX(inode->size, size);
}

static int ram_truncate(struct inode *inode, u64 size)
{
    if (size > REGULAR_SIZE_MAX)
        return -EFBIG;
    if (inode->seals & (size < inode->size ? SEAL_SHRINK : SEAL_GROW) && size != inode->size)
        return -EPERM;
    if (size < inode->size) {
        if (size % PAGE_SIZE)
            zero_within_page(inode, size, PAGE_SIZE - size % PAGE_SIZE);
        drop_pages(inode, (size + PAGE_SIZE - 1) / PAGE_SIZE, UINT64_MAX);
        inode->size = size;
    }
    grow_to(inode, size);
    inode_touch_data(inode);
    return 0;
}

int regular_punch(struct inode *inode, u64 at, u64 len)
{
    u64 end = at + len;
    u64 first = (at + PAGE_SIZE - 1) / PAGE_SIZE;

    if (inode->ops != &regular_inode_ops)
        return -EOPNOTSUPP;
    if (inode->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))
        return -EPERM;
    if (end / PAGE_SIZE < first) { /* within one page */
        zero_within_page(inode, at, len);
    } else {
        if (at % PAGE_SIZE)
            zero_within_page(inode, at, PAGE_SIZE - at % PAGE_SIZE);
        drop_pages(inode, first, end / PAGE_SIZE);
        if (end % PAGE_SIZE)
            zero_within_page(inode, end - end % PAGE_SIZE, end % PAGE_SIZE);
    }
    inode_touch_data(inode);
    return 0;
}

static void ram_attr(struct inode *inode, struct file_attr *out)
{
    out->blocks = inode->pages.count * (PAGE_SIZE / 512);
}

static void ram_release(struct inode *inode)
{
    free_pages(inode, 0, UINT64_MAX);
}

/* --- file operations --- */

static long regular_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    struct inode *inode = file_inode(f);
    size_t done = 0;

    if (*pos >= inode->size)
        return 0;
    len = MIN(len, inode->size - *pos);
    while (done < len) {
        size_t in_page = *pos % PAGE_SIZE;
        size_t part = MIN(len - done, PAGE_SIZE - in_page);
        const u8 *page = inode->ops->page(inode, *pos / PAGE_SIZE, false);

        if (page)
            memcpy((u8 *)buf + done, page + in_page, part);
        else
            memset((u8 *)buf + done, 0, part);
        done += part;
        *pos += part;
    }
    return (long)done;
}

/* The page to write `part` bytes at `pos` to, or NULL and *error. */
static u8 *page_to_write(struct inode *inode, u64 pos, size_t part, long *error)
{
    bool sealed = inode->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE) ||
                  (inode->seals & SEAL_GROW && pos + part > inode->size);

    *error = sealed ? -EPERM : -ENOSPC;
    return sealed ? NULL : inode->ops->page(inode, pos / PAGE_SIZE, true);
}

static long regular_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    struct inode *inode = file_inode(f);
    size_t done = 0;
    long error = 0;

    if (f->flags & O_APPEND)
        *pos = inode->size;
    if (*pos >= REGULAR_SIZE_MAX)
        return -EFBIG;
    len = MIN(len, REGULAR_SIZE_MAX - *pos);
    while (done < len) {
        size_t in_page = *pos % PAGE_SIZE;
        size_t part = MIN(len - done, PAGE_SIZE - in_page);
        u8 *page = page_to_write(inode, *pos, part, &error);

        if (!page)
            break;
        grow_to(inode, *pos);
        memcpy(page + in_page, (const u8 *)buf + done, part);
        done += part;
        *pos += part;
        inode->size = MAX(inode->size, *pos);
    }
    if (done == 0)
        return error;
    inode_touch_data(inode);
    return (long)done;
}

/* The next byte at or after `at` that is data (or a hole); the end of the file counts as a hole. */
static long seek_sparse(struct inode *inode, u64 at, bool data)
{
    u64 page = at / PAGE_SIZE;
    u64 found = at;

    if (at >= inode->size)
        return -ENXIO;
    if (inode->ops != &regular_inode_ops)
        return (long)(data ? at : inode->size);
    if (data) {
        page = page_tree_next(&inode->pages, page);
        if (page == UINT64_MAX || page >= (inode->size + PAGE_SIZE - 1) / PAGE_SIZE)
            return -ENXIO;
    } else {
        while (page_tree_find(&inode->pages, page))
            page++;
    }
    found = MAX(at, page * PAGE_SIZE);
    return (long)MIN(found, inode->size);
}

static long regular_lseek(struct file *f, long offset, int whence)
{
    struct inode *inode = file_inode(f);
    u64 base = 0;
    u64 target;

    switch (whence) {
    case WHENCE_SET:
        break;
    case WHENCE_CUR:
        base = f->offset;
        break;
    case WHENCE_END:
        base = inode->size;
        break;
    case WHENCE_DATA:
    case WHENCE_HOLE:
        if (offset < 0)
            return -ENXIO;
        offset = seek_sparse(inode, (u64)offset, whence == WHENCE_DATA);
        if (offset < 0)
            return offset;
        break;
    default:
        return -EINVAL;
    }
    target = base + (u64)offset;
    if (target > FS_OFF_MAX)
        return -EINVAL; /* negative, or past the largest offset */
    f->offset = target;
    return (long)target;
}

static long regular_ioctl(struct file *f, u32 request, u64 arg)
{
    u64 size = file_inode(f)->size;
    int left = size > f->offset ? (int)MIN(size - f->offset, (u64)INT32_MAX) : 0;

    if (request != IOCTL_FIONREAD)
        return -ENOTTY;
    return copy_to_user(arg, &left, sizeof(left));
}

static int regular_truncate(struct file *f, u64 size)
{
    struct inode *inode = file_inode(f);

    return inode->ops->truncate ? inode->ops->truncate(inode, size) : -EINVAL;
}

static void *regular_page(struct file *f, u64 index)
{
    struct inode *inode = file_inode(f);

    if (index >= (inode->size + PAGE_SIZE - 1) / PAGE_SIZE)
        return NULL;
    inode->flags |= INODE_MAPPED;
    return inode->ops->page(inode, index, true);
}

const struct file_ops regular_file_ops = {
    .read = regular_read,
    .write = regular_write,
    .lseek = regular_lseek,
    .ioctl = regular_ioctl,
    .truncate = regular_truncate,
    .page = regular_page,
};

const struct inode_ops regular_inode_ops = {
    .file_ops = &regular_file_ops,
    .page = ram_page,
    .truncate = ram_truncate,
    .attr = ram_attr,
    .release = ram_release,
};

const struct inode_ops fixed_inode_ops = {
    .file_ops = &regular_file_ops,
    .page = fixed_page,
};
