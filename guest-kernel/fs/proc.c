/* /proc itself: the machine. */
#include "guest-kernel/fs/proc.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/tree.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/mm/page.h"

#define NS_PER_SECOND 1000000000ul

static size_t text_cpuinfo(char *buf, size_t size)
{
    return kprint_to(buf, size,
                     "processor\t: 0\nvendor_id\t: samara\nmodel name\t: virtual CPU\n"
                     "cpu cores\t: 1\nsiblings\t: 1\n\n");
}

static size_t text_meminfo(char *buf, size_t size)
{
    u64 total = pages_total() * (PAGE_SIZE / 1024);
    u64 free = pages_free_count() * (PAGE_SIZE / 1024);

    return kprint_to(buf, size,
                     "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n"
                     "Buffers:        %8lu kB\nCached:         %8lu kB\n"
                     "SwapTotal:      %8lu kB\nSwapFree:       %8lu kB\n",
                     total, free, free, 0ul, 0ul, 0ul, 0ul);
}

static size_t text_uptime(char *buf, size_t size)
{
    u64 ns = clock_monotonic_ns();
    u64 cents = ns / (NS_PER_SECOND / 100) % 100;

    return kprint_to(buf, size, "%lu.%02lu 0.00\n", ns / NS_PER_SECOND, cents);
}

static size_t text_version(char *buf, size_t size)
{
    return kprint_to(buf, size, "Linux version %s (samara) %s\n", PROC_OSRELEASE, PROC_VERSION);
}

static size_t text_loadavg(char *buf, size_t size)
{
    return kprint_to(buf, size, "0.00 0.00 0.00 1/1 %u\n", fs_boot.pid);
}

static size_t text_stat(char *buf, size_t size)
{
    u64 boot = (clock_realtime_ns() - clock_monotonic_ns()) / NS_PER_SECOND;

    return kprint_to(buf, size,
                     "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nctxt 0\nbtime %lu\n"
                     "processes 1\nprocs_running 1\nprocs_blocked 0\n",
                     boot);
}

static size_t text_filesystems(char *buf, size_t size)
{
    return kprint_to(buf, size, "nodev\tproc\nnodev\ttmpfs\n");
}

static size_t text_osrelease(char *buf, size_t size)
{
    return kprint_to(buf, size, "%s\n", PROC_OSRELEASE);
}

static size_t text_ostype(char *buf, size_t size)
{
    return kprint_to(buf, size, "Linux\n");
}

static size_t text_hostname(char *buf, size_t size)
{
    return kprint_to(buf, size, "samara\n");
}

static size_t text_pid_max(char *buf, size_t size)
{
    return kprint_to(buf, size, "32768\n");
}

static size_t text_overcommit(char *buf, size_t size)
{
    return kprint_to(buf, size, "1\n");
}

static size_t text_map_count(char *buf, size_t size)
{
    return kprint_to(buf, size, "65530\n");
}

static size_t text_uuid(char *buf, size_t size)
{
    u8 r[16];

    random_bytes(r, sizeof(r));
    r[6] = (u8)((r[6] & 0x0f) | 0x40);
    r[8] = (u8)((r[8] & 0x3f) | 0x80);
    return kprint_to(buf, size,
                     "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n", r[0],
                     r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12],
                     r[13], r[14], r[15]);
}

static const struct text_entry {
    const char *dir, *name;
    size_t (*text)(char *buf, size_t size);
    u32 permissions;
} machine_texts[] = {
    {"", "cpuinfo", text_cpuinfo, 0444},         {"", "meminfo", text_meminfo, 0444},
    {"", "uptime", text_uptime, 0444},           {"", "version", text_version, 0444},
    {"", "loadavg", text_loadavg, 0444},         {"", "stat", text_stat, 0444},
    {"", "filesystems", text_filesystems, 0444},
};

static const struct text_entry kernel_settings[] = {
    {"kernel", "osrelease", text_osrelease, 0444},
    {"kernel", "ostype", text_ostype, 0444},
    {"kernel", "hostname", text_hostname, 0644},
    {"kernel", "pid_max", text_pid_max, 0644},
    {"random", "uuid", text_uuid, 0444},
    {"vm", "overcommit_memory", text_overcommit, 0644},
    {"vm", "max_map_count", text_map_count, 0644},
};

static void add_text(struct dentry *dir, const struct text_entry *e, int *error)
{
    tree_add(dir, e->name, proc_text_new(e->text, e->permissions), error);
}

static int populate_proc(struct dentry *dir)
{
    char pid[16];
    int err = 0;

    kprint_to(pid, sizeof(pid), "%u", fs_boot.pid);
    for (size_t i = 0; i < ARRAY_LEN(machine_texts); i++)
        add_text(dir, &machine_texts[i], &err);
    tree_dir(dir, pid, &proc_pid_inode_ops, 0555, &err);
    tree_link(dir, "self", pid, &err);
    tree_link(dir, "mounts", "self/mounts", &err);
    tree_link(dir, "net", "self/net", &err);
    tree_dir(dir, "sys", &proc_sys_inode_ops, 0555, &err);
    return err;
}

/* A directory of /proc/sys, found again by name after it was made. */
static struct dentry *sub_dir(struct dentry *dir, const char *name, size_t len, int *error)
{
    int lookup_error;
    struct dentry *d;

    tree_dir(dir, name, &dir_inode_ops, 0555, error);
    d = dentry_lookup(dir, name, len, &lookup_error);
    if (!d)
        *error = lookup_error;
    return d;
}

static int populate_sys(struct dentry *dir)
{
    int err = 0;
    struct dentry *kernel = sub_dir(dir, "kernel", 6, &err);
    struct dentry *vm = sub_dir(dir, "vm", 2, &err);
    struct dentry *random = kernel ? sub_dir(kernel, "random", 6, &err) : NULL;

    for (size_t i = 0; i < ARRAY_LEN(kernel_settings) && !err; i++) {
        const struct text_entry *e = &kernel_settings[i];
        struct dentry *parent = e->dir[0] == 'k' ? kernel : e->dir[0] == 'v' ? vm : random;

        add_text(parent, e, &err);
    }
    dentry_put(random);
    dentry_put(vm);
    dentry_put(kernel);
    return err;
}

const struct inode_ops proc_inode_ops = {.file_ops = &dir_file_ops, .populate = populate_proc};
const struct inode_ops proc_sys_inode_ops = {.file_ops = &dir_file_ops, .populate = populate_sys};
