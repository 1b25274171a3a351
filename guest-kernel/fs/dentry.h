/*
 * Directory entries: the tree of names. A dentry is a name in a directory and the inode it leads
 * to; it holds references to both, so that an open file knows its path even after unlink. All names
 * are in memory for good, so this is the file system and not a cache of one.
 */
#ifndef SAMARA_GUEST_FS_DENTRY_H
#define SAMARA_GUEST_FS_DENTRY_H

#include "guest-kernel/fs/inode.h"

struct dentry {
    u32 refs; /* users, plus one while linked into its directory */
    u32 hash;
    bool linked;
    struct dentry *parent; /* itself for the root */
    struct inode *inode;
    struct dentry *chain; /* next in the hash table */
    struct dentry *prev, *next;
    u64 cookie; /* place in the directory's order; "." and ".." have 0 and 1 */
    u32 name_len;
    char *name; /* NUL-terminated, right behind the dentry unless renamed */
};

struct dentry *dentry_root(void);
/* Make the root directory from inode (reference taken over). */
int dentry_init_root(struct inode *inode);

/* A dentry with one reference that is in no directory. Takes a reference to inode, none on
 * failure. NULL if out of memory. */
struct dentry *dentry_new(struct dentry *parent, const char *name, size_t len, struct inode *inode);
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);

/* Make the entries of a directory that is filled on first use. */
int dentry_populate(struct dentry *dir);
/* The child of that name with a reference, or NULL with *error -ENOENT or -ENOMEM. */
struct dentry *dentry_lookup(struct dentry *dir, const char *name, size_t len, int *error);

/* Enter a name that is not there into dir. The new dentry belongs to the directory; borrowed. */
struct dentry *dentry_add(struct dentry *dir, const char *name, size_t len, struct inode *inode,
                          int *error);
/* Take d out of its directory. The caller holds a reference. Link counts are adjusted. */
void dentry_remove(struct dentry *d);
/* Move d to another name, which is not taken. 0 or -ENOMEM with nothing changed. */
int dentry_move(struct dentry *d, struct dentry *dir, const char *name, size_t len);
/* Swap what two names lead to. 0 or -ENOMEM. */
int dentry_swap(struct dentry *a, struct dentry *b);

bool dentry_is_empty_dir(struct dentry *dir);
/* True if d is dir or lies below it. */
bool dentry_is_below(const struct dentry *d, const struct dentry *dir);
/* Still reachable from the root. */
bool dentry_is_reachable(const struct dentry *d);

/* Absolute path with NUL, with " (deleted)" after it if unlinked. Its length, or -ENAMETOOLONG. */
long dentry_path(const struct dentry *d, char *buf, size_t size);

#endif
