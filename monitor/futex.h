/*
 * futex(2) for threads of this process, in the two operations that the seccomp policy has: what
 * waits wakes now and then for nothing, and looks again.
 */
#ifndef SAMARA_MONITOR_FUTEX_H
#define SAMARA_MONITOR_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Unless the word is another by now. */
static inline void futex_sleep(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static inline void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
