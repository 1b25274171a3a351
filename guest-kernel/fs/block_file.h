/* /dev/vda, /dev/vdb and so on: disks as files. */
#ifndef SAMARA_GUEST_FS_BLOCK_FILE_H
#define SAMARA_GUEST_FS_BLOCK_FILE_H

#include "guest-kernel/fs/inode.h"

/* Enters them in /dev. *error is left alone on success. */
void block_files_populate(struct dentry *dev, int *error);

#endif
