/* The one process: what its threads share. */
#ifndef GUEST_KERNEL_TASK_PROCESS_H
#define GUEST_KERNEL_TASK_PROCESS_H

#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/lib/base.h"
#include "guest-kernel/task/signal.h"
#include "guest-kernel/task/task.h"

#define PROCESS_PID      2 /* not 1: programs that find themselves init behave differently */
#define PROCESS_PPID     1
#define PROCESS_PATH_MAX 4096

enum {
    RLIMIT_STACK = 3,
    RLIMIT_CORE = 4,
    RLIMIT_NOFILE = 7,
    RLIMIT_COUNT = 16,
};
#define RLIM_INFINITY UINT64_MAX

struct rlimit {
    u64 soft, hard;
};

struct process {
    struct fs_context fs;
    struct sigaction actions[SIGNAL_COUNT]; /* of signal n at n - 1 */
    struct signal_pending pending;
    struct rlimit rlimits[RLIMIT_COUNT];
    struct task *tasks;
    unsigned task_count;
    int leader_status; /* what the first thread passed to exit */
    bool exiting;
    u64 start_ns;
    u64 dead_cpu_ns; /* CPU time of threads that ended */
    u64 image_gpa;   /* where the program's file lies */
    char exec_path[PROCESS_PATH_MAX];
};

extern struct process process;

/* CPU time of all threads, dead ones included, up to now. */
u64 process_cpu_ns(void);

/*
 * Sets defaults and makes the boot context the running task, so that boot code may wait. Called
 * once, after memory and before anything that waits.
 */
void process_init(void);

/* Sets the names the program is known by: exec_path and the first thread's name. */
void process_set_exec_path(const char *path);

/* sched_start's: the first thread takes over what the boot context was told. */
void process_adopt_first(struct task *task);

/*
 * End of the program: no other thread runs any more, stdio is drained, the monitor is told.
 * process_exit: the low 8 bits are the status. process_kill: died of signal sig; why, if not
 * NULL, is said on stderr.
 */
_Noreturn void process_exit(int status);
_Noreturn void process_kill(int sig, const char *why);

#endif
