/*
 * What lwIP wants to know of its surroundings, beside gcc's own freestanding headers. No C library:
 * its includes of <string.h> and <stdlib.h> find ours in net/lwip/libc.
 */
#ifndef GUEST_KERNEL_NET_LWIP_ARCH_CC_H
#define GUEST_KERNEL_NET_LWIP_ARCH_CC_H

#include "guest-kernel/lib/base.h"

#ifndef BYTE_ORDER /* unit tests on the host have it from their libc */
#define BYTE_ORDER LITTLE_ENDIAN
#endif

#define LWIP_NO_INTTYPES_H 1 /* formats of debug output, which is off */
#define LWIP_NO_CTYPE_H    1
#define LWIP_NO_LIMITS_H   1
#define LWIP_NO_UNISTD_H   1
#ifndef SSIZE_MAX
#define SSIZE_MAX INT64_MAX /* base.h has ssize_t */
#endif

/* An assertion is about lwIP's own promises; going on would be worse. */
_Noreturn void net_assertion_failed(const char *text);
#define LWIP_PLATFORM_ASSERT(text) net_assertion_failed(text)
#define LWIP_PLATFORM_DIAG(text)

/* Transaction ids, query delays. */
u32 net_random(void);
#define LWIP_RAND() net_random()

#endif
