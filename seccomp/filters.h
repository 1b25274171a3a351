/* What compile.c makes of the policy: see policy.h. */
#ifndef SAMARA_SECCOMP_FILTERS_H
#define SAMARA_SECCOMP_FILTERS_H

#include <linux/filter.h>

enum { SECCOMP_CALLS = 512 };

struct seccomp_program {
    const struct sock_filter *code;
    unsigned short count;
};

/* By role, and what happens to a call that no row allows. */
extern const struct seccomp_program seccomp_loop_kill, seccomp_loop_trap, seccomp_vcpu_kill,
    seccomp_vcpu_trap, seccomp_disk_kill, seccomp_disk_trap;

/* NULL: nobody's number. */
extern const char *const seccomp_call_names[SECCOMP_CALLS];

#endif
