/*
 * At build time: compiles the policy table into the filters that the monitor carries, so that it
 * needs neither libseccomp nor its time at run time. Writes C: an array of sock_filter per role and
 * default action, and the names of all system calls for reports.
 *
 *     seccomp-compile > filters.c
 *     seccomp-compile --rows
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp/policy.h"

enum { INSTRUCTIONS = 4096, CALLS = 512 };

static _Noreturn void fail(const char *what, int error)
{
    fprintf(stderr, "seccomp-compile: %s: %s\n", what, strerror(error));
    exit(1);
}

static void must(const char *what, int result)
{
    if (result < 0)
        fail(what, -result);
}

static void add_row(scmp_filter_ctx filter, const struct policy_row *row)
{
    struct scmp_arg_cmp compare[POLICY_RULES];

    for (unsigned i = 0; i < row->rule_count; i++)
        compare[i] = SCMP_CMP64(row->rules[i].arg, SCMP_CMP_MASKED_EQ, row->rules[i].mask,
                                row->rules[i].value);
    must(row->name,
         seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, row->nr, row->rule_count, compare));
}

/*
 * An argument whose upper half is not compared is compared all the same, masked by 0: three
 * instructions that always go on with the next, a third of all. They cost time at every start,
 * since the kernel translates each.
 */
static bool is_empty_test(const struct sock_filter *at, size_t left)
{
    return left > 3 && at[0].code == (BPF_LD | BPF_W | BPF_ABS) &&
           at[1].code == (BPF_ALU | BPF_AND | BPF_K) && at[1].k == 0 &&
           at[2].code == (BPF_JMP | BPF_JEQ | BPF_K) && at[2].k == 0 && at[2].jt == 0 &&
           at[3].code == (BPF_LD | BPF_W | BPF_ABS);
}

static uint8_t new_offset(const size_t *moved, size_t from, size_t offset)
{
    size_t to = moved[from + 1 + offset];

    if (to == SIZE_MAX)
        fail("a jump into what is left out", EINVAL);
    return (uint8_t)(to - moved[from] - 1);
}

static void keep(struct sock_filter *code, const size_t *moved, size_t from)
{
    struct sock_filter now = code[from];

    if (BPF_CLASS(now.code) == BPF_JMP && BPF_OP(now.code) == BPF_JA)
        fail("a jump of a kind that is not expected", EINVAL);
    if (BPF_CLASS(now.code) == BPF_JMP) {
        now.jt = new_offset(moved, from, now.jt);
        now.jf = new_offset(moved, from, now.jf);
    }
    code[moved[from]] = now;
}

static size_t drop_empty_tests(struct sock_filter *code, size_t count)
{
    static size_t moved[INSTRUCTIONS]; /* where each goes; SIZE_MAX: nothing may jump there */
    static bool dropped[INSTRUCTIONS];
    size_t kept = 0;

    memset(dropped, 0, sizeof(dropped));
    for (size_t i = 0; i < count; i++) {
        moved[i] = kept;
        if (is_empty_test(code + i, count - i)) {
            dropped[i] = dropped[i + 1] = dropped[i + 2] = true;
            moved[i + 1] = moved[i + 2] = SIZE_MAX;
            i += 2;
        } else {
            kept++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!dropped[i])
            keep(code, moved, i);
    }
    return kept;
}

static struct sock_filter load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static struct sock_filter unless(uint32_t value, size_t skip)
{
    return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)skip);
}

/*
 * One row before all others, whose rules are about 32 bits: a quarter of the instructions, so that
 * they are in one cache line after the guest has had the processor. Returns how many.
 */
