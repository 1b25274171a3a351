/* lwIP's <string.h>. */
#ifndef GUEST_KERNEL_NET_LWIP_LIBC_STRING_H
#define GUEST_KERNEL_NET_LWIP_LIBC_STRING_H

#include "guest-kernel/lib/string.h"

/* Of two functions that nobody calls: the linker drops them. */
int strncmp(const char *a, const char *b, size_t most);

#endif
