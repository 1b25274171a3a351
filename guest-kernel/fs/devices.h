/* The devices of /dev. */
#ifndef SAMARA_GUEST_FS_DEVICES_H
#define SAMARA_GUEST_FS_DEVICES_H

#include "guest-kernel/fs/inode.h"

/* Fill /dev. */
int devices_populate(struct dentry *dev);

#endif
