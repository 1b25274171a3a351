/* See disk.h: a disk is a file, or an overlay upon one. */
#include "devices/disk.h"

#include <errno.h>

#include "monitor/fd_close.h"

int disk_start(struct disk *disk, struct err *err)
{
    if (disk->overlay_fd < 0)
        return 0;
    disk->overlay = overlay_load(disk->overlay_fd, disk->fd, &disk->base, err);
    return disk->overlay ? 0 : -1;
}

ssize_t disk_read(const struct disk *disk, struct vq_request *to, uint64_t at, size_t max,
                  unsigned flags)
{
    return disk->overlay ? overlay_read(disk->overlay, to, at, max, flags)
                         : file_read(disk->fd, to, at, max, flags);
}

ssize_t disk_write(const struct disk *disk, struct vq_request *from, uint64_t at, size_t max,
                   unsigned flags)
{
    return disk->overlay ? overlay_write(disk->overlay, from, at, max, flags)
                         : file_write(disk->fd, from, at, max, flags);
}

int disk_flush(const struct disk *disk)
{
    return disk->overlay ? overlay_flush(disk->overlay) : file_flush(disk->fd);
}

int disk_discard(const struct disk *disk, uint64_t at, uint64_t len)
{
    int result;

    if (disk->overlay)
        return overlay_discard(disk->overlay, at, len);
    result = file_punch(disk->fd, at, len);
    return result == -EOPNOTSUPP ? 0 : result;
}

int disk_zero(const struct disk *disk, uint64_t at, uint64_t len, bool may_unmap)
{
    return disk->overlay ? overlay_zero(disk->overlay, at, len)
                         : file_zero(disk->fd, at, len, may_unmap);
}

void disk_close(struct disk *disk)
{
    overlay_free(disk->overlay);
    disk->overlay = NULL;
    fd_close(&disk->fd);
    fd_close(&disk->overlay_fd);
}
