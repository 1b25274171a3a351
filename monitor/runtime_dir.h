/*
 * The directory of the user's own in which VMs are found and CPUID is kept. For the keeper and for
 * commands, which have the caller's rights.
 */
#ifndef SAMARA_MONITOR_RUNTIME_DIR_H
#define SAMARA_MONITOR_RUNTIME_DIR_H

#include "monitor/err.h"
#include "monitor/unix_socket.h"

#define RUNTIME_DIR_ROOT "/run/samara" /* root's, unless it has another */

/* Makes it if it is not there; it has to be the user's alone. -1 with err. */
int runtime_dir_own(const char *dir, struct err *err);

/* samara in $XDG_RUNTIME_DIR or, without, in root's /run or /run/user/UID; /tmp/samara-UID where
 * there is none of these. Made if it is not there; it has to be the user's alone. -1 with err. */
int runtime_dir_path(char to[UNIX_PATH_MAX + 1], struct err *err);

/* The same, opened for openat(); -1: there is none. */
int runtime_dir_open(void);

#endif
