/* Moving data between requests and one file: what disks and overlays are made of. */
#ifndef SAMARA_DEVICES_DISK_FILE_H
#define SAMARA_DEVICES_DISK_FILE_H

#include "devices/virtqueue.h"

enum { DISK_NOWAIT = 1 << 0 }; /* move what is in memory, which may be nothing: 0 or -EAGAIN */

/* Move max bytes, or with DISK_NOWAIT less. A file that has become shorter gives -EIO. */
ssize_t file_read(int fd, struct vq_request *to, uint64_t at, size_t max, unsigned flags);
ssize_t file_write(int fd, struct vq_request *from, uint64_t at, size_t max, unsigned flags);

/* The same with memory of ours; all of it, or -errno. */
int file_get(int fd, void *to, uint64_t at, size_t len);
int file_put(int fd, const void *from, uint64_t at, size_t len);

int file_flush(int fd);

/* Gives the range's space back: reads as zeroes. -EOPNOTSUPP where the file system cannot. */
int file_punch(int fd, uint64_t at, uint64_t len);

/* Reads as zeroes afterwards, in any case; may_unmap: and may lose its space. */
int file_zero(int fd, uint64_t at, uint64_t len, bool may_unmap);

#endif
