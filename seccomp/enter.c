/*
 * See enter.h. TRAP and LOG share a filter that raises SIGSYS; LOG's lets through what comes from
 * one instruction, with which the handler does what had been asked for.
 */
#include "seccomp/enter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "monitor/warn.h"
#include "seccomp/filters.h"

enum { STATUS_TRAPPED = 125, PREFIX = 7, LONGEST = 1024 };

static const char *const role_names[ROLES] = {"loop", "vCPU", "disk"};
static const struct seccomp_program *const programs[ROLES][2] = {
    [ROLE_LOOP] = {&seccomp_loop_kill, &seccomp_loop_trap},
    [ROLE_VCPU] = {&seccomp_vcpu_kill, &seccomp_vcpu_trap},
    [ROLE_DISK] = {&seccomp_disk_kill, &seccomp_disk_trap},
};

/* Set before a thread enters; the handler runs in that thread. */
static _Thread_local enum seccomp_role own_role;
static enum seccomp_mode own_mode;

/* --- reports --- */

static const char *name_of(int nr)
{
    const char *name = nr >= 0 && nr < SECCOMP_CALLS ? seccomp_call_names[nr] : NULL;

    return name != NULL ? name : "unknown";
}

static void describe_row(char *to, size_t size, enum seccomp_role role,
                         const struct policy_row *row)
{
    int at;

    if (row == NULL) {
        snprintf(to, size, "no row has it");
        return;
    }
    at = snprintf(to, size, "nearest row: %s", row->name);
    for (unsigned i = 0; i < row->rule_count && at > 0 && (size_t)at < size; i++)
        at += snprintf(to + at, size - (size_t)at, "%s argument %u %s 0x%llx", i ? "," : " with",
                       row->rules[i].arg, row->rules[i].mask == UINT32_MAX ? "=" : "has",
                       (unsigned long long)row->rules[i].value);
    if (at > 0 && (size_t)at < size)
        snprintf(to + at, size - (size_t)at, "%s (%s)",
                 row->roles & (1u << role) ? "" : ", in another thread", row->why);
}

void seccomp_describe(char *to, size_t size, enum seccomp_role role, int nr, const uint64_t args[6])
{
    char row[256];

    describe_row(row, sizeof(row), role, policy_nearest(role, nr, args));
    snprintf(to, size, "seccomp: %s thread: %s(0x%llx, 0x%llx, 0x%llx, 0x%llx, 0x%llx, 0x%llx): %s",
             role_names[role], name_of(nr), (unsigned long long)args[0],
             (unsigned long long)args[1], (unsigned long long)args[2], (unsigned long long)args[3],
             (unsigned long long)args[4], (unsigned long long)args[5], row);
}

/* --- SIGSYS --- */

/* The one place from which LOG's filter lets everything through. */
__asm__(".pushsection .text\n"
        ".type repeat_call, @function\n"
        "repeat_call:\n" /* nr, a0 .. a5 (the last on the stack), as a function's arguments */
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    mov %rdx, %rsi\n"
        "    mov %rcx, %rdx\n"
        "    mov %r8, %r10\n"
        "    mov %r9, %r8\n"
        "    mov 8(%rsp), %r9\n"
        "    syscall\n"
        "repeat_call_end:\n"
        "    ret\n"
        ".size repeat_call, . - repeat_call\n"
        ".popsection\n");
extern const char repeat_call_end[] __attribute__((visibility("hidden")));
long repeat_call(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
    __attribute__((visibility("hidden")));

static void on_forbidden(int sig, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint64_t args[6] = {(uint64_t)regs[REG_RDI], (uint64_t)regs[REG_RSI],
                              (uint64_t)regs[REG_RDX], (uint64_t)regs[REG_R10],
                              (uint64_t)regs[REG_R8],  (uint64_t)regs[REG_R9]};
    char line[640];

    (void)sig;
    seccomp_describe(line, sizeof(line), own_role, info->si_syscall, args);
    warn_now(line);
    if (own_mode != SECCOMP_MODE_LOG)
        _exit(STATUS_TRAPPED);
    regs[REG_RAX] = repeat_call(info->si_syscall, regs[REG_RDI], regs[REG_RSI], regs[REG_RDX],
                                regs[REG_R10], regs[REG_R8], regs[REG_R9]);
}

int seccomp_prepare(enum seccomp_mode mode, struct err *err)
{
    struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO | SA_NODEFER};

    own_mode = mode;
    if (mode != SECCOMP_MODE_TRAP && mode != SECCOMP_MODE_LOG)
        return 0;
    return sigaction(SIGSYS, &action, NULL) != 0 ? err_sys(err, "sigaction") : 0;
}

/* --- entering --- */

/* What the handler itself takes, whatever the role: the end, or for LOG the way back and
 * repeat_call. All else goes to the program behind. */
static unsigned put_exceptions(struct sock_filter to[PREFIX], enum seccomp_mode mode)
{
    const uint64_t at = (uint64_t)(uintptr_t)repeat_call_end;
    const unsigned low = offsetof(struct seccomp_data, instruction_pointer);
    const unsigned nr = offsetof(struct seccomp_data, nr);
    const struct sock_filter trap[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_filter log[PREFIX] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 4, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)at, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(at >> 32), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    if (mode == SECCOMP_MODE_TRAP) {
        memcpy(to, trap, sizeof(trap));
        return sizeof(trap) / sizeof(trap[0]);
    }
    memcpy(to, log, sizeof(log));
    return PREFIX;
}

static long load(const struct sock_filter *code, unsigned count)
{
    struct sock_fprog program = {.len = (unsigned short)count,
                                 .filter = (struct sock_filter *)(uintptr_t)code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0L, &program);
}

static long load_with_exceptions(const struct seccomp_program *from, enum seccomp_mode mode)
{
    struct sock_filter code[LONGEST];
    unsigned at = put_exceptions(code, mode);

    if (from->count > LONGEST - at) {
        errno = E2BIG;
        return -1;
    }
    memcpy(code + at, from->code, from->count * sizeof(code[0]));
    return load(code, at + from->count);
}

int seccomp_enter(enum seccomp_role role, enum seccomp_mode mode, struct err *err)
{
    const struct seccomp_program *program = programs[role][mode != SECCOMP_MODE_KILL];
    long result = 0;

    own_role = role;
    if (mode == SECCOMP_MODE_LOG || mode == SECCOMP_MODE_TRAP)
        result = load_with_exceptions(program, mode);
    else if (mode == SECCOMP_MODE_KILL)
        result = load(program->code, program->count);
    return result != 0 ? err_sys(err, "seccomp: load the %s thread's filter", role_names[role]) : 0;
}
