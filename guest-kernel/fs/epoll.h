/*
 * epoll: a set of files whose readiness is asked for again and again. An entry holds no reference
 * to its file, as on Linux: it goes when the open file does.
 */
#ifndef SAMARA_GUEST_FS_EPOLL_H
#define SAMARA_GUEST_FS_EPOLL_H

#include "guest-kernel/fs/file.h"

/* file.c calls these: readiness of the files that wait on q changed, in these events at most; and a
 * file that was in some set is going away. */
void epoll_note(const struct wait_queue *q, u32 events);
void epoll_forget(const struct file *f);

#endif
