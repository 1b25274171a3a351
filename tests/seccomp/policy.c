/* The table itself: its size, what must never be in it, and how reports find their way in it. */
#include "seccomp/policy.h"

#include <criterion/criterion.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/syscall.h>

#include "seccomp/enter.h"

/* Over all threads, disks' included. */
Test(policy, twenty_five_calls_are_enough)
{
    unsigned calls = 0;

    for (unsigned i = 0; i < policy_rows; i++) {
        bool seen = false;

        for (unsigned j = 0; j < i; j++)
            seen |= policy[j].nr == policy[i].nr;
        calls += !seen;
    }
    cr_log_info("%u calls in %u rows", calls, policy_rows);
    cr_assert_leq(calls, 25);
}

/* Else a report of a forbidden call would be one, and so on. */
Test(policy, every_thread_may_report)
{
    for (enum seccomp_role role = 0; role < ROLES; role++) {
        cr_assert(policy_allows(role, SYS_poll, (const uint64_t[6]){0, 1, 0}));
        cr_assert(policy_allows(role, SYS_writev, (const uint64_t[6]){2}));
    }
}

Test(policy, nothing_opens_connects_or_starts_anything)
{
    static const int never[] = {SYS_open,
                                SYS_openat,
                                SYS_openat2,
                                SYS_creat,
                                SYS_open_by_handle_at,
                                SYS_socket,
                                SYS_socketpair,
                                SYS_connect,
                                SYS_bind,
                                SYS_listen,
                                SYS_clone,
                                SYS_clone3,
                                SYS_fork,
                                SYS_vfork,
                                SYS_execve,
                                SYS_execveat,
                                SYS_ptrace,
                                SYS_process_vm_readv,
                                SYS_process_vm_writev,
                                SYS_mmap,
                                SYS_mprotect,
                                SYS_mremap,
                                SYS_pkey_mprotect,
                                SYS_memfd_create,
                                SYS_userfaultfd,
                                SYS_io_uring_setup,
                                SYS_io_uring_enter,
                                SYS_bpf,
                                SYS_perf_event_open,
                                SYS_seccomp,
                                SYS_prctl,
                                SYS_setns,
                                SYS_unshare,
                                SYS_mount,
                                SYS_kill,
                                SYS_tkill,
                                SYS_pidfd_open,
                                SYS_pidfd_getfd,
                                SYS_dup,
                                SYS_dup2,
                                SYS_dup3,
                                SYS_fcntl,
                                SYS_unlink,
                                SYS_sendto,
                                SYS_sendmmsg};

    for (unsigned i = 0; i < policy_rows; i++)
        for (unsigned j = 0; j < sizeof(never) / sizeof(never[0]); j++)
            cr_assert_neq(policy[i].nr, never[j], "%s", policy[i].name);
}

Test(policy, every_row_says_why_and_no_two_say_the_same)
{
    for (unsigned i = 0; i < policy_rows; i++) {
        cr_assert(policy[i].why != NULL && policy[i].why[0] != '\0', "%s", policy[i].name);
        cr_assert(policy[i].roles != 0 && policy[i].roles < 1u << ROLES, "%s", policy[i].name);
        for (unsigned j = 0; j < i; j++)
            cr_assert_str_neq(policy[i].why, policy[j].why);
    }
}

Test(policy, ioctls_are_those_of_one_descriptor)
{
    for (unsigned i = 0; i < policy_rows; i++) {
        const struct policy_row *row = &policy[i];

        if (row->nr != SYS_ioctl)
            continue;
        cr_assert_geq(row->rule_count, 2, "%s", row->why);
        cr_assert_eq(row->rules[0].arg, 0);
        cr_assert(row->rules[0].value >= FD_FIRST && row->rules[0].value < FD_END, "%s", row->why);
        cr_assert_eq(row->rules[1].arg, 1);
    }
}

static char line[640];

static const char *describe(enum seccomp_role role, int nr, uint64_t a0, uint64_t a1)
{
    const uint64_t args[6] = {a0, a1};

    seccomp_describe(line, sizeof(line), role, nr, args);
    return line;
}

Test(policy, a_report_names_role_call_arguments_and_the_nearest_row)
{
    cr_assert_str_eq(
        describe(ROLE_LOOP, SYS_openat, 1, 0x2000),
        "seccomp: loop thread: openat(0x1, 0x2000, 0x0, 0x0, 0x0, 0x0): no row has it");
    cr_assert_str_eq(describe(ROLE_VCPU, SYS_ioctl, FD_VCPU, KVM_GET_API_VERSION),
                     "seccomp: vCPU thread: ioctl(0x29, 0xae00, 0x0, 0x0, 0x0, 0x0): nearest row: "
                     "ioctl with argument 0 = 0x29, argument 1 = 0xae80 (runs the guest)");
    cr_assert(strstr(describe(ROLE_LOOP, SYS_ioctl, FD_VCPU, KVM_RUN), "loop thread: ioctl("));
    cr_assert(strstr(line, ", in another thread (runs the guest)"), "%s", line);
    cr_assert(strstr(describe(ROLE_VCPU, SYS_accept4, 7, 0), ", in another thread ("), "%s", line);
    cr_assert(strstr(describe(ROLE_LOOP, 100000, 0, 0), "unknown("), "%s", line);
    cr_assert(strstr(describe(ROLE_LOOP, -1, 0, 0), "unknown("), "%s", line);
}