static size_t put_first(struct sock_filter *code, const struct policy_row *row)
{
    const size_t count = 5 + 2 * row->rule_count;
    size_t n = 0;

    code[n++] = load(offsetof(struct seccomp_data, arch));
    code[n] = unless(AUDIT_ARCH_X86_64, count - n - 1);
    n++;
    code[n++] = load(offsetof(struct seccomp_data, nr));
    code[n] = unless((uint32_t)row->nr, count - n - 1);
    n++;
    for (unsigned i = 0; i < row->rule_count; i++) {
        if (row->rules[i].mask != UINT32_MAX)
            fail("a rule of another kind in the first row", EINVAL);
        code[n++] = load(offsetof(struct seccomp_data, args) + row->rules[i].arg * 8);
        code[n] = unless((uint32_t)row->rules[i].value, count - n - 1);
        n++;
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return n;
}

/* What a thread of this role asks for most often; NULL: nothing stands out. */
static const struct policy_row *usual(enum seccomp_role role)
{
    for (unsigned i = 0; i < policy_rows && role == ROLE_VCPU; i++) {
        if (policy[i].nr == SYS_ioctl && policy[i].rules[1].value == KVM_RUN)
            return &policy[i];
    }
    return NULL;
}

static void print_code(const struct sock_filter *code, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("    {0x%x, %u, %u, 0x%x},\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
}

static void print_program(scmp_filter_ctx filter, const struct policy_row *first, const char *name)
{
    struct sock_filter before[5 + 2 * POLICY_RULES];
    const size_t added = first ? put_first(before, first) : 0;
    static struct sock_filter code[INSTRUCTIONS];
    FILE *file = tmpfile();
    size_t count;

    if (file == NULL)
        fail("tmpfile", errno);
    must("export", seccomp_export_bpf(filter, fileno(file)));
    rewind(file);
    count = fread(code, sizeof(code[0]), INSTRUCTIONS, file);
    if (count == 0 || count == INSTRUCTIONS)
        fail("a filter of no or too many instructions", EINVAL);
    count = drop_empty_tests(code, count);
    printf("\nstatic const struct sock_filter %s_code[] = {\n", name);
    print_code(before, added);
    print_code(code, count);
    printf("};\nconst struct seccomp_program seccomp_%s = {%s_code, %zu};\n", name, name,
           added + count);
    fclose(file);
}

static void compile(enum seccomp_role role, uint32_t action, const char *name)
{
    scmp_filter_ctx filter = seccomp_init(action);

    if (filter == NULL)
        fail("seccomp_init", ENOMEM);
    must("bad arch", seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    must("optimize", seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2));
    for (unsigned i = 0; i < policy_rows; i++) {
        if (policy[i].roles & (1u << role))
            add_row(filter, &policy[i]);
    }
    print_program(filter, usual(role), name);
    seccomp_release(filter);
}

static void print_names(void)
{
    puts("\nconst char *const seccomp_call_names[SECCOMP_CALLS] = {");
    for (int nr = 0; nr < CALLS; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

        if (name != NULL)
            printf("    [%d] = \"%s\",\n", nr, name);
        free(name);
    }
    puts("};");
}

/* The table for scripts: name, roles, rules as argument:mask:value, reason. */
static void print_rows(void)
{
    for (unsigned i = 0; i < policy_rows; i++) {
        const struct policy_row *row = &policy[i];

        printf("%s\t%s%s%s\t", row->name, row->roles & 1u << ROLE_LOOP ? "loop " : "",
               row->roles & 1u << ROLE_VCPU ? "vCPU " : "",
               row->roles & 1u << ROLE_DISK ? "disk" : "");
        for (unsigned r = 0; r < row->rule_count; r++)
            printf("%s%u:%#llx:%#llx", r ? " " : "", row->rules[r].arg,
                   (unsigned long long)row->rules[r].mask, (unsigned long long)row->rules[r].value);
        printf("\t%s\n", row->why);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--rows") == 0) {
        print_rows();
        return 0;
    }
    puts("/* Made by seccomp/compile.c from seccomp/policy.c. */\n"
         "#include \"seccomp/filters.h\"");
    compile(ROLE_LOOP, SCMP_ACT_KILL_PROCESS, "loop_kill");
    compile(ROLE_LOOP, SCMP_ACT_TRAP, "loop_trap");
    compile(ROLE_VCPU, SCMP_ACT_KILL_PROCESS, "vcpu_kill");
    compile(ROLE_VCPU, SCMP_ACT_TRAP, "vcpu_trap");
    compile(ROLE_DISK, SCMP_ACT_KILL_PROCESS, "disk_kill");
    compile(ROLE_DISK, SCMP_ACT_TRAP, "disk_trap");
    print_names();
    return ferror(stdout) || fclose(stdout) != 0;
}
