/*
 * Boot information for a kernel entered by its PVH note: hvm_start_info, one module (the program),
 * a memory map and a command line (Xen, xen/include/public/arch-x86/hvm/start_info.h).
 */
#ifndef SAMARA_MONITOR_BOOT_PVH_H
#define SAMARA_MONITOR_BOOT_PVH_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/boot_fdt.h"
#include "monitor/err.h"

struct boot_pvh {
    uint64_t ram;
    uint64_t program_start, program_end; /* gpa */
    const struct boot_device *devices;
    unsigned device_count;
    const char *exec_path;
    struct string_block argv;
};

/* Bytes that are enough for all of it. */
size_t boot_pvh_size(const struct boot_pvh *config);

/*
 * Writes it to buf, which the guest has at `at` (8-byte aligned): hvm_start_info comes first. The
 * command line is that of guest-kernel/boot/cmdline.h; it has no quoting, so an argument with
 * blanks in it is refused (-1 with err).
 */
int boot_pvh_write(const struct boot_pvh *config, uint64_t at, void *buf, size_t size,
                   struct err *err);

#endif
