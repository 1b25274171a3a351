/*
 * Where the VMs of a user are found: a directory of sockets, one for each, named after its VM. For
 * the keeper and for commands, which have the caller's rights.
 */
#ifndef SAMARA_MONITOR_CONTROL_DIR_H
#define SAMARA_MONITOR_CONTROL_DIR_H

#include "monitor/err.h"
#include "monitor/unix_socket.h"

enum { VM_NAME_MAX = 48 };

/* 1 to 48 letters, digits, '.', '_', '-', the first a letter or digit. -1 with err. */
int vm_name_check(const char *name, struct err *err);

/* Makes a name of the program's and the process's id. */
void vm_name_default(char to[VM_NAME_MAX + 1], const char *program);

/* The socket of the VM called name. -1 with err. */
int control_path(char to[UNIX_PATH_MAX + 1], const char *name, struct err *err);

/* Listens at the VM's socket, which only the user may use; one that nobody listens at any more
 * gives way. -1 with err. */
int control_listen(struct unix_listener *listener, const char *name, struct err *err);

#endif
