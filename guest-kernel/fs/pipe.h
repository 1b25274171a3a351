/* Pipes and event counters. */
#ifndef SAMARA_GUEST_FS_PIPE_H
#define SAMARA_GUEST_FS_PIPE_H

#include "guest-kernel/fs/file.h"

enum { PIPE_CAPACITY = 65536 };

/* Both ends, each with one reference. flags: O_NONBLOCK. 0 or -ENOMEM. */
int pipe_new(u32 flags, struct file **reader, struct file **writer);
bool file_is_pipe(const struct file *f);

/* For what is made of pipes: whoever waits for this end waits at queue, until the end is closed. */
void pipe_wait_at(struct file *end, struct wait_queue *queue);
/* What a read would give behind the first `skip` bytes; all stay. */
long pipe_peek(struct file *reader, size_t skip, void *buf, size_t len);
/* A write without SIGPIPE. */
long pipe_send(struct file *writer, const void *buf, size_t len);

/* NULL if out of memory. */
struct file *eventfd_new(u64 count, bool semaphore, u32 flags);

#endif
