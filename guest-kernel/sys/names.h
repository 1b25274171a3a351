/* Names of the Linux x86-64 system calls, for messages. */
#ifndef GUEST_SYS_NAMES_H
#define GUEST_SYS_NAMES_H

#include "guest-kernel/lib/base.h"

/* "unknown" for a number Linux does not have either. */
const char *syscall_name(u64 number);

#endif
