/*
 * Open files: what a file descriptor points to.
 *
 * Operations never block and never touch unmapped memory. One that cannot proceed returns -EAGAIN;
 * file_io.c then waits on file->wait, prepares the user's memory again (another thread may have
 * unmapped it meanwhile) and retries. So a file type is written once, without waiting, and
 * O_NONBLOCK, signals, poll and partial transfers mean the same for every type.
 *
 * Whoever changes what a file is ready for (data came, room came, the other end closed) calls
 * file_wake: it wakes the blocked and every poll().
 */
#ifndef SAMARA_GUEST_FS_FILE_H
#define SAMARA_GUEST_FS_FILE_H

#include "guest-kernel/lib/base.h"
#include "guest-kernel/task/wait.h"

struct dentry;
struct file;
struct inode;

/* What stat() tells of a file; see stat.h for the Linux layouts. Times are ns since 1970, as
 * signed numbers. */
struct file_attr {
    u64 ino;
    u64 size;
    u64 blocks; /* of 512 bytes */
    u64 rdev;
    u64 atime, mtime, ctime, btime;
    u32 mode; /* type and permissions */
    u32 nlink;
    u32 uid, gid;
};

/* Any operation may be NULL: the text says what happens then. Lengths are never 0 unless it says
 * so. */
struct file_ops {
    /* Bytes moved, 0 at end of file, or -errno. *pos is the place to start at and is advanced;
     * types without lseek ignore it. NULL: EINVAL. */
    long (*read)(struct file *f, void *buf, size_t len, u64 *pos);
    long (*write)(struct file *f, const void *buf, size_t len, u64 *pos);
    /* New offset or -errno. NULL: the file has no position; lseek and pread fail with ESPIPE. */
    long (*lseek)(struct file *f, long offset, int whence);
    /* arg as the program passed it: use copy_to_user. NULL: ENOTTY. */
    long (*ioctl)(struct file *f, u32 request, u64 arg);
    /* POLL* bits that hold now. NULL: always readable and writable. */
    u32 (*poll)(struct file *f);
    /* NULL: the inode's attributes, or those of an anonymous file. */
    void (*attr)(struct file *f, struct file_attr *out);
    /* NULL: EINVAL. */
    int (*truncate)(struct file *f, u64 size);
    /* For mmap: the page that holds byte index * 4096, shared with read and write; NULL beyond the
     * end or out of memory. It stays valid until the caller's reference to the file is dropped.
     * NULL: ENODEV. */
    void *(*page)(struct file *f, u64 index);
    /* What was written is on stable storage. NULL: memory is all there is. */
    int (*sync)(struct file *f);
    /* How long one that is blocked waits for a read, or a write, in ns; 0, or NULL: for ever. Then
     * it gets -EAGAIN. */
    u64 (*timeout)(const struct file *f, bool write);
    /* The last reference is gone. */
    void (*release)(struct file *f);
    /* Sockets: readv or writev of the program's list, as one. Where a write is a message an empty
     * one is, too: the length may be 0. NULL: one segment after the other. */
    long (*vector)(struct file *f, u64 iov, u64 count, bool write);
    /* A stream: a short writev is one write, so that others' data does not come between. */
    bool gathers;
};

struct file {
    u32 refs;
    u32 flags;  /* O_*: access mode and status flags */
    u64 offset; /* for types with lseek */
    const struct file_ops *ops;
    struct wait_queue *wait; /* where the blocked sit; NULL if no operation returns -EAGAIN */
    struct dentry *dentry;   /* name it was opened by; NULL if it never had one (a pipe) */
    void *private;           /* the type's own */
    bool watched;            /* is or was in an epoll set */
};

enum memory_kind { MEMORY_KERNEL, MEMORY_USER };

/* A file with one reference and no name; flags 0 (O_RDONLY), wait NULL. NULL if out of memory. */
struct file *file_new(const struct file_ops *ops, void *private);

/* An lseek operation for files without an end to count from: directories, whose offsets are cookies
 * that telldir gave out, and generated text. SEEK_END is -EINVAL. */
long file_lseek_endless(struct file *f, long offset, int whence);

struct file *file_get(struct file *f);
void file_put(struct file *f);

/* The file's inode, NULL for a nameless type. */
struct inode *file_inode(const struct file *f);

bool file_readable(const struct file *f);
bool file_writable(const struct file *f);
u32 file_poll(struct file *f);
void file_attr(struct file *f, struct file_attr *out);

/*
 * Read or write with the blocking, chunking and partial-result rules of Linux. pos NULL means the
 * file's own offset (which is advanced). MEMORY_USER ranges are prepared here: buf is any address
 * the program named. Returns bytes, or -errno (EINTR included) if none were moved.
 */
long file_read(struct file *f, void *buf, size_t len, u64 *pos, enum memory_kind kind);
long file_write(struct file *f, const void *buf, size_t len, u64 *pos, enum memory_kind kind);

/* Readiness of the files that wait on q changed; or only in these POLL* events. */
void file_wake(struct wait_queue *q);
void file_wake_for(struct wait_queue *q, u32 events);
/* All poll()s wait here; file_wake wakes it. */
extern struct wait_queue poll_waiters;

#endif
