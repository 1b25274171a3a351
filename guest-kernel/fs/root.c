/* The root file system of a fresh machine. */
#include "guest-kernel/fs/devices.h"
#include "guest-kernel/fs/fs.h"
#include "guest-kernel/fs/names.h"
#include "guest-kernel/fs/proc.h"
#include "guest-kernel/fs/tree.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/net/resolv.h"

struct fs_boot fs_boot;

static int populate_etc(struct dentry *etc)
{
    static const char *const files[][2] = {
        {"passwd", "root:x:0:0:root:/root:/bin/sh\n"},
        {"group", "root:x:0:\n"},
        {"hostname", "samara\n"},
        {"hosts", "127.0.0.1\tlocalhost samara\n::1\tlocalhost\n"},
        {"nsswitch.conf", "hosts: files dns\n"},
    };
    int err = 0;

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        tree_file(etc, files[i][0], files[i][1], &err);
    tree_add(etc, "resolv.conf", inode_new(&resolv_inode_ops, MODE_REGULAR | 0644), &err);
    return err;
}

static int populate_var(struct dentry *var)
{
    int err = 0;

    tree_dir(var, "tmp", &dir_inode_ops, 01777, &err);
    tree_link(var, "run", "/run", &err);
    return err;
}

static int populate_usr(struct dentry *usr)
{
    int err = 0;

    tree_dir(usr, "bin", &dir_inode_ops, 0755, &err);
    tree_dir(usr, "sbin", &dir_inode_ops, 0755, &err);
    tree_dir(usr, "lib", &dir_inode_ops, 0755, &err);
    return err;
}

static const struct inode_ops dev_inode_ops = {.file_ops = &dir_file_ops,
                                               .populate = devices_populate};
static const struct inode_ops etc_inode_ops = {.file_ops = &dir_file_ops, .populate = populate_etc};
static const struct inode_ops var_inode_ops = {.file_ops = &dir_file_ops, .populate = populate_var};
static const struct inode_ops usr_inode_ops = {.file_ops = &dir_file_ops, .populate = populate_usr};

static struct inode *program_inode(void)
{
    struct inode *inode = inode_new(&fixed_inode_ops, MODE_REGULAR | 0755);

    if (!inode)
        return NULL;
    inode->fixed = fs_boot.program;
    inode->size = fs_boot.program_size;
    inode->flags |= INODE_BUSY_TEXT;
    return inode;
}

/* Make the directory if it is not there. */
static int need_dir(const char *text)
{
    struct path path;
    int err = path_walk(NULL, text, WALK_FOLLOW | WALK_MAY_LACK, &path);

    if (err)
        return err;
    if (!path.found)
        err = names_mkdir(&path, 0755);
    path_drop(&path);
    return err;
}

static int add_program(const char *text)
{
    struct path path;
    struct inode *inode;
    int err = path_walk(NULL, text, WALK_FOLLOW | WALK_MAY_LACK, &path);

    if (err)
        return err;
    inode = program_inode();
    err = inode ? names_add(&path, inode) : -ENOMEM;
    inode_put(inode);
    path_drop(&path);
    return err;
}

/* A path that cannot be made here (/proc/self/fd/3) leaves the program without a name, no more. */
static int place_program(void)
{
    char *text = kmalloc(FS_PATH_MAX);
    size_t len = strnlen(fs_boot.exec_path, FS_PATH_MAX - 1);
    int err = 0;

    if (!text)
        return -ENOMEM;
    memcpy(text, fs_boot.exec_path, len);
    text[len] = '\0';
    for (size_t i = 1; i < len && !err; i++) {
        if (text[i] != '/')
            continue;
        text[i] = '\0';
        err = need_dir(text);
        text[i] = '/';
    }
    if (!err)
        err = add_program(text);
    kfree(text);
    return err == -ENOMEM ? err : 0;
}

static int populate_root(struct dentry *root)
{
    static const struct {
        const char *name;
        const struct inode_ops *ops;
        u32 permissions;
    } dirs[] = {
        {"dev", &dev_inode_ops, 0755},   {"etc", &etc_inode_ops, 0755},
        {"proc", &proc_inode_ops, 0555}, {"root", &dir_inode_ops, 0700},
        {"run", &dir_inode_ops, 0755},   {"sys", &dir_inode_ops, 0555},
        {"tmp", &dir_inode_ops, 01777},  {"usr", &usr_inode_ops, 0755},
        {"var", &var_inode_ops, 0755},
    };
    int err = 0;

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        struct inode *dir = tree_dir(root, dirs[i].name, dirs[i].ops, dirs[i].permissions, &err);

        if (dir && dirs[i].ops == &proc_inode_ops)
            dir->flags |= INODE_PROC;
    }
    /* As Debian has it: a program is found by its path with and without /usr. */
    tree_link(root, "bin", "usr/bin", &err);
    tree_link(root, "sbin", "usr/sbin", &err);
    tree_link(root, "lib", "usr/lib", &err);
    return err ? err : place_program();
}

static const struct inode_ops root_inode_ops = {.file_ops = &dir_file_ops,
                                                .populate = populate_root};

int fs_init(const struct fs_boot *boot)
{
    struct inode *root;

    fs_boot = *boot;
    root = inode_new(&root_inode_ops, MODE_DIR | 0755);
    return root ? dentry_init_root(root) : -ENOMEM;
}
