/*
 * Constants and layouts of the Linux x86-64 ABI that file system calls use (include/uapi/linux/
 * fcntl.h, stat.h, falloc.h, poll.h, asm-generic/...). Structures carry a linux_ prefix so that
 * unit tests may include the host's headers beside them.
 */
#ifndef SAMARA_GUEST_FS_LINUX_H
#define SAMARA_GUEST_FS_LINUX_H

#include "guest-kernel/lib/base.h"

enum {
    FS_PATH_MAX = 4096,
    FS_NAME_MAX = 255,
    FS_LINKS_MAX = 40, /* symbolic links followed in one walk */
    FS_IOV_MAX = 1024,
};
#define FS_IO_MAX  0x7ffff000ul /* one call moves no more */
#define FS_OFF_MAX 0x7fffffffffffffffull

#if !__STDC_HOSTED__ || !defined(O_CREAT)
#define O_ACCMODE   03u
#define O_RDONLY    00u
#define O_WRONLY    01u
#define O_RDWR      02u
#define O_CREAT     0100u
#define O_EXCL      0200u
#define O_NOCTTY    0400u
#define O_TRUNC     01000u
#define O_APPEND    02000u
#define O_NONBLOCK  04000u
#define O_DSYNC     010000u
#define O_ASYNC     020000u
#define O_DIRECT    040000u
#define O_LARGEFILE 0100000u
#define O_DIRECTORY 0200000u
#define O_NOFOLLOW  0400000u
#define O_NOATIME   01000000u
#define O_CLOEXEC   02000000u
#define O_PATH      010000000u
#define O_TMPFILE   020200000u
#endif

#ifndef AT_FDCWD
#define AT_FDCWD (-100)
#endif
#define LINUX_AT_SYMLINK_NOFOLLOW 0x100u
#define LINUX_AT_EACCESS          0x200u
#define LINUX_AT_REMOVEDIR        0x200u
#define LINUX_AT_SYMLINK_FOLLOW   0x400u
#define LINUX_AT_NO_AUTOMOUNT     0x800u
#define LINUX_AT_EMPTY_PATH       0x1000u
#define LINUX_AT_STATX_SYNC_TYPE  0x6000u

#define LINUX_RENAME_NOREPLACE    1u
#define LINUX_RENAME_EXCHANGE     2u

/* File types and permissions in a mode. */
#define MODE_TYPE     0170000u
#define MODE_SOCKET   0140000u
#define MODE_LINK     0120000u
#define MODE_REGULAR  0100000u
#define MODE_BLOCK    0060000u
#define MODE_DIR      0040000u
#define MODE_CHAR     0020000u
#define MODE_FIFO     0010000u
#define MODE_BITS     07777u
#define MODE_ANY_EXEC 0111u

enum { WHENCE_SET, WHENCE_CUR, WHENCE_END, WHENCE_DATA, WHENCE_HOLE };

#ifndef POLLIN
#define POLLIN     0x001
#define POLLPRI    0x002
#define POLLOUT    0x004
#define POLLERR    0x008
#define POLLHUP    0x010
#define POLLNVAL   0x020
#define POLLRDNORM 0x040
#define POLLRDBAND 0x080
#define POLLWRNORM 0x100
#define POLLWRBAND 0x200
#define POLLRDHUP  0x2000
#endif

enum {
    FCNTL_DUPFD = 0,
    FCNTL_GETFD = 1,
    FCNTL_SETFD = 2,
    FCNTL_GETFL = 3,
    FCNTL_SETFL = 4,
    FCNTL_GETLK = 5,
    FCNTL_SETLK = 6,
    FCNTL_SETLKW = 7,
    FCNTL_SETOWN = 8,
    FCNTL_GETOWN = 9,
    FCNTL_SETSIG = 10,
    FCNTL_GETSIG = 11,
    FCNTL_OFD_GETLK = 36,
    FCNTL_OFD_SETLK = 37,
    FCNTL_OFD_SETLKW = 38,
    FCNTL_DUPFD_CLOEXEC = 1030,
    FCNTL_SETPIPE_SZ = 1031,
    FCNTL_GETPIPE_SZ = 1032,
    FCNTL_ADD_SEALS = 1033,
    FCNTL_GET_SEALS = 1034,
};

enum {
    SEAL_SEAL = 1,
    SEAL_SHRINK = 2,
    SEAL_GROW = 4,
    SEAL_WRITE = 8,
    SEAL_FUTURE_WRITE = 16,
    SEAL_EXEC = 32,
    SEALS_KNOWN = 63,
};

enum { LOCK_KIND_READ = 0, LOCK_KIND_WRITE = 1, LOCK_KIND_UNLOCK = 2 };

enum {
    IOCTL_TCGETS = 0x5401,
    IOCTL_TCSETS = 0x5402,
    IOCTL_TCSETSW = 0x5403,
    IOCTL_TCSETSF = 0x5404,
    IOCTL_TIOCGWINSZ = 0x5413,
    IOCTL_FIONREAD = 0x541b,
    IOCTL_FIONBIO = 0x5421,
    IOCTL_FIONCLEX = 0x5450,
    IOCTL_FIOCLEX = 0x5451,
    IOCTL_FIOASYNC = 0x5452,
};

enum {
    FALLOC_KEEP_SIZE = 0x01,
    FALLOC_PUNCH_HOLE = 0x02,
    FALLOC_ZERO_RANGE = 0x10,
};

struct linux_timespec {
    i64 sec;
    i64 nsec;
};

struct linux_timeval {
    i64 sec;
    i64 usec;
};

struct linux_iovec {
    u64 base;
    u64 len;
};

struct linux_stat {
    u64 dev;
    u64 ino;
    u64 nlink;
    u32 mode;
    u32 uid;
    u32 gid;
    u32 pad0;
    u64 rdev;
    i64 size;
    i64 blksize;
    i64 blocks;
    struct linux_timespec atime, mtime, ctime;
    i64 unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");

struct linux_statx_time {
    i64 sec;
    u32 nsec;
    i32 pad;
};

struct linux_statx {
    u32 mask;
    u32 blksize;
    u64 attributes;
    u32 nlink;
    u32 uid;
    u32 gid;
    u16 mode;
    u16 pad0;
    u64 ino;
    u64 size;
    u64 blocks;
    u64 attributes_mask;
    struct linux_statx_time atime, btime, ctime, mtime;
    u32 rdev_major, rdev_minor;
    u32 dev_major, dev_minor;
    u64 mnt_id;
    u32 dio_mem_align, dio_offset_align;
    u64 spare[12];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

struct linux_statfs {
    i64 type;
    i64 bsize;
    u64 blocks, bfree, bavail;
    u64 files, ffree;
    i32 fsid[2];
    i64 namelen;
    i64 frsize;
    i64 flags;
    i64 spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

struct linux_flock {
    s16 type;
    s16 whence;
    i64 start;
    i64 len;
    i32 pid;
    i32 pad;
};
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock");

/* Followed by the name, and for getdents by one byte of type at the record's end. */
struct linux_dirent {
    u64 ino;
    i64 off;
    u16 reclen;
};

struct linux_pollfd {
    i32 fd;
    s16 events;
    s16 revents;
};

struct linux_open_how {
    u64 flags;
    u64 mode;
    u64 resolve;
};

#endif
