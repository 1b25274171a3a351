/*
 * Inodes: the things names lead to. Each kind is an ops table; what a kind keeps lies in the union.
 * An inode lives as long as a directory entry or an open file refers to it.
 */
#ifndef SAMARA_GUEST_FS_INODE_H
#define SAMARA_GUEST_FS_INODE_H

#include "guest-kernel/fs/linux.h"
#include "guest-kernel/fs/page_tree.h"
#include "guest-kernel/lib/base.h"

struct dentry;
struct file;
struct file_attr;
struct file_ops;
struct inode;

/* Receives a directory's entries; false: no room, stop before this one. */
struct dir_sink {
    bool (*add)(struct dir_sink *sink, const char *name, size_t len, u64 ino, u32 mode, u64 next);
};

struct inode_ops {
    /* Operations of a file opened here. NULL: opening fails with ENXIO unless `alias` is there. */
    const struct file_ops *file_ops;
    /* Prepare a newly opened file (flags are set). NULL: nothing to do. */
    int (*open)(struct inode *inode, struct file *f);
    /* Opening gives another reference to an existing file (/proc/self/fd/0). NULL: out and error.
     */
    struct file *(*alias)(struct inode *inode, int *error);
    /* The page at index of a regular file; make: fill a hole. NULL: hole or out of memory. */
    void *(*page)(struct inode *inode, u64 index, bool make);
    int (*truncate)(struct inode *inode, u64 size);
    /* Directories: make the fixed entries, once, before the first look inside. */
    int (*populate)(struct dentry *dir);
    /* Directories whose entries come and go by themselves: a new dentry with one reference that is
     * not kept in the directory, or NULL. */
    struct dentry *(*lookup)(struct dentry *dir, const char *name, size_t len);
    void (*list)(struct dentry *dir, u64 from, struct dir_sink *sink);
    /* Links that are made up when read: text into buf, its whole length returned. */
    size_t (*readlink)(struct inode *inode, char *buf, size_t size);
    /* Links that lead straight to a dentry. A new reference, or NULL: go by the text. */
    struct dentry *(*follow)(struct inode *inode);
    /* Adjust what stat says. */
    void (*attr)(struct inode *inode, struct file_attr *out);
    void (*release)(struct inode *inode);
};

enum {
    INODE_PROC = 1 << 0,      /* counts as procfs: no creating, no removing */
    INODE_POPULATED = 1 << 1, /* populate has run */
    INODE_MAPPED = 1 << 2,    /* pages were handed to mmap: truncation clears, does not free */
    INODE_BUSY_TEXT = 1 << 3, /* the running program: writing fails with ETXTBSY */
    INODE_MEMORY = 1 << 4,    /* memory rather than a file (memfd): not counted as files are */
    INODE_LINKABLE = 1 << 5,  /* never had a name, but may get one (O_TMPFILE) */
};

struct dir_entries {
    struct dentry *first, *last; /* in order of their cookies */
    u64 next_cookie;
};

struct inode {
    u32 refs;
    u32 flags;
    u32 mode;
    u32 nlink;
    u32 uid, gid;
    u32 seals; /* SEAL_*, of a memfd; mmap does not heed them */
    u64 ino;
    u64 size;
    u64 rdev;
    u64 atime, mtime, ctime, btime; /* ns since 1970, negative before */
    const struct inode_ops *ops;
    union {
        struct page_tree pages;                 /* regular file */
        struct dir_entries dir;                 /* directory */
        char *target;                           /* symbolic link, kmalloc'd */
        const void *fixed;                      /* file whose contents lie elsewhere in memory */
        struct file *file;                      /* /proc/self/fd/N */
        size_t (*text)(char *buf, size_t size); /* /proc: write the whole contents */
    };
};

/* nlink 0 and one reference, owner root, times now. NULL if out of memory. */
struct inode *inode_new(const struct inode_ops *ops, u32 mode);
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);

void inode_attr(struct inode *inode, struct file_attr *out);
/* Contents (and so mtime and ctime), or only metadata changed now. */
void inode_touch_data(struct inode *inode);
void inode_touch_meta(struct inode *inode);

static inline bool inode_is(const struct inode *inode, u32 type)
{
    return (inode->mode & MODE_TYPE) == type;
}

/* ramfs kinds. */
extern const struct inode_ops regular_inode_ops;
extern const struct inode_ops dir_inode_ops;
extern const struct inode_ops symlink_inode_ops;
/* A regular file whose contents are `size` bytes of page-aligned memory at `fixed`. */
extern const struct inode_ops fixed_inode_ops;

/* A link with the given text, nlink 0. NULL if out of memory. */
struct inode *symlink_new(const char *target, size_t len);

extern const struct file_ops regular_file_ops;
extern const struct file_ops dir_file_ops;

/* Give a range of a regular file back: pages freed or cleared, the edges zeroed. */
int regular_punch(struct inode *inode, u64 at, u64 len);

/* Files may take half of RAM, as on a tmpfs: the rest is the program's. Pages they may have at
 * most, and how many more they can get now. */
u64 regular_pages_limit(void);
u64 regular_pages_left(void);

#endif
