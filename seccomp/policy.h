/*
 * What each thread of the monitor may ask the kernel for once it is set up: one table, from which
 * the filters are compiled at build time (compile.c), reports explain themselves (report.c) and the
 * tests are generated. A call that no row allows kills the process.
 *
 * Descriptors with a role have fixed numbers, so that a filter can tell them apart: what reads
 * timers cannot read anything else.
 */
#ifndef SAMARA_SECCOMP_POLICY_H
#define SAMARA_SECCOMP_POLICY_H

#include <stdint.h>

enum seccomp_role { ROLE_LOOP, ROLE_VCPU, ROLE_DISK, ROLES };

/* Below 64: to grow beyond, the kernel would wait for RCU. */
enum fd_role {
    FD_FIRST = 36,
    FD_NETS = FD_FIRST, /* four taps */
    FD_VM = 40,         /* KVM's VM */
    FD_VCPU,            /* its vCPU */
    FD_EPOLL,           /* the loop's epoll and timerfd */
    FD_TIMER,
    FD_TERMINAL,      /* where the program's streams are on one */
    FD_PAGEMAP,       /* which pages of ours there is anything in */
    FD_DISKS = 48,    /* eight disks' files, ... */
    FD_OVERLAYS = 56, /* ... and what is written instead, where the file is shared */
    FD_END = 64,
    FD_LAYERS = 512, /* 512 files that a snapshot's layers have of disks; inherited by the monitor,
                        which need not grow */
};

/* The signal that gets the vCPU thread out of KVM_RUN. Neither C library uses it for itself. */
enum { SIGNAL_KICK = 40 };

/* (argument `arg` & mask) == value. Calls that take 32 bits have a mask of 32 bits: the kernel
 * ignores the rest. */
struct policy_rule {
    unsigned arg;
    uint64_t mask, value;
};

enum { POLICY_RULES = 4 };

struct policy_row {
    int nr; /* of the system call */
    const char *name;
    unsigned roles; /* 1 << enum seccomp_role */
    unsigned rule_count;
    struct policy_rule rules[POLICY_RULES]; /* all of them hold */
    const char *why;
};

/* Several rows of one call: any of them may hold. */
extern const struct policy_row policy[];
extern const unsigned policy_rows;

/* What decides about a call of this role. args are the six of seccomp_data. */
int policy_allows(enum seccomp_role role, int nr, const uint64_t args[6]);

/* The row of the same call, if possible of the same role, of which the fewest rules do not hold;
 * NULL if no row has that call. */
const struct policy_row *policy_nearest(enum seccomp_role role, int nr, const uint64_t args[6]);

#endif
