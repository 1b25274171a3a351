/*
 * The platform page and its doorbell (abi/platform.h): how the kernel says that it is up, how the
 * program ended, or why the kernel could not go on. Everything here also works, as far as it can,
 * under a monitor that has neither.
 */
#ifndef GUEST_KERNEL_DRIVERS_PLATFORM_H
#define GUEST_KERNEL_DRIVERS_PLATFORM_H

#include "abi/platform.h"
#include "guest-kernel/boot/boot_info.h"

/* Finds the page, checks its magic, seeds the random generator and listens for signals. */
void platform_init(const struct boot_info *info);

/* The page, or NULL under other monitors. The monitor changes only `signals` while we run. */
volatile struct samara_platform *platform_page(void);

/* Has the monitor give the terminal these modes. */
void platform_set_terminal(const struct samara_termios *modes, bool flush);

/* SAMARA_FLAG_* of this boot; 0 without a page. */
u32 platform_flags(void);

/* Takes signals and a new generation from the page, as its interrupt does. For once during boot: an
 * interrupt sent before irq_init is lost. */
void platform_attend(void);

/* Notes in the page that the kernel is up. */
void platform_ready(void);

/* Ends the VM. Without a page the code goes to port 0xf4 and the machine is reset by a triple
 * fault. */
_Noreturn void platform_exit(enum samara_exit_kind kind, u32 code);

/* Notes a point of the boot timeline if SAMARA_FLAG_TRACE is set; costs nothing to speak of. */
void platform_mark(const char *name);

/* Appends to the panic report (or the reason why a program cannot run); what does not fit is cut.
 */
void platform_panic_text(const char *text, size_t len);

#endif
