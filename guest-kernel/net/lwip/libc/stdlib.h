/* lwIP's <stdlib.h>: nothing but for netif_find, which takes the number off a name such as "lo0".
 */
#ifndef GUEST_KERNEL_NET_LWIP_LIBC_STDLIB_H
#define GUEST_KERNEL_NET_LWIP_LIBC_STDLIB_H

int atoi(const char *digits);

#endif
