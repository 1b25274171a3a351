/*
 * The path walk. A symbolic link is spliced into the text still to walk (its target, a slash, the
 * rest) and the walk goes on, so nothing recurses. Text that grows beyond PATH_MAX that way fails.
 */
#include "guest-kernel/fs/path.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"

struct walk {
    struct dentry *at; /* a reference */
    const char *rest;  /* what is still to walk */
    char *spliced;     /* kmalloc'd text that rest points into after a link */
    u32 flags;
    u32 links;
    enum last_kind last;
};

struct step {
    const char *name;
    size_t len;
    bool is_last;
    bool slash; /* followed by one */
};

static void move_to(struct walk *w, struct dentry *d)
{
    dentry_put(w->at);
    w->at = d;
}

static struct step next_step(struct walk *w)
{
    const char *end = w->rest;
    struct step s = {.name = w->rest};

    while (*end && *end != '/')
        end++;
    s.len = (size_t)(end - s.name);
    s.slash = *end == '/';
    while (*end == '/')
        end++;
    s.is_last = *end == '\0';
    w->rest = end;
    return s;
}

/* Put the link's text in front of what is left to walk. */
static int splice_link(struct walk *w, struct inode *link, const struct step *s)
{
    char *text = kmalloc(FS_PATH_MAX);
    size_t rest = strlen(w->rest);
    size_t len;

    if (!text)
        return -ENOMEM;
    if (link->ops->readlink) {
        len = link->ops->readlink(link, text, FS_PATH_MAX);
    } else {
        len = MIN(strlen(link->target), (size_t)FS_PATH_MAX);
        memcpy(text, link->target, len);
    }
    if (len + 1 + rest >= FS_PATH_MAX) {
        kfree(text);
        return -ENAMETOOLONG;
    }
    if (s->slash)
        text[len++] = '/';
    memcpy(text + len, w->rest, rest + 1);
    kfree(w->spliced);
    w->spliced = text;
    w->rest = text;
    return 0;
}

/* Continue at the link's target instead of at the link. */
static int follow(struct walk *w, struct dentry *link, const struct step *s)
{
    struct inode *inode = link->inode;
    struct dentry *target;
    int err;

    if (++w->links > FS_LINKS_MAX || w->flags & WALK_NO_LINKS)
        return -ELOOP;
    target = inode->ops->follow ? inode->ops->follow(inode) : NULL;
    if (target) {
        move_to(w, target);
        w->last = LAST_DOT; /* it has no place in a directory on the way */
        return 0;
    }
    err = splice_link(w, inode, s);
    if (err)
        return err;
    if (w->rest[0] == '\0')
        return -ENOENT;
    if (w->rest[0] == '/') {
        move_to(w, dentry_get(dentry_root()));
        w->last = LAST_ROOT;
        while (*w->rest == '/')
            w->rest++;
    }
    return 0;
}

static bool dots(struct walk *w, const struct step *s)
{
    if (s->len == 1 && s->name[0] == '.') {
        w->last = LAST_DOT;
        return true;
    }
    if (s->len == 2 && s->name[0] == '.' && s->name[1] == '.') {
        w->last = LAST_DOTDOT;
        move_to(w, dentry_get(w->at->parent));
        return true;
    }
    return false;
}

/* A link that stands for a nameless file (a pipe in /proc/self/fd) is opened itself. */
static bool leads_on(const struct dentry *d)
{
    return inode_is(d->inode, MODE_LINK) && !d->inode->ops->alias;
}

static bool must_follow(const struct walk *w, const struct dentry *child, const struct step *s)
{
    if (!leads_on(child))
        return false;
    if (!s->is_last || w->flags & WALK_FOLLOW)
        return true;
    return s->slash && !(w->flags & WALK_NO_SLASH);
}

/* The last name has been reached: child may be NULL. Takes over child. */
static int finish(struct walk *w, struct dentry *child, const struct step *s, struct path *out)
{
    out->last = LAST_NAME;
    out->slash = s->slash;
    out->found = child;
    out->dir = w->at;
    out->name_len = (u32)s->len;
    memcpy(out->name, s->name, s->len);
    out->name[s->len] = '\0';
    w->at = NULL;
    if (child && (s->slash || w->flags & WALK_DIRECTORY) && !inode_is(child->inode, MODE_DIR) &&
        !(w->flags & WALK_NO_SLASH)) {
        path_drop(out);
        return -ENOTDIR;
    }
    return 0;
}

