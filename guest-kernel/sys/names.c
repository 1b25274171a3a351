/* The list is made at build time from the kernel's header asm/unistd_64.h (sys/names.awk). */
#include "guest-kernel/sys/names.h"

static const char *const names[] = {
#include "syscall-names.inc"
};

const char *syscall_name(u64 number)
{
    return number < ARRAY_LEN(names) && names[number] ? names[number] : "unknown";
}
