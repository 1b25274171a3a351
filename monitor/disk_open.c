/* See disk_open.h. */
#include "monitor/disk_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/virtio_blk.h"
#include "monitor/fd_close.h"

static bool has_overlay(const struct disk_config *c)
{
    return c->overlay || (c->of_snapshot && !c->read_only);
}

static bool only_reads(const struct disk_config *c)
{
    return c->read_only || has_overlay(c);
}

static int open_flags(const struct disk_config *c)
{
    return (only_reads(c) ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
}

/* Nobody has it mounted: O_EXCL says so for block devices, and the other file would be created. */
static int claim_device(int *fd, const struct disk_config *c, struct err *err)
{
    char link[40];
    int claimed;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", *fd);
    claimed = open(link, open_flags(c) | O_EXCL);
    if (claimed < 0)
        return errno == EBUSY ? err_set(err, "%s: in use by the host (mounted?)", c->path)
                              : err_sys(err, "open %s", c->path);
    close(*fd);
    *fd = claimed;
    return 0;
}

static int check_size(const struct disk_config *c, uint64_t size, struct err *err)
{
    if (size == 0)
        return err_set(err, "%s: empty (truncate -s 1G makes it a disk of that size)", c->path);
    if (size % VIRTIO_BLK_SECTOR != 0)
        return err_set(err,
                       "%s: %llu bytes are not whole sectors of 512 (truncate -s %%512 adds "
                       "what is missing)",
                       c->path, (unsigned long long)size);
    if (size > DISK_SIZE_MAX)
        return err_set(err, "%s: larger than 16 TiB", c->path);
    return 0;
}

/* Only compared: what does not fit may wrap. */
static int64_t changed_ns(const struct stat *st)
{
    return (int64_t)((uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec);
}

static int find_size(struct disk *disk, const struct disk_config *c, struct err *err)
{
    struct stat st;

    if (fstat(disk->fd, &st) != 0)
        return err_sys(err, "%s", c->path);
    disk->base.changed_ns = changed_ns(&st);
    if (S_ISREG(st.st_mode)) {
        disk->base.size = (uint64_t)st.st_size;
        return 0;
    }
    if (!S_ISBLK(st.st_mode))
        return err_set(err, "%s: neither a file nor a block device", c->path);
    if (has_overlay(c))
        return err_set(err,
                       "%s: an overlay's base is a regular file: nothing tells when a block "
                       "device was changed",
                       c->path);
    if (!only_reads(c) && claim_device(&disk->fd, c, err) != 0)
        return -1;
    if (syscall(SYS_ioctl, disk->fd, BLKGETSIZE64, &disk->base.size) != 0) /* musl's takes an int */
        return err_sys(err, "%s: size", c->path);
    return 0;
}

/* A lock of the open file description: passed on and released with it. */
static int lock(int fd, bool reads, const char *path, struct err *err)
{
    struct flock whole = {.l_type = reads ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return err_sys(err, "%s: lock", path);
    return err_set(err,
                   "%s: in use by another virtual machine (many may read it with ',ro', or "
                   "one write)",
                   path);
}

static void look_again(struct disk *disk)
{
    struct stat st;

    if (fstat(disk->fd, &st) == 0 && S_ISREG(st.st_mode))
        disk->base = (struct overlay_base){(uint64_t)st.st_size, changed_ns(&st)};
}

static int open_base(struct disk *disk, const struct disk_config *c, struct err *err)
{
    disk->fd = open(c->path, open_flags(c));
    if (disk->fd < 0)
        return err_sys(err, "open %s", c->path);
    if (find_size(disk, c, err) != 0 || lock(disk->fd, only_reads(c), c->path, err) != 0)
        return -1;
    look_again(disk); /* a writer may have been there until now */
    return check_size(c, disk->base.size, err);
}

/* A new one is made in a file that is empty or not there; one that is there is for its reader to
 * check, which is the monitor. */
static int open_overlay(struct disk *disk, const struct disk_config *c, struct err *err)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct stat st;

    disk->overlay_fd = open(c->overlay, flags, 0666);
    if (disk->overlay_fd < 0 || fstat(disk->overlay_fd, &st) != 0)
        return err_sys(err, "open %s", c->overlay);
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s: an overlay is a regular file", c->overlay);
    if (lock(disk->overlay_fd, false, c->overlay, err) != 0)
        return -1;
    if (st.st_size == 0 &&
        overlay_create(disk->overlay_fd, &disk->base, OVERLAY_RESERVES | OVERLAY_LASTS, err) != 0)
        return err_in(err, "%s", c->overlay);
    return 0;
}

/* Where the file system knows no files without a name, it has one for a moment. */
static int open_nameless(const char *dir)
{
    char path[PATH_MAX];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    if ((size_t)snprintf(path, sizeof(path), "%s/samara.XXXXXX", dir) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int open_temporary(struct disk *disk, const struct disk_config *c, struct err *err)
{
    const char *dir = getenv("TMPDIR");

    dir = dir && dir[0] ? dir : access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
    disk->overlay_fd = open_nameless(dir);
    if (disk->overlay_fd < 0)
        return err_sys(err, "%s: make an overlay in %s (TMPDIR says where)", c->path, dir);
    disk->temporary = true;
    return overlay_create(disk->overlay_fd, &disk->base, OVERLAY_RESERVES, err) == 0
               ? 0
               : err_in(err, "%s", dir);
}

int disk_open(struct disk *disk, const struct disk_config *c, struct err *err)
{
    int result;

    *disk = (struct disk)DISK_NONE;
    disk->read_only = c->read_only;
    result = open_base(disk, c, err);
    if (result == 0 && has_overlay(c))
        result = c->overlay ? open_overlay(disk, c, err) : open_temporary(disk, c, err);
    if (result == 0)
        return 0;
    disk_close(disk);
    return -1;
}

/* --- disks of one machine --- */

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Of a disk's files: NULL after the last. */
static const char *file_of(const struct disk_config *c, unsigned number, bool *written)
{
    *written = number > 0 || !only_reads(c);
    return number == 0 ? c->path : number == 1 ? c->overlay : NULL;
}

static int check_pair(const struct disk_config *c, const struct disk_config *other, unsigned number,
                      struct err *err)
{
    const char *mine, *its;
    bool i_write, it_writes;

    for (unsigned i = 0; (mine = file_of(c, i, &i_write)) != NULL; i++) {
        for (unsigned k = 0; (its = file_of(other, k, &it_writes)) != NULL; k++) {
            if ((i_write || it_writes) && same_file(mine, its))
                return err_set(err,
                               "%s: disk %u has this file (two may have one that both read: with "
                               "',ro', or each below an overlay of its own)",
                               mine, number);
        }
    }
    return 0;
}

int disk_check_apart(const struct disk_config *disks, unsigned number, struct err *err)
{
    const struct disk_config *c = &disks[number];

    if (c->overlay && same_file(c->path, c->overlay))
        return err_set(err, "%s: the overlay is the disk's own file (it takes a new one)", c->path);
    for (unsigned i = 0; i < number; i++) {
        if (check_pair(c, &disks[i], i, err) != 0)
            return -1;
    }
    return 0;
}
