/* madvise(2)'s advice that gives pages their memory, for C libraries older than Linux 5.14; where
 * the kernel is, too, it is refused, which costs speed alone. */
#ifndef SAMARA_MONITOR_POPULATE_H
#define SAMARA_MONITOR_POPULATE_H

#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

#endif
