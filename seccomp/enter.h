/* Putting a thread under its filter, and what is said of a call that it forbids. */
#ifndef SAMARA_SECCOMP_ENTER_H
#define SAMARA_SECCOMP_ENTER_H

#include <stddef.h>

#include "monitor/err.h"
#include "seccomp/policy.h"

enum seccomp_mode {
    SECCOMP_MODE_KILL, /* the process ends */
    SECCOMP_MODE_TRAP, /* ... after saying why */
    SECCOMP_MODE_LOG,  /* says it and does what was asked for: no protection */
    SECCOMP_MODE_OFF,  /* no filter */
};

/* Once, before any thread enters: what TRAP and LOG need. -1 with err. */
int seccomp_prepare(enum seccomp_mode mode, struct err *err);

/* From here on the calling thread is bound to its role; no_new_privs is set. -1 with err. */
int seccomp_enter(enum seccomp_role role, enum seccomp_mode mode, struct err *err);

/* One line about a forbidden call: role, name, arguments, and the row that comes nearest. */
void seccomp_describe(char *to, size_t size, enum seccomp_role role, int nr,
                      const uint64_t args[6]);

#endif
