/*
 * Boot information from a Linux kernel command line, for monitors without samara's device tree:
 *
 *   virtio_mmio.device=4K@0xd0001000:5 samara.path=/bin/prog -- prog arg1 arg2
 *   samara.net0=ip=10.0.0.2/24,gw=10.0.0.1
 *
 * Words are separated by blanks; there is no quoting. Unknown words are ignored.
 */
#ifndef GUEST_KERNEL_BOOT_CMDLINE_H
#define GUEST_KERNEL_BOOT_CMDLINE_H

#include "guest-kernel/boot/boot_info.h"

#define CMDLINE_ARGV_MAX 2048 /* bytes of program arguments kept; the rest is cut at a word */

/*
 * Adds to *out what the line says: virtio devices, exec_path, argv and bootargs. Malformed entries
 * are skipped. The line must stay alive; argv and exec_path point to a static copy, so that a
 * second call replaces the first one's.
 */
void cmdline_parse(const char *line, struct boot_info *out);

#endif