static int walk_steps(struct walk *w, struct path *out)
{
    while (*w->rest) {
        struct step s;
        struct dentry *child;
        int err;

        if (!inode_is(w->at->inode, MODE_DIR))
            return -ENOTDIR;
        s = next_step(w);
        if (s.len > FS_NAME_MAX)
            return -ENAMETOOLONG;
        if (dots(w, &s))
            continue;
        child = dentry_lookup(w->at, s.name, s.len, &err);
        if (!child && (err != -ENOENT || !s.is_last || !(w->flags & WALK_MAY_LACK)))
            return err;
        if (child && must_follow(w, child, &s)) {
            err = follow(w, child, &s);
            dentry_put(child);
            if (err)
                return err;
            continue;
        }
        if (s.is_last)
            return finish(w, child, &s, out);
        move_to(w, child);
    }
    /* The path was /, or ended in a dot, or in a link that leads to a place by itself. */
    if (w->flags & WALK_DIRECTORY && !inode_is(w->at->inode, MODE_DIR))
        return -ENOTDIR;
    out->last = w->last;
    out->found = w->at;
    w->at = NULL;
    return 0;
}

int path_walk(struct dentry *base, const char *text, u32 flags, struct path *out)
{
    struct walk w = {.rest = text, .flags = flags, .last = LAST_DOT};
    struct dentry *cwd = current_fs()->cwd;
    int err;

    out->dir = out->found = NULL;
    out->slash = false;
    out->name_len = 0;
    out->name[0] = '\0';
    if (!*text && !(flags & WALK_EMPTY))
        return -ENOENT;
    if (!base)
        base = cwd ? cwd : dentry_root();
    if (*text == '/') {
        base = dentry_root();
        w.last = LAST_ROOT;
        while (*w.rest == '/')
            w.rest++;
    }
    w.at = dentry_get(base);
    err = walk_steps(&w, out);
    dentry_put(w.at);
    kfree(w.spliced);
    return err;
}

void path_drop(struct path *path)
{
    dentry_put(path->dir);
    dentry_put(path->found);
    path->dir = path->found = NULL;
}

struct dentry *path_find(struct dentry *base, const char *text, u32 flags, int *error)
{
    struct path path;
    struct dentry *found;

    *error = path_walk(base, text, flags & ~(u32)WALK_MAY_LACK, &path);
    if (*error)
        return NULL;
    found = dentry_get(path.found);
    path_drop(&path);
    return found;
}

/* --- from the program --- */

int path_from_user(u64 address, char **out)
{
    char *text = kmalloc(FS_PATH_MAX);
    long len;

    if (!text)
        return -ENOMEM;
    len = user_string(text, address, FS_PATH_MAX);
    if (len < 0) {
        kfree(text);
        return (int)len;
    }
    *out = text;
    return 0;
}

void path_free(char *text)
{
    kfree(text);
}

struct dentry *path_base(int dirfd, const char *text, int *error)
{
    struct dentry *d = NULL;
    struct file *f;

    *error = 0;
    if (text[0] == '/' || text[0] == '\0' || dirfd == AT_FDCWD)
        return NULL; /* the walk answers ENOENT to "", whatever dirfd is */
    *error = -EBADF;
    f = fd_get(dirfd);
    if (!f)
        return NULL;
    *error = -ENOTDIR;
    if (f->dentry) {
        *error = 0;
        d = dentry_get(f->dentry);
    }
    file_put(f);
    return d;
}

int path_walk_user(int dirfd, u64 address, u32 flags, struct path *out)
{
    struct dentry *base;
    char *text = NULL;
    int err = path_from_user(address, &text);

    if (err)
        return err;
    base = path_base(dirfd, text, &err);
    if (!err)
        err = path_walk(base, text, flags, out);
    dentry_put(base);
    path_free(text);
    return err;
}

struct dentry *path_find_user(int dirfd, u64 address, u32 flags, int *error)
{
    struct path path;
    struct dentry *found;

    *error = path_walk_user(dirfd, address, flags & ~(u32)WALK_MAY_LACK, &path);
    if (*error)
        return NULL;
    found = dentry_get(path.found);
    path_drop(&path);
    return found;
}
