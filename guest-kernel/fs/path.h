/* Walking a path to what it names. */
#ifndef SAMARA_GUEST_FS_PATH_H
#define SAMARA_GUEST_FS_PATH_H

#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/linux.h"

enum {
    WALK_FOLLOW = 1 << 0,    /* follow a symbolic link at the end */
    WALK_DIRECTORY = 1 << 1, /* what is found must be a directory */
    WALK_MAY_LACK = 1 << 2,  /* the last name need not exist */
    WALK_EMPTY = 1 << 3,     /* "" names the base */
    WALK_NO_SLASH = 1 << 4,  /* for rename, unlink: a slash at the end does not follow a link */
    WALK_NO_LINKS = 1 << 5,  /* fail with ELOOP at any symbolic link (openat2) */
};

enum last_kind { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

struct path {
    struct dentry *dir;   /* holds the last name; NULL unless last is LAST_NAME */
    struct dentry *found; /* NULL if the last name does not exist */
    enum last_kind last;
    bool slash; /* the path ended in a slash */
    u32 name_len;
    char name[FS_NAME_MAX + 1]; /* the last name */
};

/* Walk from base (NULL: the current directory). 0 with references in *out, which path_drop gives
 * back, or -errno with nothing to drop. */
int path_walk(struct dentry *base, const char *text, u32 flags, struct path *out);
void path_drop(struct path *path);

/* As path_walk, but only what was found, with a reference. */
struct dentry *path_find(struct dentry *base, const char *text, u32 flags, int *error);

/* A path as an argument of a system call: copied from the program. path_free when done. */
int path_from_user(u64 address, char **out);
void path_free(char *text);

/* The dentry a dirfd argument stands for, with a reference. Not needed (and *error is 0, NULL
 * returned) when text is absolute. */
struct dentry *path_base(int dirfd, const char *text, int *error);

/* path_from_user, path_base and path_walk in one. */
int path_walk_user(int dirfd, u64 address, u32 flags, struct path *out);
struct dentry *path_find_user(int dirfd, u64 address, u32 flags, int *error);

#endif
