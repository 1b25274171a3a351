/*
 * The tree of names. Lookup goes through one hash table over (directory, name) that doubles as it
 * fills; a directory keeps its children in a list, in the order of their cookies, for listing.
 */
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

enum { FIRST_BUCKETS = 64, FIRST_COOKIE = 2 };

static struct dentry *first_buckets[FIRST_BUCKETS];
static struct {
    struct dentry **buckets;
    u32 size; /* a power of two */
    u32 count;
} table = {first_buckets, FIRST_BUCKETS, 0};

static struct dentry *root;

struct dentry *dentry_root(void)
{
    return root;
}

/* --- life --- */

struct dentry *dentry_get(struct dentry *d)
{
    d->refs++;
    return d;
}

static void free_name(struct dentry *d)
{
    if (d->name != (char *)(d + 1))
        kfree(d->name);
}

void dentry_put(struct dentry *d)
{
    while (d && --d->refs == 0) {
        struct dentry *parent = d->parent;

        inode_put(d->inode);
        free_name(d);
        kfree(d);
        d = parent; /* a loop, because a chain of removed directories may be long */
    }
}

struct dentry *dentry_new(struct dentry *parent, const char *name, size_t len, struct inode *inode)
{
    struct dentry *d = kzalloc(sizeof(*d) + len + 1);

    if (!d)
        return NULL;
    d->refs = 1;
    d->name = (char *)(d + 1);
    d->name_len = (u32)len;
    memcpy(d->name, name, len);
    d->inode = inode_get(inode);
    d->parent = parent ? dentry_get(parent) : d;
    return d;
}

int dentry_init_root(struct inode *inode)
{
    root = dentry_new(NULL, "", 0, inode);
    if (!root)
        return -ENOMEM;
    inode_put(inode);
    inode->nlink = 2;
    root->linked = true;
    return 0;
}

/* --- hash table --- */

static u32 name_hash(const struct dentry *dir, const char *name, size_t len)
{
    u64 h = (u64)(uintptr_t)dir >> 4;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (u8)name[i]) * 0x100000001b3ull;
    return (u32)(h ^ h >> 32);
}

static struct dentry **bucket(u32 hash)
{
    return &table.buckets[hash & (table.size - 1)];
}

/* Failing to double only makes chains longer. */
static void table_grow(void)
{
    u32 old_size = table.size;
    struct dentry **old = table.buckets;
    struct dentry **bigger = kzalloc(sizeof(*bigger) * old_size * 2);

    if (!bigger)
        return;
    table.buckets = bigger;
    table.size = old_size * 2;
    for (u32 i = 0; i < old_size; i++) {
        while (old[i]) {
            struct dentry *d = old[i];
            old[i] = d->chain;
            d->chain = *bucket(d->hash);
            *bucket(d->hash) = d;
        }
    }
    if (old != first_buckets)
        kfree(old);
}

static void hash_insert(struct dentry *d)
{
    if (table.count >= table.size)
        table_grow();
    d->hash = name_hash(d->parent, d->name, d->name_len);
    d->chain = *bucket(d->hash);
    *bucket(d->hash) = d;
    table.count++;
}

static void hash_remove(struct dentry *d)
{
    struct dentry **at = bucket(d->hash);

    while (*at != d)
        at = &(*at)->chain;
    *at = d->chain;
    table.count--;
}

static struct dentry *hash_find(const struct dentry *dir, const char *name, size_t len)
{
    u32 hash = name_hash(dir, name, len);

    for (struct dentry *d = *bucket(hash); d; d = d->chain) {
        if (d->hash == hash && d->parent == dir && d->name_len == len &&
            memcmp(d->name, name, len) == 0)
            return d;
    }
    return NULL;
}

/* --- membership --- */

static void link_into(struct dentry *d)
{
    struct inode *dir = d->parent->inode;

    if (dir->dir.next_cookie < FIRST_COOKIE)
        dir->dir.next_cookie = FIRST_COOKIE;
    d->cookie = dir->dir.next_cookie++;
    d->next = NULL;
    d->prev = dir->dir.last;
    *(d->prev ? &d->prev->next : &dir->dir.first) = d;
    dir->dir.last = d;
    dir->nlink += inode_is(d->inode, MODE_DIR);
    d->linked = true;
    hash_insert(d);
}

static void unlink_from(struct dentry *d)
{
    struct inode *dir = d->parent->inode;

    hash_remove(d);
    *(d->prev ? &d->prev->next : &dir->dir.first) = d->next;
    *(d->next ? &d->next->prev : &dir->dir.last) = d->prev;
    dir->nlink -= inode_is(d->inode, MODE_DIR);
    d->linked = false;
}

