/* /proc: what programs look up about themselves and the machine. */
#ifndef SAMARA_GUEST_FS_PROC_H
#define SAMARA_GUEST_FS_PROC_H

#include "guest-kernel/fs/fs.h"
#include "guest-kernel/fs/inode.h"

/* The name of the kernel that programs see, as in uname(2). */
#define PROC_OSRELEASE "6.1.0-samara"
#define PROC_VERSION   "#1"

extern const struct inode_ops proc_inode_ops;     /* /proc */
extern const struct inode_ops proc_sys_inode_ops; /* /proc/sys */
extern const struct inode_ops proc_pid_inode_ops; /* /proc/PID */
extern const struct inode_ops proc_fd_inode_ops;  /* /proc/PID/fd */
extern const struct inode_ops proc_net_inode_ops; /* /proc/PID/net */

/* A file whose whole contents text writes into a buffer: at most PROC_TEXT_MAX bytes, length
 * returned. NULL if out of memory. */
enum { PROC_TEXT_MAX = 4096 };
struct inode *proc_text_new(size_t (*text)(char *buf, size_t size), u32 permissions);
/* What such files do, for who adds something to it. */
struct file;
extern const struct file_ops proc_text_file_ops;
int proc_text_open(struct inode *inode, struct file *f);

/* The file system's own copy of what fs_init was given. */
extern struct fs_boot fs_boot;

#endif
