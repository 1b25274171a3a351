/* See process.h. */
#include "guest-kernel/task/process.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/drivers/stdio.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/net/tcp_conn.h"
#include "guest-kernel/task/sched.h"

struct process process;

static struct task boot_context = {.state = TASK_RUNNABLE, .name = "boot"};

void process_init(void)
{
    for (unsigned i = 0; i < RLIMIT_COUNT; i++)
        process.rlimits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    process.rlimits[RLIMIT_STACK].soft = STACK_SIZE;
    process.rlimits[RLIMIT_CORE].soft = 0;
    process.rlimits[RLIMIT_NOFILE] = (struct rlimit){FD_LIMIT_DEFAULT, FD_LIMIT_MAX};
    process.start_ns = clock_monotonic_ns();
    task_running = &boot_context;
}

void process_set_exec_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = strnlen(path, sizeof(process.exec_path) - 1);

    memcpy(process.exec_path, path, len);
    process.exec_path[len] = '\0';
    task_set_name(&boot_context, slash ? slash + 1 : path);
}

void process_adopt_first(struct task *task)
{
    task_set_name(task, boot_context.name);
    task->signals.pending = boot_context.signals.pending;
}

struct fs_context *current_fs(void)
{
    return &process.fs;
}

u64 process_cpu_ns(void)
{
    u64 sum = process.dead_cpu_ns;

    for (const struct task *task = process.tasks; task; task = task->next)
        sum += task_cpu_ns(task);
    return sum;
}

/* From here on only the caller runs, and no signal ends its waits. */
static void stop_everything(void)
{
    process.exiting = true;
    sched_stop_others();
}

_Noreturn void process_exit(int status)
{
    stop_everything();
    tcp_finish();
    stdio_finish();
    platform_exit(SAMARA_EXIT_STATUS, (u32)status & 0xff);
}

_Noreturn void process_kill(int sig, const char *why)
{
    stop_everything();
    if (why) {
        char line[128];

        kprint_to(line, sizeof(line), "samara: killed by signal %d: %s", sig, why);
        klog_program(line);
    }
    tcp_finish();
    stdio_finish();
    platform_exit(SAMARA_EXIT_SIGNAL, (u32)sig);
}
