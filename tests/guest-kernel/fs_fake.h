/* The rest of the kernel, as the file system sees it, for tests on the host. */
#ifndef TESTS_GUEST_KERNEL_FS_FAKE_H
#define TESTS_GUEST_KERNEL_FS_FAKE_H

#include "guest-kernel/fs/fs_syscalls.h"
#include "guest-kernel/fs/linux.h"

/* A fresh machine whose program is at /opt/prog ("program text"), run as: prog one. */
void fake_boot(void);

/* What another thread does while the tested one sleeps. NULL: a sleep with a deadline times out,
 * one without ends in -EINTR. */
extern void (*fake_other_thread)(void);
extern unsigned fake_sleeps;
/* Last signal the kernel sent to the caller, 0 for none. */
extern int fake_signal;
extern u64 fake_now_ns;
/* Pages there are, that can still be allocated, and how many are. */
extern size_t fake_pages_total, fake_pages_left, fake_pages_used;

/* CALL(open, path, O_RDONLY): the system call with its arguments as registers. */
#define CALL(name, ...) sys_##name((const u64[6]){__VA_ARGS__})
#define U(pointer)      ((u64)(uintptr_t)(pointer))

/* Shorthands that fail the test when they do. */
int open_new(const char *path, const char *text);
void expect_text(const char *path, const char *text);
bool exists(const char *path);
struct linux_stat stat_of(const char *path);

#endif
