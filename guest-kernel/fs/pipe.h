/* Pipes and event counters. */
#ifndef SAMARA_GUEST_FS_PIPE_H
#define SAMARA_GUEST_FS_PIPE_H

#include "guest-kernel/fs/file.h"

enum { PIPE_CAPACITY = 65536 };

/* Both ends, each with one reference. flags: O_NONBLOCK, O_DIRECT is ignored. 0 or -ENOMEM. */
int pipe_new(u32 flags, struct file **reader, struct file **writer);
bool file_is_pipe(const struct file *f);

/* NULL if out of memory. */
struct file *eventfd_new(u64 count, bool semaphore, u32 flags);

#endif
