/* Where boot paths meet. */
#ifndef GUEST_BOOT_MAIN_H
#define GUEST_BOOT_MAIN_H

#include "guest-kernel/boot/boot_info.h"

/* samara's entry (entry.S): device tree in the window, CR3. Never returns. */
_Noreturn void kernel_main(const void *fdt, u64 fdt_size, u64 cr3);

/* Everybody's entry once the boot information is known. */
_Noreturn void kernel_boot(const struct boot_info *boot, u64 cr3);

#endif
