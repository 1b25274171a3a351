/* Where a file ought to have nothing. */
#ifndef SAMARA_MONITOR_SNAPSHOT_FILE_ZEROES_H
#define SAMARA_MONITOR_SNAPSHOT_FILE_ZEROES_H

#include <stdint.h>

#include "monitor/err.h"

/* -1 with err, which begins with `name`: there is a byte that is not zero in [at, end), or it
 * cannot be read. */
int file_check_zeroes(int fd, const char *name, uint64_t at, uint64_t end, struct err *err);

#endif
