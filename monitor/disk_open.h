/* Opening a disk with the caller's rights. */
#ifndef SAMARA_MONITOR_DISK_OPEN_H
#define SAMARA_MONITOR_DISK_OPEN_H

#include "devices/disk.h"
#include "monitor/disk_config.h"

/*
 * A regular file or block device of whole sectors, up to 16 TiB. It is locked as long as it is
 * open, by this process or whomever it is passed to: many may read it, or one write. An overlay's
 * file is made if it is not there, that of a clone in $TMPDIR, /var/tmp or /tmp, without a name;
 * disk_start is to follow. -1 with err.
 */
int disk_open(struct disk *disk, const struct disk_config *config, struct err *err);

/* Whether disks[number] is to be written where it or one before it is read, or written, too; those
 * are open. Locks would tell of another virtual machine. -1 with err. */
int disk_check_apart(const struct disk_config *disks, unsigned number, struct err *err);

#endif
