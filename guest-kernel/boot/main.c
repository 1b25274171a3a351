/*
 * The kernel's main: from boot information to the program's first instruction. Read it as the table
 * of contents.
 */
#include "guest-kernel/boot/main.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/cpu.h"
#include "guest-kernel/arch/irq.h"
#include "guest-kernel/arch/panic.h"
#include "guest-kernel/arch/thread.h"
#include "guest-kernel/boot/fdt.h"
#include "guest-kernel/drivers/block.h"
#include "guest-kernel/drivers/net.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/drivers/stdio.h"
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/fs/fs.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/task/exec.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/sched.h"

u64 boot_cr3;

static const void *in_window(u64 gpa)
{
    return (const void *)(uintptr_t)(SAMARA_WINDOW + gpa);
}

static _Noreturn void cannot_run(const char *why)
{
    platform_panic_text(why, strlen(why));
    platform_exit(SAMARA_EXIT_NOEXEC, 126);
}

static void start_clock(void)
{
    volatile struct samara_platform *page = platform_page();

    if (page)
        clock_init(page->wall_base_ns, page->tsc_khz);
    else
        clock_init(0, 0);
}

static void start_files(const struct boot_info *boot)
{
    const struct fs_boot files = {
        .exec_path = boot->exec_path ? boot->exec_path : "/program",
        .program = in_window(boot->program_start),
        .program_size = boot->program_end - boot->program_start,
        .argv = boot->argv,
        .argv_size = boot->argv_len,
        .envp = boot->envp,
        .envp_size = boot->envp_len,
        .pid = PROCESS_PID,
    };

    if (fs_init(&files) != 0)
        panic(NULL, "no memory for the root directory");
    fs_context_init(current_fs());
    process_set_exec_path(files.exec_path);
}

static void load_program(const struct boot_info *boot, struct exec_start *start)
{
    const struct exec_image image = {
        .base = in_window(boot->program_start),
        .size = boot->program_end - boot->program_start,
        .argv = boot->argv,
        .argv_length = boot->argv_len,
        .envp = boot->envp,
        .envp_length = boot->envp_len,
        .exec_path = boot->exec_path ? boot->exec_path : "/program",
    };
    char why[160];

    if (exec_program(&image, start, why, sizeof(why)) != 0)
        cannot_run(why);
}

_Noreturn void kernel_boot(const struct boot_info *boot, u64 cr3)
{
    struct exec_start start;

    boot_cr3 = cr3;
    platform_init(boot);
    start_clock();
    platform_mark("kernel entered");
    irq_init();
    arch_fpu_init();
    page_init(boot->free_start, boot->ram_bytes);
    page_keep_reserve();
    mm_init();
    process_init();
    start_files(boot);
    platform_mark("memory and files");
    vsock_init(boot);
    block_init(boot);
    net_init(boot);
    stdio_init();
    platform_mark("devices");
    platform_ready();
    if (boot->program_end == boot->program_start)
        cannot_run("no program was given");
    load_program(boot, &start);
    platform_mark("load program");
    platform_attend();
    sched_start(start.rip, start.rsp);
}

_Noreturn void kernel_main(const void *fdt, u64 fdt_size, u64 cr3)
{
    struct boot_info boot;

    if (!fdt_parse(fdt, fdt_size, &boot)) {
        boot = (struct boot_info){.platform_gpa = SAMARA_GPA_PLATFORM,
                                  .doorbell_gpa = SAMARA_GPA_DOORBELL};
        platform_init(&boot);
        panic(NULL, "the device tree is malformed");
    }
    kernel_boot(&boot, cr3);
}
