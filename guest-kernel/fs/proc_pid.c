/* /proc/PID: the program. */
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/path.h"
#include "guest-kernel/fs/proc.h"
#include "guest-kernel/fs/tree.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/task/process.h"

/* --- text --- */

static const char *comm(void)
{
    return process.tasks ? process.tasks->name : "program";
}

static size_t text_comm(char *buf, size_t size)
{
    return kprint_to(buf, size, "%s\n", comm());
}

/* Fields 1-52 of proc(5); what is not kept is 0. */
static size_t text_pid_stat(char *buf, size_t size)
{
    return kprint_to(
        buf, size,
        "%u (%s) R %u %u %u 0 -1 4194304 0 0 0 0 %lu 0 0 0 20 0 %u 0 %lu %lu %lu "
        "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        fs_boot.pid, comm(), (u32)PROCESS_PPID, fs_boot.pid, fs_boot.pid,
        process.dead_cpu_ns / 10000000, process.task_count, process.start_ns / 10000000,
        mm_virtual_bytes(), mm_resident_bytes() / PAGE_SIZE);
}

static size_t text_statm(char *buf, size_t size)
{
    return kprint_to(buf, size, "%lu %lu 0 0 0 0 0\n", mm_virtual_bytes() / PAGE_SIZE,
                     mm_resident_bytes() / PAGE_SIZE);
}

static size_t text_status(char *buf, size_t size)
{
    u64 virtual_kib = mm_virtual_bytes() / 1024;
    u64 resident_kib = mm_resident_bytes() / 1024;
    u32 umask = current_fs()->umask;

    return kprint_to(buf, size,
                     "Name:\t%s\nUmask:\t0%u%u%u\nState:\tR (running)\nTgid:\t%u\nPid:\t%u\n"
                     "PPid:\t%u\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t%u\n"
                     "Groups:\t \nVmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmHWM:\t%8lu kB\n"
                     "VmRSS:\t%8lu kB\nThreads:\t%u\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n",
                     comm(), umask >> 6 & 7, umask >> 3 & 7, umask & 7, fs_boot.pid, fs_boot.pid,
                     (u32)PROCESS_PPID, current_fs()->fd_size, virtual_kib, virtual_kib,
                     resident_kib, resident_kib, process.task_count);
}

static size_t text_mounts(char *buf, size_t size)
{
    return kprint_to(buf, size, "tmpfs / tmpfs rw,noatime 0 0\nproc /proc proc rw,noatime 0 0\n");
}

static size_t text_limits(char *buf, size_t size)
{
    return kprint_to(
        buf, size,
        "Limit                     Soft Limit           Hard Limit           Units     "
        "\nMax open files            %-20u %-20u files     \n",
        current_fs()->fd_limit, (u32)FD_LIMIT_MAX);
}

static const struct {
    const char *name;
    size_t (*text)(char *buf, size_t size);
} texts[] = {
    {"comm", text_comm},     {"stat", text_pid_stat}, {"statm", text_statm},
    {"status", text_status}, {"mounts", text_mounts}, {"limits", text_limits},
};

/* --- blocks of strings and maps: longer than a text --- */

static long block_read(const char *block, size_t size, void *buf, size_t len, u64 *pos)
{
    if (*pos >= size)
        return 0;
    len = MIN(len, size - *pos);
    memcpy(buf, block + *pos, len);
    *pos += len;
    return (long)len;
}

static long cmdline_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)f;
    return block_read(fs_boot.argv, fs_boot.argv_size, buf, len, pos);
}

static long environ_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)f;
    return block_read(fs_boot.envp, fs_boot.envp_size, buf, len, pos);
}

static long maps_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    ssize_t n = proc_maps(buf, len, *pos);

    (void)f;
    if (n > 0)
        *pos += (u64)n;
    return n;
}

static const struct file_ops cmdline_ops = {.read = cmdline_read, .lseek = file_lseek_endless};
static const struct file_ops environ_ops = {.read = environ_read, .lseek = file_lseek_endless};
static const struct file_ops maps_ops = {.read = maps_read, .lseek = file_lseek_endless};
static const struct inode_ops cmdline_inode_ops = {.file_ops = &cmdline_ops};
static const struct inode_ops environ_inode_ops = {.file_ops = &environ_ops};
static const struct inode_ops maps_inode_ops = {.file_ops = &maps_ops};

static const struct {
    const char *name;
    const struct inode_ops *ops;
    u32 permissions;
} blocks[] = {
    {"cmdline", &cmdline_inode_ops, 0444},
    {"environ", &environ_inode_ops, 0400},
    {"maps", &maps_inode_ops, 0444},
};

/* --- links --- */

static size_t cwd_readlink(struct inode *inode, char *buf, size_t size)
{
    struct dentry *cwd = current_fs()->cwd;
    long len = dentry_path(cwd ? cwd : dentry_root(), buf, size);

    (void)inode;
    return len > 0 ? (size_t)len : 0;
}

static struct dentry *cwd_follow(struct inode *inode)
{
    struct dentry *cwd = current_fs()->cwd;

    (void)inode;
    return dentry_get(cwd ? cwd : dentry_root());
}

static const struct inode_ops cwd_inode_ops = {.readlink = cwd_readlink, .follow = cwd_follow};

static int populate_pid(struct dentry *dir)
{
    int err = 0;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        tree_add(dir, texts[i].name, proc_text_new(texts[i].text, 0444), &err);
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        tree_add(dir, blocks[i].name,
                 inode_new(blocks[i].ops, MODE_REGULAR | blocks[i].permissions), &err);
    tree_link(dir, "exe", fs_boot.exec_path, &err);
    tree_link(dir, "root", "/", &err);
    tree_add(dir, "cwd", inode_new(&cwd_inode_ops, MODE_LINK | 0777), &err);
    tree_dir(dir, "fd", &proc_fd_inode_ops, 0500, &err);
    tree_dir(dir, "net", &proc_net_inode_ops, 0555, &err);
    return err;
}

const struct inode_ops proc_pid_inode_ops = {.file_ops = &dir_file_ops, .populate = populate_pid};