int dentry_populate(struct dentry *dir)
{
    struct inode *inode = dir->inode;

    if (!inode->ops->populate || inode->flags & INODE_POPULATED)
        return 0;
    inode->flags |= INODE_POPULATED;
    return inode->ops->populate(dir);
}

struct dentry *dentry_lookup(struct dentry *dir, const char *name, size_t len, int *error)
{
    struct dentry *d;

    *error = dentry_populate(dir);
    if (*error)
        return NULL;
    *error = -ENOENT;
    d = hash_find(dir, name, len);
    if (d)
        return dentry_get(d);
    return dir->inode->ops->lookup ? dir->inode->ops->lookup(dir, name, len) : NULL;
}

struct dentry *dentry_add(struct dentry *dir, const char *name, size_t len, struct inode *inode,
                          int *error)
{
    struct dentry *d = dentry_new(dir, name, len, inode);

    *error = d ? 0 : -ENOMEM;
    if (!d)
        return NULL;
    inode->nlink += inode_is(inode, MODE_DIR) ? 2 : 1;
    link_into(d);
    inode_touch_data(dir->inode);
    return d;
}

void dentry_remove(struct dentry *d)
{
    inode_touch_data(d->parent->inode);
    inode_touch_meta(d->inode);
    unlink_from(d);
    d->inode->nlink -= inode_is(d->inode, MODE_DIR) ? 2 : 1;
    dentry_put(d);
}

static char *copy_name(const char *name, size_t len)
{
    char *copy = kmalloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, name, len);
    copy[len] = '\0';
    return copy;
}

/* Cannot fail: the name, which becomes the dentry's, is there already. */
static void place(struct dentry *d, struct dentry *dir, char *name, size_t len)
{
    struct dentry *old = d->parent;

    unlink_from(d);
    free_name(d);
    d->name = name;
    d->name_len = (u32)len;
    d->parent = dentry_get(dir);
    link_into(d);
    inode_touch_data(old->inode);
    inode_touch_data(dir->inode);
    inode_touch_meta(d->inode);
    dentry_put(old);
}

int dentry_move(struct dentry *d, struct dentry *dir, const char *name, size_t len)
{
    char *copy = copy_name(name, len);

    if (!copy)
        return -ENOMEM;
    place(d, dir, copy, len);
    return 0;
}

/*
 * The dentries change places rather than inodes, so that whoever holds one (an open file, a working
 * directory, children) still holds the same inode. For a moment both have the same name.
 */
int dentry_swap(struct dentry *a, struct dentry *b)
{
    struct dentry *a_dir = a->parent;
    u32 a_len = a->name_len;
    char *a_name = copy_name(a->name, a_len);
    char *b_name = copy_name(b->name, b->name_len);

    if (!a_name || !b_name) {
        kfree(a_name);
        kfree(b_name);
        return -ENOMEM;
    }
    dentry_get(a_dir);
    place(a, b->parent, b_name, b->name_len);
    /* a_dir is held: the analyzer does not see that the count cannot reach zero. */
    place(b, a_dir, a_name, a_len); /* NOLINT(clang-analyzer-unix.Malloc) */
    dentry_put(a_dir);
    return 0;
}

bool dentry_is_empty_dir(struct dentry *dir)
{
    return dentry_populate(dir) == 0 && !dir->inode->dir.first;
}

bool dentry_is_below(const struct dentry *d, const struct dentry *dir)
{
    for (; d != d->parent; d = d->parent) {
        if (d == dir)
            return true;
    }
    return d == dir;
}

bool dentry_is_reachable(const struct dentry *d)
{
    for (; d != d->parent; d = d->parent) {
        if (!d->linked)
            return false;
    }
    return d == root;
}

long dentry_path(const struct dentry *d, char *buf, size_t size)
{
    static const char deleted[] = " (deleted)";
    const struct dentry *at = d;
    size_t tail = dentry_is_reachable(d) ? 0 : sizeof(deleted) - 1;
    size_t len = d == d->parent ? 1 : 0;

    for (; at != at->parent; at = at->parent)
        len += at->name_len + 1u;
    if (len + tail >= size)
        return -ENAMETOOLONG;
    buf[0] = '/';
    memcpy(buf + len, deleted, tail);
    buf[len + tail] = '\0';
    size = len + tail;
    for (at = d; at != at->parent; at = at->parent) {
        len -= at->name_len;
        memcpy(buf + len, at->name, at->name_len);
        buf[--len] = '/';
    }
    return (long)size;
}
