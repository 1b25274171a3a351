/* Descriptors with a role have the role's number, by which the seccomp policy knows them. */
#ifndef SAMARA_MONITOR_ROLE_FD_H
#define SAMARA_MONITOR_ROLE_FD_H

#include "monitor/err.h"
#include "seccomp/policy.h"

/* Gives *fd the number of its role, close-on-exec; the old one is closed. Nobody else has that
 * number. -1 with err, *fd as it was. */
int role_fd(int *fd, enum fd_role role, struct err *err);

/*
 * If so many descriptors at most are open before roles are given, none comes to have a role's
 * number by chance, which dup3() would close: if there are as many, all those numbers are taken by
 * something harmless until their owners come. -1 with err.
 */
int role_fds_reserve(unsigned most, struct err *err);

#endif
